#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "artifact/medial.h"

// Between activations as a backbone computes them and as a medial file holds them.
namespace cachectl::artifact {

at::ScalarType scalar_type_of(io::DType dtype);

// What did not survive the conversion: a NaN or an infinity, in the activation or made by
// the stored dtype's range.
struct BadValue {
  std::int64_t row = 0;  // of the batch
  float value = 0;       // as computed
};

// activation: [B, ...shape], float32 or bfloat16, dense, in any memory format.
// out: [B, ...shape] contiguous in scalar_type_of(layer.stored), overwritten.
// int8: values beyond the scale are clipped and counted in `clipped`.
// Uses ATen's threads. Returns the first bad value's row; then `out` is not to be used.
std::optional<BadValue> encode(const at::Tensor& activation, const MedialLayer& layer,
                               at::Tensor& out, std::int64_t& clipped);

// stored: [n, ...shape] as encode() made it. Returns float32.
at::Tensor decode(const at::Tensor& stored, const MedialLayer& layer);

// One row of layer.row_bytes() into layer.values() values, in the calling thread alone.
void decode_row(const void* stored, const MedialLayer& layer, float* out);
void decode_row(const void* stored, const MedialLayer& layer, at::BFloat16* out);

// Scale and offset per channel that take [low, high] to [-127, 127]. low, high: float32
// [channels], as activation_range() gives them; a constant channel gets scale 1.
void set_scale(MedialLayer& layer, const at::Tensor& low, const at::Tensor& high);
// Least and greatest value per channel, each [channels] float32.
std::pair<at::Tensor, at::Tensor> activation_range(const at::Tensor& activation,
                                                   const MedialLayer& layer);

}  // namespace cachectl::artifact
