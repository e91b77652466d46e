#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "decision/fixed_sequence.h"

namespace cachectl::eval {

namespace {
constexpr double kTail = 0.025;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
}  // namespace

artifact::Interval share_of(std::int64_t count, std::int64_t samples) {
  if (samples == 0) return {kNone, 0, 1};
  return {static_cast<double>(count) / static_cast<double>(samples),
          1 - decision::upper_bound(samples - count, samples, kTail),
          decision::upper_bound(count, samples, kTail)};
}

artifact::Interval bootstrap(
    std::int64_t size, std::int64_t resamples, std::uint64_t seed, double value,
    const std::function<double(const std::vector<std::int64_t>&)>& statistic) {
  if (size == 0 || resamples == 0) return {value, kNone, kNone};
  Rng rng(derive_seed(seed, "bootstrap"));
  std::vector<std::int64_t> drawn(static_cast<std::size_t>(size));
  std::vector<double> statistics;
  for (std::int64_t r = 0; r < resamples; ++r) {
    for (std::int64_t& position : drawn) {
      position = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(size)));
    }
    statistics.push_back(statistic(drawn));
  }
  return {value, quantile(statistics, kTail), quantile(statistics, 1 - kTail)};
}

artifact::Interval mean_of_signs(std::int64_t minus, std::int64_t zero, std::int64_t plus,
                                 std::int64_t resamples, std::uint64_t seed) {
  const std::int64_t samples = minus + zero + plus;
  if (samples == 0) return {kNone, -1, 1};
  const double value = static_cast<double>(plus - minus) / static_cast<double>(samples);
  if (minus + plus < kSignsToResample) {
    const artifact::Interval won = share_of(plus, samples), lost = share_of(minus, samples);
    return {value, won.low - lost.high, won.high - lost.low};
  }
  return bootstrap(samples, resamples, seed, value, [&](const std::vector<std::int64_t>& drawn) {
    std::int64_t sum = 0;
    for (const std::int64_t position : drawn) {
      sum += position < minus ? -1 : position < minus + plus ? 1 : 0;
    }
    return static_cast<double>(sum) / static_cast<double>(samples);
  });
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return kNone;
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

artifact::Quantiles quantiles_of(const std::vector<double>& values) {
  if (values.empty()) return {kNone, kNone, kNone, kNone};
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return {sum / static_cast<double>(values.size()), quantile(values, 0.5), quantile(values, 0.9),
          quantile(values, 0.99)};
}

}  // namespace cachectl::eval
