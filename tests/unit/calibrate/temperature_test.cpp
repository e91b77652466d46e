#include "calibrate/temperature.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "decision/reliability.h"

namespace cachectl::calibrate {
namespace {

// Targets drawn from softmax(logits / temperature): at that temperature, and at no
// other, the logits are calibrated.
Logits drawn_at(double temperature, std::size_t samples, std::size_t classes, std::uint64_t seed) {
  Rng rng(seed);
  Logits logits{classes, {}, {}};
  for (std::size_t i = 0; i < samples; ++i) {
    std::vector<double> row(classes);
    for (auto& value : row) value = 2 * temperature * rng.normal();
    double sum = 0;
    for (const double value : row) sum += std::exp(value / temperature);
    double left = rng.uniform() * sum;
    std::size_t target = 0;
    while (target + 1 < classes && (left -= std::exp(row[target] / temperature)) > 0) ++target;
    logits.targets.push_back(static_cast<std::int32_t>(target));
    for (const double value : row) logits.values.push_back(static_cast<float>(value));
  }
  return logits;
}

decision::ExitRecord answers_of(const Logits& logits, double temperature) {
  decision::ExitRecord record;
  for (std::size_t i = 0; i < logits.samples(); ++i) {
    const float* row = logits.values.data() + i * logits.classes;
    std::size_t top = 0;
    for (std::size_t c = 1; c < logits.classes; ++c) {
      if (row[c] > row[top]) top = c;
    }
    double sum = 0;
    for (std::size_t c = 0; c < logits.classes; ++c) {
      sum += std::exp((row[c] - row[top]) / temperature);
    }
    record.prediction.push_back(static_cast<std::int32_t>(top));
    record.confidence.push_back(static_cast<float>(1 / sum));
  }
  return record;
}

double ece(const Logits& logits, double temperature) {
  return decision::expected_calibration_error(
      decision::reliability(answers_of(logits, temperature), logits.targets));
}

TEST(Temperature, IsRecoveredToOnePercent) {
  std::uint64_t seed = 1;
  for (const double temperature : {0.3, 0.8, 1.0, 1.7, 2.5, 6.0}) {
    const Logits logits = drawn_at(temperature, 60000, 10, seed++);
    EXPECT_NEAR(fit_temperature(logits), temperature, 0.01 * temperature);
  }
}

TEST(Temperature, MendsTheCalibrationAsGuoEtAlFound) {
  for (const double temperature : {0.5, 2.5}) {  // under- and overconfident as they stand
    const Logits logits = drawn_at(temperature, 20000, 10, 7);
    EXPECT_GT(ece(logits, 1), 0.03);
    EXPECT_LT(ece(logits, fit_temperature(logits)), 0.01);
  }
}

TEST(Temperature, IsWhereAFineGridFindsTheLeastLoss) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    Logits logits{3, {}, {}};
    for (int i = 0; i < 40; ++i) {
      for (int c = 0; c < 3; ++c) logits.values.push_back(static_cast<float>(5 * rng.normal()));
      logits.targets.push_back(static_cast<std::int32_t>(rng.below(3)));
    }
    const double fitted = fit_temperature(logits);
    const double least = negative_log_likelihood(logits, fitted);
    for (double t = kLowestTemperature; t <= kHighestTemperature; t *= 1.01) {
      EXPECT_GE(negative_log_likelihood(logits, t), least - 1e-12) << "at " << t;
    }
  }
}

TEST(Temperature, StaysInItsRangeWhereNoneIsBest) {
  const Logits sure{2, {3, -3, -3, 3}, {0, 1}};  // ever sharper is ever better
  EXPECT_EQ(fit_temperature(sure), kLowestTemperature);
  const Logits contrary{2, {3, -3, -3, 3}, {1, 0}};
  EXPECT_EQ(fit_temperature(contrary), kHighestTemperature);
  const Logits constant{2, {1, 1, 2, 2}, {0, 1}};
  EXPECT_EQ(fit_temperature(constant), kHighestTemperature);
  EXPECT_EQ(fit_temperature(Logits{2, {}, {}}), 1);
}

TEST(Temperature, BearsGreatLogits) {
  const Logits logits{2, {1e4f, -1e4f, 1e4f, -1e4f, -1e4f, 1e4f}, {0, 1, 1}};
  const double fitted = fit_temperature(logits);
  EXPECT_TRUE(std::isfinite(negative_log_likelihood(logits, fitted)));
  EXPECT_EQ(fitted, kHighestTemperature);  // the true optimum, 20000 / ln 2, lies beyond
}

}  // namespace
}  // namespace cachectl::calibrate
