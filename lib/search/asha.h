#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace cachectl::search {

// A trial as successive halving sees it: its score at each rung it has finished.
struct Standing {
  std::vector<double> scores;
  bool failed = false;  // counts as finished below all others in the rung it failed in
};

// What to run next: trials to be promoted into a rung, or new ones into rung 0.
struct Work {
  std::size_t rung = 0;
  std::vector<std::size_t> promoted;  // into `rung`, best first
  std::size_t fresh = 0;              // new trials
  bool empty() const { return promoted.empty() && fresh == 0; }
};

// Asynchronous successive halving (Li et al. 2020) with the trials of one pass chosen
// together. A trial may be promoted from a rung when it is among the best 1/eta of those
// that finished the rung. While new trials may come, the highest rung that fills a
// group goes first, else new trials do; then the rest is promoted from below, at least
// one from each rung. A function of its arguments alone, so that a resumed
// study goes on as an uninterrupted one.
Work next_work(const std::vector<Standing>& trials, std::size_t rungs, std::size_t eta,
               std::size_t new_trials_left, std::size_t group);

// Positions in `trials` that may be promoted out of `rung`, best first; of equal scores
// the earlier trial. quota: the least number that the rung sends up.
std::vector<std::size_t> promotable(const std::vector<Standing>& trials, std::size_t rung,
                                    std::size_t eta, std::size_t quota);

}  // namespace cachectl::search
