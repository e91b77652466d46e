#include "eval/outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/expect_error.h"

namespace cachectl::eval {
namespace {

using artifact::Verdict;

TEST(Verdicts, AreTheFiveClassesOfTheSpecification) {
  EXPECT_EQ(verdict_of(1, 1, 1), Verdict::kBothRight);
  EXPECT_EQ(verdict_of(1, 1, 2), Verdict::kBothWrongAlike);
  EXPECT_EQ(verdict_of(1, 2, 1), Verdict::kBackboneRight);
  EXPECT_EQ(verdict_of(1, 2, 2), Verdict::kCacheRight);
  EXPECT_EQ(verdict_of(1, 2, 3), Verdict::kBothWrongApart);
}

// Five samples, worked out by hand.
Recording by_hand() {
  Recording recording;
  recording.models = {{"layer", "linear", 2}};
  recording.records.backbone = {0, 0, 1, 1, 2};
  recording.records.exits = {{{0, 1, 1, 2, 2}, {0.9f, 0.8f, 0.8f, 0.6f, 0.5f}}};
  recording.raw = {{0.95f, 0.9f, 0.9f, 0.7f, 0.55f}};
  recording.truth = {0, 1, 1, 1, labels::kUnknown};
  recording.indices = {0, 1, 2, 3, 4};
  recording.ids = {10, 11, 12, 13, 14};
  return recording;
}

TEST(CurveAlone, CountsHitsAgreementAndTruth) {
  using testing::DoubleEq;
  using testing::ElementsAre;
  const artifact::CurveAlone curve = curve_alone(by_hand(), 0, 100, 0);
  EXPECT_THAT(curve.hit_rate, ElementsAre(0.2, 0.6, 0.8, 1.0));
  EXPECT_THAT(curve.cache_accuracy,
              ElementsAre(1.0, DoubleEq(1 - 1.0 / 3), 0.5, DoubleEq(1 - 2.0 / 5)));
  EXPECT_THAT(curve.drop, ElementsAre(0.0, 0.2, 0.4, 0.4));
  // Right among the hits with a label: 1 of 1, 3 of 3, 3 of 4, 3 of 4.
  EXPECT_THAT(curve.gt_accuracy, ElementsAre(1.0, 1.0, 0.75, 0.75));
  // Against the backbone's 1, 2, 3, 3 right, over 4 labels.
  EXPECT_THAT(curve.effect, ElementsAre(0.0, 0.25, 0.0, 0.0));
}

TEST(CurveAlone, HasNoTruthWithoutLabels) {
  Recording recording = by_hand();
  recording.truth.clear();
  const artifact::CurveAlone curve = curve_alone(recording, 0, 100, 0);
  EXPECT_TRUE(curve.gt_accuracy.empty());
  EXPECT_TRUE(curve.effect.empty());
}

TEST(CurveAlone, KeepsFirstAndLastWhenThinned) {
  const artifact::CurveAlone curve = curve_alone(by_hand(), 0, 1, 0);
  EXPECT_THAT(curve.hit_rate, testing::ElementsAre(0.2, 1.0));
  EXPECT_THAT(curve.effect, testing::ElementsAre(0.0, 0.0));
  // And what the tolerance allows, which the tables tell.
  EXPECT_THAT(curve_alone(by_hand(), 0, 1, 0.25).hit_rate, testing::ElementsAre(0.2, 0.6, 1.0));
}

TEST(Reliability, BinsAreClosedAbove) {
  const artifact::Reliability reliability = reliability_of(by_hand(), 0, 2);
  EXPECT_THAT(reliability.edge, testing::ElementsAre(0.0, 0.5, 1.0));
  EXPECT_THAT(reliability.count_after, testing::ElementsAre(1, 4));
  EXPECT_THAT(reliability.count_before, testing::ElementsAre(0, 5));
  EXPECT_DOUBLE_EQ(reliability.agreement_after[1], 0.5);
  EXPECT_NEAR(reliability.confidence_after[1], 0.775, 1e-6);
  EXPECT_TRUE(std::isnan(reliability.agreement_before[0]));
  EXPECT_NEAR(reliability.ece_after, (0.5 + 1.1) / 5, 1e-6);
}

TEST(Confidence, WithoutTemperatureIsTheSoftmaxOfTheLogits) {
  const double logits[] = {1.0, 3.0, -0.5}, temperature = 2.5;
  double sum = 0, plain = 0;
  float probabilities[3];
  for (const double logit : logits) {
    sum += std::exp(logit / temperature);
    plain += std::exp(logit);
  }
  for (int c = 0; c < 3; ++c) {
    probabilities[c] = static_cast<float>(std::exp(logits[c] / temperature) / sum);
  }
  EXPECT_NEAR(without_temperature(probabilities, 3, temperature), std::exp(3.0) / plain, 1e-6);
}

TEST(TestPart, RefusesSamplesThatAnEarlierStepUsed) {
  artifact::PlanFile plan;
  plan.train_ids = {1, 2, 3};
  plan.validation_ids = {4};
  plan.certify_ids = {5, 6};
  EXPECT_NO_THROW(require_unseen({7, 8}, plan, "plan.h5", "data"));
  expect_error(
      [&] {
        require_unseen({2, 3, 9}, plan, "plan.h5", "data");
      },
      ExitCode::kIncompatible, "2 of the 3 samples to evaluate on served to train");
  expect_error(
      [&] {
        require_unseen({6, 9}, plan, "plan.h5", "data");
      },
      ExitCode::kIncompatible, "1 of the 2 samples to evaluate on served for its certificate");
}

}  // namespace
}  // namespace cachectl::eval
