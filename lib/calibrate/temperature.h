#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// Temperature scaling (Guo et al. 2017): one scalar per cache model.
namespace cachectl::calibrate {

// Logits of N samples, row by row, and the class each should have had: the backbone's.
struct Logits {
  std::size_t classes = 0;
  std::vector<float> values;          // [N * classes], finite
  std::vector<std::int32_t> targets;  // [N], in [0, classes)
  std::size_t samples() const { return targets.size(); }
};

// Mean negative log-likelihood of the targets under softmax(logits / temperature).
double negative_log_likelihood(const Logits& logits, double temperature);

// Where no finite temperature is best (every target is the top class, or the logits
// say nothing of the targets) the nearer of these stands.
inline constexpr double kLowestTemperature = 0.05, kHighestTemperature = 100;

// The temperature of least mean negative log-likelihood, to a relative error of 1e-9:
// the likelihood is convex in 1 / temperature, and Newton's method on its derivative,
// held in a shrinking bracket, finds the one minimum. 1 when there is no sample.
double fit_temperature(const Logits& logits);

}  // namespace cachectl::calibrate
