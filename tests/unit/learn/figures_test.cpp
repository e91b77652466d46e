#include "learn/figures.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace cachectl::learn {
namespace {

Answers random_answers(std::size_t samples, std::uint64_t seed) {
  Rng rng(seed);
  Answers answers;
  for (std::size_t i = 0; i < samples; ++i) {
    // Coarse, so that some are equal; surer answers are right more often.
    const auto confidence = static_cast<float>(rng.below(20) + 1) / 20;
    answers.confidences.push_back(confidence);
    answers.backbone.push_back(static_cast<std::int32_t>(rng.below(3)));
    const bool right = rng.uniform() < confidence;
    answers.predictions.push_back(right ? answers.backbone.back()
                                        : (answers.backbone.back() + 1) % 3);
  }
  return answers;
}

// The definition, threshold by threshold.
double utility_by_hand(const Answers& answers, double behind, double cost, double tolerance) {
  const auto samples = static_cast<double>(answers.predictions.size());
  double best = -cost;  // a threshold above all confidences
  for (const float threshold : answers.confidences) {
    double hits = 0, wrong = 0;
    for (std::size_t i = 0; i < answers.predictions.size(); ++i) {
      if (answers.confidences[i] < threshold) continue;
      ++hits;
      if (answers.predictions[i] != answers.backbone[i]) ++wrong;
    }
    const double hit_rate = hits / samples, cache_accuracy = (hits - wrong) / hits;
    if (hit_rate * (1 - cache_accuracy) <= tolerance + 1e-12) {
      best = std::max(best, hit_rate * behind - cost);
    }
  }
  return best;
}

TEST(Judge, IsTheGreatestUtilityOverAllThresholdsWithinTheTolerance) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto answers = random_answers(100, seed);
    for (const double tolerance : {0.0, 0.01, 0.05, 0.2, 1.0}) {
      EXPECT_NEAR(judge(answers, 100, 7, tolerance).utility,
                  utility_by_hand(answers, 100, 7, tolerance), 1e-9)
          << "seed " << seed << ", tolerance " << tolerance;
    }
  }
}

TEST(Judge, WithoutAnyAllowedHitLosesTheCostOfLookingUp) {
  Answers answers;
  answers.predictions = {0, 1};
  answers.backbone = {1, 0};
  answers.confidences = {0.9f, 0.8f};
  const auto figures = judge(answers, 100, 7, 0.1);
  EXPECT_EQ(figures.utility, -7);
  EXPECT_EQ(figures.hit_rate, 0);
  EXPECT_EQ(figures.agreement, 0);
}

TEST(Answers, TakeClassAndConfidenceFromTheLogits) {
  Answers answers;
  answers.add(at::tensor({0.0f, 2.0f, 0.0f, 1.0f}).reshape({2, 2}),
              at::tensor({0.2f, 0.8f, 0.7f, 0.3f}).reshape({2, 2}));
  EXPECT_EQ(answers.predictions, (std::vector<std::int32_t>{1, 1}));
  EXPECT_EQ(answers.backbone, (std::vector<std::int32_t>{1, 0}));
  EXPECT_NEAR(answers.confidences[0], std::exp(2.0) / (1 + std::exp(2.0)), 1e-6);
  double divergence = 0;
  const double pd[2][2] = {{0.2, 0.8}, {0.7, 0.3}}, logits[2][2] = {{0, 2}, {0, 1}};
  for (int i = 0; i < 2; ++i) {
    const double norm = std::log(std::exp(logits[i][0]) + std::exp(logits[i][1]));
    for (int c = 0; c < 2; ++c) {
      divergence += pd[i][c] * (std::log(pd[i][c]) - (logits[i][c] - norm));
    }
  }
  EXPECT_NEAR(answers.divergence_sum, divergence, 1e-5);
}

TEST(Chance, IsTheShareOfTheMostFrequentClass) {
  const at::Tensor pd = at::one_hot(at::tensor({0, 2, 2, 1}, at::kLong), 4).to(at::kFloat);
  EXPECT_EQ(chance_agreement(pd), 0.5);
  EXPECT_FALSE(beats_chance(0.5, 0.5, 1000));
  EXPECT_FALSE(beats_chance(0.54, 0.5, 1000));  // 2.5 standard deviations
  EXPECT_TRUE(beats_chance(0.56, 0.5, 1000));
}

}  // namespace
}  // namespace cachectl::learn
