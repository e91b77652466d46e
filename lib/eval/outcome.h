#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "artifact/plan.h"
#include "artifact/report.h"
#include "eval/recording.h"

namespace cachectl::eval {

artifact::Verdict verdict_of(std::int64_t backbone, std::int64_t cache, std::int64_t truth);

// RQ1: model `m` of the recording by itself; at most `points` of its thresholds, evenly
// spread over the hit rate, and first, last and the last one within the tolerance besides.
artifact::CurveAlone curve_alone(const Recording& recording, std::size_t m, std::int64_t points,
                                 double tolerance);
artifact::Reliability reliability_of(const Recording& recording, std::size_t m, std::int64_t bins);

// RQ1 and the FLOPs of RQ2 for one plan of the engine; made: the same in the plan file.
artifact::PlanOutcome plan_outcome(const Recording& recording, std::size_t plan,
                                   const runtime::Engine& engine, const artifact::Plan& made,
                                   const Options& options);

// A certificate against `differing` of the shown.samples samples.
void show_outcome(artifact::CertificateOutcome& shown, std::int64_t differing);

// Per sample: segments and look-ups on the way to the exit that it leaves by, or all of them
// where batches do not shrink.
double mean_flops(const Recording::Answered& answered, const runtime::Engine& engine,
                  std::size_t plan, bool shrink);

}  // namespace cachectl::eval
