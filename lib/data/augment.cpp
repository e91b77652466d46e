#include "data/augment.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace cachectl::data {
namespace {

// Marsaglia and Tsang 2000; below 1 by the boost of their section 6.
double draw_gamma(Rng& random, double shape) {
  if (shape < 1) {
    const double boost = std::pow(1 - random.uniform(), 1 / shape);
    return draw_gamma(random, shape + 1) * boost;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = random.normal();
    const double v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

double draw_beta(Rng& random, double alpha) {
  const double a = draw_gamma(random, alpha), b = draw_gamma(random, alpha);
  return a + b > 0 ? a / (a + b) : 1;  // both underflow for a tiny alpha: one of the ends
}

// Of uniform area up to the whole image, as high as wide, its middle anywhere: what reaches over
// an edge is cut off (Yun et al. 2019).
Patch draw_patch(Rng& random) {
  const double side = std::sqrt(random.uniform());
  const double down = random.uniform(), right = random.uniform();
  return {std::max(0.0, down - side / 2), std::min(1.0, down + side / 2),
          std::max(0.0, right - side / 2), std::min(1.0, right + side / 2)};
}

// The position that a mirror at both borders (the border itself not repeated) shows at i.
std::int64_t reflect(std::int64_t i, std::int64_t size) {
  if (i < 0) i = -i;
  return i >= size ? 2 * (size - 1) - i : i;
}

void require_float(const at::Tensor& inputs) {
  if (inputs.scalar_type() == at::kFloat) return;
  fail(ExitCode::kUsage, "augment: {} samples can't be augmented; it asks for data.dtype float32",
       at::toString(inputs.scalar_type()));
}

}  // namespace

AugmentDraw draw_augmentation(const AugmentOptions& options, std::uint64_t seed, std::int64_t view,
                              std::uint64_t id, std::int64_t pool_size) {
  Rng random(
      derive_seed(derive_seed(seed, "augment", static_cast<std::uint64_t>(view)), "sample", id));
  AugmentDraw draw;
  // Each choice has numbers of its own: switching one off leaves the others as they were.
  const std::uint64_t flip = random(), down = random(), right = random(), share = random();
  draw.flip = options.flip && (flip & 1) != 0;
  const auto span = static_cast<std::uint64_t>(2 * options.shift + 1);
  draw.down = static_cast<std::int64_t>(Rng(down).below(span)) - options.shift;
  draw.right = static_cast<std::int64_t>(Rng(right).below(span)) - options.shift;
  if (options.mixup > 0 && pool_size > 0 && Rng(share).uniform() < options.mixup_share) {
    draw.partner = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(pool_size)));
    draw.weight = draw_beta(random, options.mixup);
  }
  if (options.cutmix > 0 && pool_size > 0) {
    Rng cut(
        derive_seed(derive_seed(seed, "cutmix", static_cast<std::uint64_t>(view)), "sample", id));
    if (cut.uniform() < options.cutmix) {
      draw.partner = static_cast<std::int64_t>(cut.below(static_cast<std::uint64_t>(pool_size)));
      draw.patch = draw_patch(cut);
      draw.weight = 1 - draw.patch->area();
    }
  }
  return draw;
}

at::Tensor flip_and_shift(const at::Tensor& inputs, const std::vector<AugmentDraw>& draws) {
  if (inputs.dim() != 4) {
    fail(ExitCode::kUsage, "augment: flip and shift ask for images [channels, height, width]");
  }
  require_float(inputs);
  assert(inputs.size(0) == static_cast<std::int64_t>(draws.size()));
  const at::Tensor source = inputs.contiguous();
  const std::int64_t channels = source.size(1), height = source.size(2), width = source.size(3);
  at::Tensor result = at::empty(source.sizes(), at::kFloat);
  const float* in = source.data_ptr<float>();
  float* out = result.data_ptr<float>();
  std::vector<std::int64_t> columns(static_cast<std::size_t>(width));
  for (const AugmentDraw& draw : draws) {
    if (std::abs(draw.down) >= height || std::abs(draw.right) >= width) {
      fail(ExitCode::kUsage, "augment.shift: a shift by {} pixels in an image of {}x{}",
           std::max(std::abs(draw.down), std::abs(draw.right)), height, width);
    }
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t from = reflect(x - draw.right, width);
      columns[static_cast<std::size_t>(x)] = draw.flip ? width - 1 - from : from;
    }
    for (std::int64_t c = 0; c < channels; ++c, in += height * width) {
      for (std::int64_t y = 0; y < height; ++y, out += width) {
        const float* row = in + reflect(y - draw.down, height) * width;
        for (std::int64_t x = 0; x < width; ++x) out[x] = row[columns[static_cast<std::size_t>(x)]];
      }
    }
  }
  return result;
}

at::Tensor paste(const at::Tensor& input, const at::Tensor& partner, const Patch& patch) {
  if (input.dim() != 3) {
    fail(ExitCode::kUsage, "augment: cutmix asks for images [channels, height, width]");
  }
  require_float(input);
  assert(input.sizes() == partner.sizes());
  const auto pixels = [&](double from, double to, std::int64_t size) {
    const auto first = std::llround(from * static_cast<double>(size));
    return std::pair<std::int64_t, std::int64_t>(
        first, std::llround(to * static_cast<double>(size)) - first);
  };
  const auto [top, height] = pixels(patch.top, patch.bottom, input.size(1));
  const auto [left, width] = pixels(patch.left, patch.right, input.size(2));
  at::Tensor result = input.clone();
  const auto part = [&, top = top, height = height, left = left,
                     width = width](const at::Tensor& image) {
    return image.narrow(1, top, height).narrow(2, left, width);
  };
  part(result).copy_(part(partner));
  return result;
}

at::Tensor mix(const at::Tensor& inputs, const at::Tensor& partners,
               const std::vector<double>& weights) {
  require_float(inputs);
  assert(inputs.sizes() == partners.sizes());
  assert(inputs.size(0) == static_cast<std::int64_t>(weights.size()));
  const at::Tensor own = inputs.contiguous(), other = partners.contiguous();
  at::Tensor result = at::empty(own.sizes(), at::kFloat);
  const std::int64_t row = weights.empty() ? 0 : own.numel() / own.size(0);
  const float *a = own.data_ptr<float>(), *b = other.data_ptr<float>();
  float* out = result.data_ptr<float>();
  for (const double weight : weights) {
    const auto mine = static_cast<float>(weight), theirs = static_cast<float>(1 - weight);
    for (std::int64_t i = 0; i < row; ++i, ++a, ++b, ++out) *out = mine * *a + theirs * *b;
  }
  return result;
}

}  // namespace cachectl::data
