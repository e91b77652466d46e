#pragma once

#include <vector>

#include "artifact/report.h"
#include "eval/eval.h"

// Reports of other methods (--beside), whose curves stand beside ours.
namespace cachectl::eval {

// Those of options.beside, in its order. One without a curve, as of an empty plan, is warned of.
std::vector<artifact::Report> read_beside(const Options& options);

// Throws Error(kIncompatible) when one of them was measured on other samples.
void require_same_samples(const std::vector<artifact::Report>& others,
                          const artifact::Report& report, const Options& options);

// Appends to `report.trade` the first curve, which is the method itself, of each. Its latency is
// left out, with a warning that says why, where it was measured otherwise than ours: with another
// batch size, device, processor, number of threads, precision or backbone.
void add_beside(const std::vector<artifact::Report>& others, const Options& options,
                artifact::Report& report);

}  // namespace cachectl::eval
