#pragma once

#include <memory>
#include <vector>

#include "runtime/engine.h"

// Inside the library: one stage of a plan made ready.
namespace cachectl::runtime {

struct PreparedPlan {
  EnginePlan plan;
  model::SegmentChain chain;
  std::vector<double> segment_flops;  // exits + 1, per sample
  std::vector<double> cache_flops;    // exits
};

// Throws Error(kUsage) for exits that are out of order or have another exit in front than they
// take the logits of, kIncompatible for other classes and
// for layers that the backbone does not have.
PreparedPlan prepare(const model::Backbone& backbone, EnginePlan plan);

struct StageMode {
  bool everyone = false;  // answer for every row, shrink nothing
  double flops_per_copied_byte = 0;
};

// Engine::run_stage.
StageStats run_stage(const model::Backbone& backbone, const PreparedPlan& prepared,
                     std::size_t stage, Rows& rows, const StageMode& mode,
                     const OnAnswer& on_answer, Engine::Clock::time_point start);

// Answers the samples of the plan file's self-test under each plan that says what to
// expect. Throws Error(kIncompatible) when a sample gets another class or exit than
// recorded, unless its confidence lies so close to the decision that rounding explains it.
// Where not is_exact (half precision, when the plan was made or now) differences are only counted
// in a warning, but for most of the samples.
void replay_self_test(const model::Backbone& backbone, const std::vector<PreparedPlan>& plans,
                      const artifact::PlanFile& file, const std::string& plan_name, bool is_exact);

}  // namespace cachectl::runtime
