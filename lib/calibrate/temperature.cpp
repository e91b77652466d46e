#include "calibrate/temperature.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace cachectl::calibrate {
namespace {

// Mean loss and its first two derivatives by beta = 1 / temperature.
struct Loss {
  double value = 0, slope = 0, curvature = 0;
};

Loss loss_at(const Logits& logits, double beta) {
  assert(logits.values.size() == logits.samples() * logits.classes);
  Loss total;
  for (std::size_t i = 0; i < logits.samples(); ++i) {
    const float* row = logits.values.data() + i * logits.classes;
    const double top = *std::max_element(row, row + logits.classes);
    double sum = 0, mean = 0, square = 0;  // of exp(beta z), weighted by z and its square
    for (std::size_t c = 0; c < logits.classes; ++c) {
      const double z = row[c] - top;
      const double weight = std::exp(beta * z);
      sum += weight;
      mean += weight * z;
      square += weight * z * z;
    }
    mean /= sum;
    const double target = row[logits.targets[i]] - top;
    total.value += std::log(sum) - beta * target;
    total.slope += mean - target;
    total.curvature += square / sum - mean * mean;
  }
  const auto samples = static_cast<double>(logits.samples());
  return {total.value / samples, total.slope / samples, total.curvature / samples};
}

}  // namespace

double negative_log_likelihood(const Logits& logits, double temperature) {
  return loss_at(logits, 1 / temperature).value;
}

double fit_temperature(const Logits& logits) {
  if (logits.samples() == 0) return 1;
  double low = 1 / kHighestTemperature, high = 1 / kLowestTemperature;
  if (loss_at(logits, low).slope >= 0) return kHighestTemperature;
  if (loss_at(logits, high).slope <= 0) return kLowestTemperature;
  double beta = 1;
  for (int step = 0; step < 200 && high - low > 1e-10 * low; ++step) {
    const Loss loss = loss_at(logits, beta);
    (loss.slope < 0 ? low : high) = beta;
    const double newton = loss.curvature > 0 ? beta - loss.slope / loss.curvature : 0;
    // Outside the bracket, or on its edge where rounding holds it: halve instead, in
    // the geometric mean, since the bracket spans decades.
    const bool inside = newton > low && newton < high;
    const double next = inside ? newton : std::sqrt(low * high);
    if (std::abs(next - beta) <= 1e-12 * beta) break;
    beta = next;
  }
  return 1 / beta;
}

}  // namespace cachectl::calibrate
