#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "artifact/report.h"

namespace cachectl::eval {

// The exact (Clopper-Pearson 1934) two-sided 95 % interval of a share: `count` of
// `samples`. No samples: NaN in [0, 1].
artifact::Interval share_of(std::int64_t count, std::int64_t samples);

// 95 % percentile bootstrap of a statistic over `size` items. statistic: of a
// resample, given as positions in [0, size); value: of all items.
artifact::Interval bootstrap(
    std::int64_t size, std::int64_t resamples, std::uint64_t seed, double value,
    const std::function<double(const std::vector<std::int64_t>&)>& statistic);

// 95 % interval of the mean of values in {-1, 0, 1}, from their counts. From kSignsToResample
// values other than 0 on by bootstrap: the resample of such values is multinomial, drawn value by
// value all the same. With fewer, where resamples hardly differ, the share of -1 and that of 1 are
// bounded by Clopper and Pearson, 2.5 % at each end, and the bounds subtracted: no narrower than
// 95 %, as the errors of two shares seldom meet. No values: NaN in [-1, 1].
inline constexpr std::int64_t kSignsToResample = 20;
artifact::Interval mean_of_signs(std::int64_t minus, std::int64_t zero, std::int64_t plus,
                                 std::int64_t resamples, std::uint64_t seed);

// Linear between order statistics (Hyndman and Fan 1996, type 7). q in [0, 1]; NaN when empty.
double quantile(std::vector<double> values, double q);
artifact::Quantiles quantiles_of(const std::vector<double>& values);

}  // namespace cachectl::eval
