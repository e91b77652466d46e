#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "base/random.h"
#include "eval/tables.h"
#include "eval/trade.h"

namespace cachectl::eval {
namespace {

// From tables of exact binomial confidence limits: Clopper and Pearson 1934 as printed in
// textbooks to four digits, and for no losses the closed form 1 - 0.025^(1/n).
TEST(Intervals, AreClopperAndPearsons) {
  const auto expect = [](std::int64_t count, std::int64_t samples, double low, double high) {
    const artifact::Interval interval = share_of(count, samples);
    EXPECT_NEAR(interval.low, low, 6e-5) << count << " of " << samples;
    EXPECT_NEAR(interval.high, high, 6e-5) << count << " of " << samples;
  };
  expect(0, 10, 0, 0.3085);
  expect(1, 10, 0.0025, 0.4450);
  expect(5, 10, 0.1871, 0.8129);
  expect(10, 10, 0.6915, 1);
  expect(1, 20, 0.0013, 0.2487);
  expect(0, 3000, 0, 1 - std::pow(0.025, 1.0 / 3000));
}

TEST(Intervals, OfNothingSayNothing) {
  const artifact::Interval interval = share_of(0, 0);
  EXPECT_TRUE(std::isnan(interval.value));
  EXPECT_EQ(interval.low, 0);
  EXPECT_EQ(interval.high, 1);
}

TEST(Bootstrap, OfAMeanIsNearItsStandardError) {
  // Values -1, 0, 1 with variance v: the 95 % interval is about 1.96 sqrt(v / n) each way.
  const artifact::Interval interval = mean_of_signs(60, 920, 20, 4000, 3);
  EXPECT_DOUBLE_EQ(interval.value, -0.04);
  const double error = 1.96 * std::sqrt((0.08 - 0.0016) / 1000);
  EXPECT_NEAR(interval.low, -0.04 - error, 0.1 * error);
  EXPECT_NEAR(interval.high, -0.04 + error, 0.1 * error);
}

TEST(Signs, WithoutADifferenceAreBoundedByWhatCouldHaveBeenMissed) {
  const artifact::Interval interval = mean_of_signs(0, 3000, 0, 2000, 3);
  EXPECT_EQ(interval.value, 0);
  const double missed = 1 - std::pow(0.025, 1.0 / 3000);  // 0.12 points
  EXPECT_NEAR(interval.low, -missed, 1e-9);
  EXPECT_NEAR(interval.high, missed, 1e-9);
  EXPECT_NEAR(missed, 0.00123, 1e-5);
}

TEST(Signs, WithFewDifferencesCoverTheTruthAsOftenAsTheySay) {
  constexpr int kDraws = 1500, kSamples = 2000;
  const std::pair<double, double> rates[] = {{0, 0.0005}, {0.0005, 0.0005}, {0.002, 0.0005}};
  for (const auto& [losing, winning] : rates) {
    Rng rng(derive_seed(5, "signs"));
    int covered = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      std::int64_t minus = 0, plus = 0;
      for (int i = 0; i < kSamples; ++i) {
        const double value = rng.uniform();
        minus += value < losing ? 1 : 0;
        plus += value >= losing && value < losing + winning ? 1 : 0;
      }
      ASSERT_LT(minus + plus, kSignsToResample);
      const artifact::Interval interval =
          mean_of_signs(minus, kSamples - minus - plus, plus, 200, 1);
      const double truth = winning - losing;
      covered += interval.low <= truth && truth <= interval.high ? 1 : 0;
    }
    EXPECT_GE(covered, 0.95 * kDraws) << losing << ' ' << winning;
  }
}

TEST(Signs, OfNothingSayNothing) {
  const artifact::Interval interval = mean_of_signs(0, 0, 0, 2000, 3);
  EXPECT_TRUE(std::isnan(interval.value));
  EXPECT_EQ(interval.low, -1);
  EXPECT_EQ(interval.high, 1);
}

TEST(Quantiles, LieBetweenOrderStatistics) {
  const std::vector<double> values = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 0.9), 3.7);  // numpy.quantile
  EXPECT_DOUBLE_EQ(quantile(values, 1), 4);
  EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
}

TEST(TradeOff, AreaCountsTheBestWithinACost) {
  EXPECT_DOUBLE_EQ(area_under({1}, {0.9}), 0);  // nothing is cheaper than the backbone
  EXPECT_DOUBLE_EQ(area_under({0.5, 1}, {0.8, 0.9}), 0.4);
  EXPECT_DOUBLE_EQ(area_under({1, 0.5, 0.75}, {0.9, 0.8, 0.6}), 0.4);  // a worse point adds nothing
  EXPECT_DOUBLE_EQ(area_under({0.5, 1.5}, {0.8, 0.9}), 0.4);
  EXPECT_TRUE(std::isnan(area_under({0.5, NAN}, {0.8, 0.9})));
}

TEST(Csv, QuotesWhatNeedsIt) {
  EXPECT_EQ(csv_of({"s", {"a", "b"}, {{"conv3x3-8, fc16", "1"}, {"say \"hi\"", "2"}}}),
            "a,b\n\"conv3x3-8, fc16\",1\n\"say \"\"hi\"\"\",2\n");
}

}  // namespace
}  // namespace cachectl::eval
