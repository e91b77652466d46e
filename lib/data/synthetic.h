#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/options.h"

namespace cachectl::data {

// The embedded default: drawn images of ten classes (shapes and textures) on a backdrop.
// Each sample has a difficulty of its own, from a large clean figure to one that is
// faint, noisy, cluttered, partly hidden and blended with a figure of another class.
// Sample i is a function of (synthetic_seed, part, i) alone; the parts share no sample
// since that triple maps one to one to the sample's random stream.
class Synthetic : public Dataset {
 public:
  explicit Synthetic(const Options& options);
  std::int64_t size() const override { return size_; }
  at::Tensor read(std::int64_t index) const override;  // uint8 [3, image_size, image_size]
  std::vector<std::string> class_names() const override;
  std::string name() const override { return name_; }

 private:
  const Options options_;
  const std::int64_t size_;
  const std::string name_;
};

inline constexpr std::int64_t kSyntheticClasses = 10;

// The class whose figure sample `index` shows; handed to users by lib/labels.
std::int64_t synthetic_class(const Options& options, std::int64_t index);
// How hard sample `index` was made: 0 trivial, 1 ambiguous, above 1 with difficulty > 1.
double synthetic_difficulty(const Options& options, std::int64_t index);

}  // namespace cachectl::data
