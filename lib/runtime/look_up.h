#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "artifact/caches.h"

namespace cachectl::runtime {

// A cache model as the engine sees it, whatever its kind: from an activation to logits,
// at a cost. Immutable; safe from several threads.
class LookUp {
 public:
  virtual ~LookUp() = default;
  // activation: [B, ...], dense in any memory format, at the backbone's precision; it is
  // left as it is. Returns [B, classes], float32, on the activation's device.
  virtual at::Tensor logits(const at::Tensor& activation) const = 0;
  virtual double flops() const = 0;         // per sample
  virtual std::int64_t bytes() const = 0;   // of the weights, as run
};

// precision: float32, bfloat16. Throws Error(kCorrupt) when the weights don't fit the
// architecture.
std::shared_ptr<const LookUp> make_look_up(const artifact::TrainedCache& cache,
                                           std::int64_t classes, const std::string& precision,
                                           const std::string& device);

}  // namespace cachectl::runtime
