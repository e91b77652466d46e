#pragma once

#include <cstdint>
#include <vector>

#include "artifact/report.h"
#include "eval/outcome.h"
#include "eval/recording.h"
#include "eval/timing.h"

namespace cachectl::eval {

// RQ4 for one plan of the engine, from the recording (answers and FLOPs) and by timing
// (latency, where curve_repeats > 0 and a pool is given). Two curves: the plan's
// thresholds shifted together in the logit, the plan itself among the points; and the
// same threshold at all exits, as in the paper's figures. None for an empty plan.
std::vector<artifact::TradeCurve> trade_curves(const Recording& recording,
                                               const runtime::Engine& engine, std::size_t plan,
                                               const InputPool* pool, const Options& options);

// Area under the best quality reached within a cost, over costs from 0 to 1 (the
// backbone's); 0 where nothing is that cheap. NaN when a cost or quality is.
double area_under(const std::vector<double>& cost, const std::vector<double>& quality);

}  // namespace cachectl::eval
