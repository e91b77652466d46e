#pragma once

#include <cstdint>

namespace cachectl::model {

struct Decision {
  std::int32_t label = 0;  // the class with the greatest logit; of equal ones the first
  float confidence = 0;    // its probability after temperature scaling, in (0, 1]
};

// softmax(logits / temperature) of one sample, summed in double. The one place where
// confidences come from: thresholds are compared with >=, so calibration and the engine
// must round alike. logits: [classes], finite; probabilities: [classes], or nullptr.
Decision decide(const float* logits, std::int64_t classes, double temperature,
                float* probabilities = nullptr);

}  // namespace cachectl::model
