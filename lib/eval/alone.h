#pragma once

#include <memory>

#include "artifact/plan.h"
#include "eval/eval.h"
#include "runtime/engine.h"

namespace cachectl::eval {

// An engine that asks every cache model about every sample: the plan's, and those of --caches.
// Throws Error(kIncompatible) where the latter are of another backbone, or learnt from or
// calibrated on other samples than the plan's: the test part might be among these.
runtime::Engine engine_of_all(std::shared_ptr<const model::Backbone> backbone,
                              const artifact::PlanFile& plan, const Options& options);

}  // namespace cachectl::eval
