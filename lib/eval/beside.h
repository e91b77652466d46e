#pragma once

#include "artifact/report.h"
#include "eval/eval.h"

namespace cachectl::eval {

// Appends to `report.trade` the first curve, which is the method itself, of every report of
// options.beside. Its latency is left out, with a warning that says why, where it was measured
// otherwise than ours: with another batch size, device, number of threads, precision or backbone.
// Throws Error(kIncompatible) when it was measured on other samples.
void add_beside(artifact::Report& report, const Options& options);

}  // namespace cachectl::eval
