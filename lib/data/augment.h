#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "data/options.h"

namespace cachectl::data {

// A rectangle, from and to shares of the image's height and width.
struct Patch {
  double top = 0, bottom = 0, left = 0, right = 0;

  double area() const { return (bottom - top) * (right - left); }
};

// What is done to one sample in one view. Drawn from (seed, view, sample id) alone,
// so it does not depend on batches, threads, or on what else is drawn.
struct AugmentDraw {
  bool flip = false;
  std::int64_t down = 0, right = 0;  // shift in pixels
  double weight = 1;                 // of the sample itself; 1: not mixed
  std::int64_t partner = -1;         // position in the pool of the one it is mixed with; -1: none
  std::optional<Patch> patch;        // where the partner is seen, instead of being mixed in
};

// view: the epoch, or the number of the augmented view; pool_size: how many samples a
// partner is drawn from (0: no mixup).
AugmentDraw draw_augmentation(const AugmentOptions& options, std::uint64_t seed, std::int64_t view,
                              std::uint64_t id, std::int64_t pool_size);

// Flip and shift. inputs: float32 [B, C, H, W]; one draw a row. Returns a new tensor.
at::Tensor flip_and_shift(const at::Tensor& inputs, const std::vector<AugmentDraw>& draws);

// input, [C, H, W], with the partner in the patch, whose edges are rounded to pixels.
at::Tensor paste(const at::Tensor& input, const at::Tensor& partner, const Patch& patch);

// Row b becomes weight * inputs[b] + (1 - weight) * partners[b].
at::Tensor mix(const at::Tensor& inputs, const at::Tensor& partners,
               const std::vector<double>& weights);

}  // namespace cachectl::data
