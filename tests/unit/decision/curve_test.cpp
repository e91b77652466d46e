#include "decision/curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace cachectl::decision {
namespace {

TEST(Curves, HaveOneEntryPerDistinctConfidence) {
  ExitRecord record;
  record.confidence = {0.5f, 0.9f, 0.5f, 0.7f};
  record.prediction = {1, 1, 0, 1};
  const Curve curve = make_curve(record, {1, 1, 1, 0});
  EXPECT_THAT(curve.threshold, testing::ElementsAre(0.9f, 0.7f, 0.5f));
  EXPECT_THAT(curve.hits, testing::ElementsAre(1, 2, 4));
  EXPECT_THAT(curve.wrong, testing::ElementsAre(0, 1, 2));
  EXPECT_THAT(curve.order, testing::ElementsAre(1, 3, 0, 2));
  EXPECT_DOUBLE_EQ(curve.hit_rate(1), 0.5);
  EXPECT_DOUBLE_EQ(curve.cache_accuracy(1), 0.5);
  EXPECT_DOUBLE_EQ(curve.drop(1), 0.25);
}

TEST(Thresholds, AreTheLowestWithinTheToleranceOnTheirOwnSplit) {
  Rng rng(3);
  for (int round = 0; round < 200; ++round) {
    ExitRecord record;
    std::vector<std::int32_t> backbone;
    for (std::size_t i = 0; i < 1 + rng.below(60); ++i) {
      record.confidence.push_back(static_cast<float>(1 + rng.below(20)) / 20);
      record.prediction.push_back(static_cast<std::int32_t>(rng.below(2)));
      backbone.push_back(0);
    }
    const Curve curve = make_curve(record, backbone);
    const auto wrong_at = [&](float theta) {
      std::int64_t wrong = 0;
      for (std::size_t i = 0; i < backbone.size(); ++i) {
        wrong += record.confidence[i] >= theta && record.prediction[i] != 0;
      }
      return wrong;
    };
    for (std::int64_t allowed = 0; allowed < 5; ++allowed) {
      const std::size_t entries = curve.within(allowed);
      if (entries > 0) {
        EXPECT_LE(wrong_at(curve.threshold[entries - 1]), allowed);
      }
      if (entries < curve.size()) {
        EXPECT_GT(wrong_at(curve.threshold[entries]), allowed);
      }
    }
  }
}

TEST(Thresholds, AllowWholeSamplesDespiteRounding) {
  EXPECT_EQ(allowed_wrong(0.07, 100), 7);  // 0.07 * 100 is 7.000000000000001 or less
  EXPECT_EQ(allowed_wrong(0.29, 100), 29);
  EXPECT_EQ(allowed_wrong(0.01 / 2, 1000), 5);
  EXPECT_EQ(allowed_wrong(0.0099, 100), 0);
}

}  // namespace
}  // namespace cachectl::decision
