#pragma once

#include <cstddef>
#include <string>
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

// How the report at options.beside[i] is called: its file's name, and its folder's where two have
// the same name.
std::string name_beside(const Options& options, std::size_t i);

// Appends to `report.trade` the first curve, which is the method itself, of each, beside our plan
// number `plan`. Its latency is left out, with a warning that says why, where it was measured
// otherwise than ours: with another batch size, device, processor, number of threads, precision or
// backbone.
void add_beside(const std::vector<artifact::Report>& others, std::size_t plan,
                const Options& options, artifact::Report& report);

}  // namespace cachectl::eval
