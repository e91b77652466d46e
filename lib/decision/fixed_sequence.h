#pragma once

#include <cstdint>
#include <functional>
#include <vector>

// Exact tests for a risk that is the mean of a 0/1 loss, and Learn-then-Test with
// fixed-sequence testing over them (Angelopoulos et al. 2021).
namespace cachectl::decision {

// P[X <= k] for X ~ Binomial(n, p). n >= 0, p in [0, 1]; 0 for k < 0, 1 for k >= n.
double binomial_cdf(std::int64_t k, std::int64_t n, double p);

// The p-value of "the risk exceeds epsilon" after k losses in n samples.
inline double p_value(std::int64_t k, std::int64_t n, double epsilon) {
  return binomial_cdf(k, n, epsilon);
}

// The greatest k with p_value(k, n, epsilon) <= delta; -1 when even 0 losses don't do.
std::int64_t losses_allowed(std::int64_t n, double epsilon, double delta);

// The least n for which k losses still pass. epsilon, delta in (0, 1).
std::int64_t samples_needed(std::int64_t k, double epsilon, double delta);

// The least risk that k losses in n samples rule out being exceeded, at level delta:
// the exact (Clopper-Pearson) one-sided upper bound. 1 when n is 0 or k == n.
double upper_bound(std::int64_t k, std::int64_t n, double delta);

struct Test {
  std::int64_t losses = 0;
  double p = 1;
  bool passed = false;
};

struct SequenceResult {
  std::vector<Test> tests;    // those that were made, the failing one last
  std::size_t certified = 0;  // how many items, from the first, are certified
};

// Tests items 0, 1, ... in that order and stops at the first with p > delta: the
// items before it are certified, all of them at once, with probability 1 - delta.
// losses(j): how many of the n certifying samples item j loses; asked in order, and
// only as far as the testing goes. The items and their order must not depend on
// those samples.
SequenceResult test_in_sequence(std::size_t items, std::int64_t n, double epsilon, double delta,
                                const std::function<std::int64_t(std::size_t)>& losses);

}  // namespace cachectl::decision
