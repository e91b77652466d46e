#include "decision/reliability.h"

#include <gtest/gtest.h>

namespace cachectl::decision {
namespace {

TEST(Reliability, SetsAgreementBesideConfidence) {
  const ExitRecord record{{0, 0, 1, 1}, {0.5f, 0.45f, 0.95f, 1.0f}};
  const auto bins = reliability(record, {0, 1, 1, 1}, 10);
  ASSERT_EQ(bins.size(), 10u);
  EXPECT_EQ(bins[4].samples, 2);  // (0.4, 0.5]
  EXPECT_DOUBLE_EQ(bins[4].agreement, 0.5);
  EXPECT_NEAR(bins[4].confidence, 0.475, 1e-6);
  EXPECT_EQ(bins[9].samples, 2);
  EXPECT_DOUBLE_EQ(bins[9].agreement, 1);
  // By hand: (2 * |0.5 - 0.475| + 2 * |1 - 0.975|) / 4
  EXPECT_NEAR(expected_calibration_error(bins), 0.025, 1e-6);
}

TEST(Reliability, OfNoSamplesIsNoError) {
  EXPECT_EQ(expected_calibration_error(reliability({}, {})), 0);
}

}  // namespace
}  // namespace cachectl::decision
