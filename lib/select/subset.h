#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "decision/cost.h"
#include "decision/curve.h"
#include "decision/records.h"

// The subset of cache models that saves the most, exactly.
namespace cachectl::select {

// What subsets are allowed. Lists are by candidate; empty means none / all zero.
struct Limits {
  std::size_t max_exits = std::numeric_limits<std::size_t>::max();
  double max_bytes = std::numeric_limits<double>::infinity();
  std::vector<double> bytes;  // of each cache model
  std::vector<bool> required, forbidden;
  // In a cascade: the candidate whose logits each takes; kNoPrior: none. Both are in a subset
  // together, with no other between them.
  static constexpr std::ptrdiff_t kNoPrior = -1;
  std::vector<std::ptrdiff_t> prior;

  double bytes_of(std::size_t candidate) const { return bytes.empty() ? 0 : bytes[candidate]; }
  bool is_required(std::size_t candidate) const { return !required.empty() && required[candidate]; }
  bool is_forbidden(std::size_t candidate) const {
    return !forbidden.empty() && forbidden[candidate];
  }
  std::ptrdiff_t prior_of(std::size_t candidate) const {
    return prior.empty() ? kNoPrior : prior[candidate];
  }
  bool takes(std::size_t candidate, std::size_t in_front) const {
    return prior_of(candidate) == static_cast<std::ptrdiff_t>(in_front);
  }
  // Whether a subset that holds this candidate may have that exit right in front of it;
  // kNoPrior: none.
  bool may_follow(std::size_t candidate, std::ptrdiff_t in_front) const {
    return prior_of(candidate) == kNoPrior || prior_of(candidate) == in_front;
  }
  bool allows(const decision::Exits& exits) const;
};

// How a tolerance T is shared among the exits of a subset, each getting the lowest
// threshold at which its wrong answers, counted over all samples as if it stood
// alone, stay within its share of them. What an exit answers wrongly among the
// samples that reach it is part of that, so the plan's own drop is at most T.
enum class Budget {
  kHalving,  // the n-th exit: T / 2^n
  kEqual     // each of N exits: T / N
};

inline constexpr std::uint64_t kAllBranches = std::numeric_limits<std::uint64_t>::max();
// For subsets that only are a search's beginning: of up to some 20 candidates all.
inline constexpr std::uint64_t kBranchesToBegin = 250'000;

struct Choice {
  decision::Exits exits;
  double cost = 0;             // over the samples
  std::int64_t differing = 0;  // samples answered otherwise than by the backbone
};

// The `top` subsets of least cost among those allowed that cost less than the
// backbone alone, cheapest first; fewer where fewer pay. An exit that nothing takes is
// in a subset only where it is required or the next one takes its logits. Branch and bound
// over sets of samples: exact, up to rounding of the cost.
// curves: make_curves(records); cost: for as many samples as the records.
// most_branches: the best of so many only, where all would take too long: their number doubles
// with every few candidates. Throws cancel::Cancelled after a signal.
std::vector<Choice> best_subsets(const decision::Records& records,
                                 const std::vector<decision::Curve>& curves,
                                 const decision::CostModel& cost, double tolerance, Budget budget,
                                 const Limits& limits, std::size_t top,
                                 std::uint64_t most_branches = kAllBranches);

// The exits of one subset under a budget, thresholds set as above.
decision::Exits with_budget(const std::vector<decision::Curve>& curves,
                            const std::vector<std::size_t>& subset, double tolerance,
                            Budget budget);

// The n-th (from 1) exit's share of the tolerance in a plan of `exits`.
double share_of(double tolerance, Budget budget, std::size_t n, std::size_t exits);

}  // namespace cachectl::select
