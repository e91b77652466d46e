#include "model/confidence.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace cachectl::model {

Decision decide(const float* logits, std::int64_t classes, double temperature,
                float* probabilities) {
  assert(classes > 0 && temperature > 0);
  const float* const best = std::max_element(logits, logits + classes);
  const double scale = 1 / temperature;
  double sum = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    const double power = std::exp((static_cast<double>(logits[c]) - *best) * scale);
    if (probabilities != nullptr) probabilities[c] = static_cast<float>(power);
    sum += power;
  }
  if (probabilities != nullptr) {
    const double inverse = 1 / sum;
    for (std::int64_t c = 0; c < classes; ++c) {
      probabilities[c] = static_cast<float>(probabilities[c] * inverse);
    }
  }
  return {static_cast<std::int32_t>(best - logits), static_cast<float>(1 / sum)};
}

}  // namespace cachectl::model
