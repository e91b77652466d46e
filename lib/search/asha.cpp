#include "search/asha.h"

#include <algorithm>

namespace cachectl::search {

std::vector<std::size_t> promotable(const std::vector<Standing>& trials, std::size_t rung,
                                    std::size_t eta, std::size_t quota) {
  std::vector<std::size_t> finished;
  std::size_t failed = 0;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (trials[i].scores.size() > rung) {
      finished.push_back(i);
    } else if (trials[i].failed && trials[i].scores.size() == rung) {
      ++failed;
    }
  }
  std::stable_sort(finished.begin(), finished.end(), [&](std::size_t a, std::size_t b) {
    return trials[a].scores[rung] > trials[b].scores[rung];
  });
  const std::size_t best =
      std::min(finished.size(), std::max(quota, (finished.size() + failed) / eta));
  std::vector<std::size_t> ready;
  for (std::size_t k = 0; k < best; ++k) {
    const auto& trial = trials[finished[k]];
    if (trial.scores.size() == rung + 1 && !trial.failed) ready.push_back(finished[k]);
  }
  return ready;
}

Work next_work(const std::vector<Standing>& trials, std::size_t rungs, std::size_t eta,
               std::size_t new_trials_left, std::size_t group) {
  Work work;
  const auto promote = [&](std::size_t rung, std::vector<std::size_t> ready) {
    ready.resize(std::min(ready.size(), group));
    work.rung = rung + 1;
    work.promoted = std::move(ready);
    return work;
  };
  if (new_trials_left > 0) {
    for (std::size_t rung = rungs - 1; rung-- > 0;) {
      auto ready = promotable(trials, rung, eta, 0);
      if (ready.size() >= group) return promote(rung, std::move(ready));
    }
    work.fresh = std::min(new_trials_left, group);
    return work;
  }
  for (std::size_t rung = 0; rung + 1 < rungs; ++rung) {
    auto ready = promotable(trials, rung, eta, 1);
    if (!ready.empty()) return promote(rung, std::move(ready));
  }
  return work;
}

}  // namespace cachectl::search
