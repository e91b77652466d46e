#include "decision/fixed_sequence.h"

#include <cassert>
#include <cmath>

namespace cachectl::decision {

double binomial_cdf(std::int64_t k, std::int64_t n, double p) {
  assert(n >= 0 && p >= 0 && p <= 1);
  if (k < 0) return 0;
  if (k >= n || p == 0) return 1;
  if (p == 1) return 0;
  // The terms in logarithms, so that none underflows; summed from the greatest term
  // down, in the tail that is asked for.
  const double size = static_cast<double>(n), log_odds = std::log(p) - std::log1p(-p);
  const bool lower = static_cast<double>(k) < size * p;
  const std::int64_t first = lower ? k : k + 1;
  const double at = static_cast<double>(first);
  double log_term = std::lgamma(size + 1) - std::lgamma(at + 1) - std::lgamma(size - at + 1) +
                    at * log_odds + size * std::log1p(-p);
  double sum = 0, term = 1;  // relative to the first term
  const double odds = std::exp(log_odds);
  if (lower) {
    for (std::int64_t i = first; i >= 0 && term > 1e-18 * sum; --i) {
      sum += term;
      term *= static_cast<double>(i) / (static_cast<double>(n - i + 1) * odds);
    }
    return std::exp(log_term + std::log(sum));
  }
  for (std::int64_t i = first; i <= n && term > 1e-18 * sum; ++i) {
    sum += term;
    term *= static_cast<double>(n - i) / static_cast<double>(i + 1) * odds;
  }
  return 1 - std::exp(log_term + std::log(sum));
}

std::int64_t losses_allowed(std::int64_t n, double epsilon, double delta) {
  std::int64_t k = -1;
  while (k + 1 < n && p_value(k + 1, n, epsilon) <= delta) ++k;
  return k;
}

std::int64_t samples_needed(std::int64_t k, double epsilon, double delta) {
  assert(epsilon > 0 && epsilon < 1 && delta > 0 && delta < 1 && k >= 0);
  std::int64_t fails = k, passes = k + 1;  // the p-value falls as n grows
  while (p_value(k, passes, epsilon) > delta) {
    fails = passes;
    passes *= 2;
  }
  while (passes - fails > 1) {
    const std::int64_t middle = fails + (passes - fails) / 2;
    (p_value(k, middle, epsilon) > delta ? fails : passes) = middle;
  }
  return passes;
}

double upper_bound(std::int64_t k, std::int64_t n, double delta) {
  if (n == 0 || k >= n) return 1;
  double low = 0, high = 1;  // the p-value falls as the risk grows
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (binomial_cdf(k, n, middle) > delta ? low : high) = middle;
  }
  return high;
}

SequenceResult test_in_sequence(std::size_t items, std::int64_t n, double epsilon, double delta,
                                const std::function<std::int64_t(std::size_t)>& losses) {
  SequenceResult result;
  for (std::size_t item = 0; item < items; ++item) {
    Test test;
    test.losses = losses(item);
    test.p = p_value(test.losses, n, epsilon);
    test.passed = test.p <= delta;
    result.tests.push_back(test);
    if (!test.passed) break;
    ++result.certified;
  }
  return result;
}

}  // namespace cachectl::decision
