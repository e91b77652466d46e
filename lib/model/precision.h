#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace cachectl::model {

// "float32" or "bfloat16" for "auto", "float32" or "bfloat16": auto is bfloat16 where
// the device multiplies it natively (AVX-512 BF16, AMX; CUDA). Throws Error (usage).
std::string resolved_precision(const std::string& precision, const at::Device& device);

// While it lives, operations that gain by it run in bfloat16 on this thread; weights
// and reductions stay float32.
class MixedPrecision {
 public:
  MixedPrecision(bool is_on, const at::Device& device);
  ~MixedPrecision();
  MixedPrecision(const MixedPrecision&) = delete;
  MixedPrecision& operator=(const MixedPrecision&) = delete;

 private:
  const bool is_on_;
  const at::DeviceType type_;
};

}  // namespace cachectl::model
