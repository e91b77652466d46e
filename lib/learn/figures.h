#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace cachectl::learn {

// What a cache model answers for a list of samples.
struct Answers {
  std::vector<std::int32_t> predictions, backbone;  // classes
  std::vector<float> confidences;                   // of the prediction
  double divergence_sum = 0;                        // Kullback-Leibler, over the samples

  // logits, pd: float32 [B, classes].
  void add(const at::Tensor& logits, const at::Tensor& pd);
  bool all_finite() const;
};

// What a cache model is worth on validation samples.
struct Figures {
  double utility = 0;     // FLOPs saved per sample: HR * C2 - C1 at the best threshold allowed
  double agreement = 0;   // with the backbone, over all samples
  double divergence = 0;  // mean
  double hit_rate = 0, cache_accuracy = 0;  // at that threshold
};

// U = max over theta { HR(theta) * behind - cost : HR(theta) * (1 - CA(theta)) <= tolerance }.
// behind: C2, the FLOPs that follow the layer; cost: C1, the cache model's.
Figures judge(const Answers& answers, double behind, double cost, double tolerance);

// The share of the backbone's most frequent class: what agrees without looking.
double chance_agreement(const at::Tensor& pd);
// Whether an agreement over n samples lies more than three standard deviations above chance.
bool beats_chance(double agreement, double chance, std::int64_t samples);

}  // namespace cachectl::learn
