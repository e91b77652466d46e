#include "decision/cost.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace cachectl::decision {
namespace {

TEST(FlopsCost, IsProportionalToTheSamplesThatReach) {
  const CostModel cost = flops_cost(10, {30, 70}, 100, {2, 3});
  EXPECT_DOUBLE_EQ(cost.plain(), 1000);
  EXPECT_DOUBLE_EQ(cost.segments(0, 1, 10), 300);
  EXPECT_DOUBLE_EQ(cost.segments(1, 3, 4), 4 * 70);
  EXPECT_DOUBLE_EQ(cost.look_up(1, 7), 21);
}

TEST(Timing, IsLinearBetweenAndProportionalBeyondTheMeasuredSizes) {
  const Timing timing{{2, 8, 32}, {1, 4, 10}};
  EXPECT_DOUBLE_EQ(timing.at(0), 0);
  EXPECT_DOUBLE_EQ(timing.at(1), 1);
  EXPECT_DOUBLE_EQ(timing.at(5), 2.5);
  EXPECT_DOUBLE_EQ(timing.at(32), 10);
  EXPECT_DOUBLE_EQ(timing.at(64), 20);
}

TEST(LatencyCost, AtBatchOneIsTheShareThatReaches) {
  const Timing a{{1}, {2e-3}}, b{{1}, {5e-3}}, probe{{1}, {1e-4}};
  const CostModel cost = latency_cost(100, 1, {a, b}, {probe});
  EXPECT_NEAR(cost.plain(), 100 * 7e-3, 1e-12);
  EXPECT_NEAR(cost.segments(1, 2, 40), 40 * 5e-3, 1e-12);
  EXPECT_NEAR(cost.look_up(0, 100), 100 * 1e-4, 1e-12);
}

// Batches drawn at random from samples of which some survive.
TEST(LatencyCost, IsTheMeanTimeOfRandomBatches) {
  const Timing segment{{1, 4, 16}, {3, 4, 9}};
  const CostModel cost = latency_cost(1000, 16, {segment, segment}, {segment});
  Rng rng(5);
  for (const std::size_t survivors : {20u, 300u, 900u}) {
    double sum = 0;
    const int batches = 200000;
    for (int i = 0; i < batches; ++i) {
      std::int64_t size = 0;
      for (int k = 0; k < 16; ++k) size += rng.below(1000) < survivors;
      sum += segment.at(size);
    }
    const double expected = sum / batches * 1000 / 16;
    EXPECT_NEAR(cost.segments(1, 2, survivors), expected, 0.01 * expected);
  }
}

TEST(CostModel, RaisesTimingsThatFallByNoise) {
  const CostModel cost("seconds", {{0, 3, 2, 4}, {0, 1, 1, 1}}, {{0, 1, 1, 1}});
  EXPECT_DOUBLE_EQ(cost.segments(0, 1, 2), 3);
  EXPECT_DOUBLE_EQ(cost.segments(0, 1, 3), 4);
}

}  // namespace
}  // namespace cachectl::decision
