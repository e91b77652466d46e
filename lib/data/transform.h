#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "data/options.h"

namespace cachectl::data {

// The way from a raw sample to a model's input: geometric steps, float32, mean and
// std. Equal to torchvision's Resize(antialias), CenterCrop, ToTensor, Normalize.
class Transform {
 public:
  Transform() = default;
  // Throws Error(kUsage) for a step that is unknown or malformed.
  explicit Transform(const Options& options);

  // raw: any shape and dtype; resize and center_crop ask for [C, H, W]. uint8 becomes
  // [0, 1], other dtypes keep their scale. Returns contiguous float32, or the raw dtype
  // where the options say "stored". Throws Error(kUsage) for samples that the steps can't take,
  // Error(kCorrupt) for an image that alone is at fault: too long a strip to resize. Safe from many
  // threads; uses no thread of its own.
  at::Tensor operator()(const at::Tensor& raw) const;

  // The transform as text that Transform::parse takes back: for plans and provenance.
  std::string text() const;
  static Transform parse(const std::string& text);

 private:
  struct Step {
    enum class Kind { kResize, kCenterCrop } kind;
    std::int64_t height, width;  // width 0 for resize: the shorter side gets `height`
  };
  Transform(const std::vector<std::string>& steps, std::vector<double> mean,
            std::vector<double> std, bool stored);

  std::vector<Step> steps_;
  bool stored_ = false;  // the raw dtype is kept
  std::vector<double> mean_, std_;
};

// The geometric steps by themselves. image: [C, H, W], uint8 or float32; same dtype back.
at::Tensor resize(const at::Tensor& image, std::int64_t height, std::int64_t width);
at::Tensor center_crop(const at::Tensor& image, std::int64_t height, std::int64_t width);

}  // namespace cachectl::data
