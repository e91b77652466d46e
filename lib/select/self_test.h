#pragma once

#include "artifact/plan.h"
#include "select/problem.h"

namespace cachectl::select {

// Fills self_test_inputs, transform, class_names, and each plan's expected answers. The
// inputs are validation samples of the configured data set that every plan decides
// clearly; where the set has none of them, one input of noise without answers, and a
// warning.
void add_self_test(const Options& options, const Problem& problem,
                   const std::vector<decision::Exits>& plans, artifact::PlanFile& file);

}  // namespace cachectl::select
