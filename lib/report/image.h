#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace cachectl::report {

// "data:image/png;base64,..." of an image: uint8 [C, H, W], C 1 or 3. Where a side is
// longer than MAX_SIDE, blocks of pixels are averaged; the rest of a block at the right
// and lower edge is left out. "" for an undefined tensor.
std::string png_data_uri(const at::Tensor& image, std::int64_t max_side);

}  // namespace cachectl::report
