#include "decision/outcome.h"

#include <cassert>
#include <map>

namespace cachectl::decision {

Outcome run_over(const Records& records, const Exits& exits) {
  const std::size_t samples = records.samples();
  Outcome outcome;
  outcome.samples = static_cast<std::int64_t>(samples);
  outcome.left_at.assign(samples, static_cast<std::int32_t>(exits.size()));
  std::vector<std::size_t> reaching(samples);
  for (std::size_t i = 0; i < samples; ++i) reaching[i] = i;
  for (std::size_t e = 0; e < exits.size(); ++e) {
    const std::size_t candidate = exits[e].candidate;
    assert(candidate < records.candidates());
    assert(e == 0 || exits[e - 1].candidate < candidate);
    const auto& confidence = records.exits[candidate].confidence;
    std::vector<std::size_t> missed;
    std::int64_t wrong = 0;
    for (const std::size_t i : reaching) {
      if (confidence[i] >= exits[e].threshold) {
        outcome.left_at[i] = static_cast<std::int32_t>(e);
        wrong += records.is_wrong(candidate, i);
      } else {
        missed.push_back(i);
      }
    }
    outcome.reach.push_back(static_cast<std::int64_t>(reaching.size()));
    outcome.hits.push_back(static_cast<std::int64_t>(reaching.size() - missed.size()));
    outcome.wrong.push_back(wrong);
    outcome.differing += wrong;
    reaching = std::move(missed);
  }
  return outcome;
}

std::vector<std::int32_t> answers(const Records& records, const Exits& exits,
                                  const Outcome& outcome) {
  std::vector<std::int32_t> classes = records.backbone;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const auto e = static_cast<std::size_t>(outcome.left_at[i]);
    if (e < exits.size()) classes[i] = records.exits[exits[e].candidate].prediction[i];
  }
  return classes;
}

double cost_of(const Exits& exits, const Outcome& outcome, const CostModel& cost) {
  assert(cost.samples() == static_cast<std::size_t>(outcome.samples));
  double total = 0;
  std::size_t done = 0;  // segments run so far
  auto count = static_cast<std::size_t>(outcome.samples);
  for (std::size_t e = 0; e < exits.size(); ++e) {
    const std::size_t candidate = exits[e].candidate;
    total += cost.segments(done, candidate + 1, count) + cost.look_up(candidate, count);
    done = candidate + 1;
    count -= static_cast<std::size_t>(outcome.hits[e]);
  }
  return total + cost.segments(done, cost.candidates() + 1, count);
}

std::vector<ClassLoss> loss_by_class(const Records& records, const Exits& exits) {
  const Outcome outcome = run_over(records, exits);
  const auto classes = answers(records, exits, outcome);
  std::map<std::int32_t, ClassLoss> by_label;
  for (std::size_t i = 0; i < records.samples(); ++i) {
    ClassLoss& loss = by_label[records.backbone[i]];
    loss.label = records.backbone[i];
    ++loss.samples;
    loss.hits += outcome.left_at[i] < static_cast<std::int32_t>(exits.size());
    loss.differing += classes[i] != records.backbone[i];
  }
  std::vector<ClassLoss> losses;
  for (const auto& [label, loss] : by_label) losses.push_back(loss);
  return losses;
}

}  // namespace cachectl::decision
