#pragma once

#include <cstdint>
#include <vector>

#include "decision/cost.h"
#include "decision/records.h"

namespace cachectl::decision {

// What a plan does to recorded samples. A sample reaches an exit only if none
// before it in the plan hit.
struct Outcome {
  std::vector<std::int64_t> reach, hits, wrong;  // per exit of the plan
  std::vector<std::int32_t> left_at;             // [N] index into the plan; its size: the backbone
  std::int64_t samples = 0;
  std::int64_t differing = 0;  // samples whose class is not the backbone's

  double risk() const { return static_cast<double>(differing) / static_cast<double>(samples); }
};

Outcome run_over(const Records& records, const Exits& exits);

// The class each sample is answered with, [N].
std::vector<std::int32_t> answers(const Records& records, const Exits& exits,
                                  const Outcome& outcome);

// Cost over the outcome's samples. The model is for as many samples as the outcome.
double cost_of(const Exits& exits, const Outcome& outcome, const CostModel& cost);

// What the backbone's class c loses: of the samples it answers with c, how many leave
// early and how many of those get another class.
struct ClassLoss {
  std::int32_t label = 0;
  std::int64_t samples = 0, hits = 0, differing = 0;
};
std::vector<ClassLoss> loss_by_class(const Records& records, const Exits& exits);

}  // namespace cachectl::decision
