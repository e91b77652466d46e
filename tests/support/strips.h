#pragma once

#include <ATen/ATen.h>

#include "data/dataset.h"

namespace cachectl::data::test {

// Images, the second of them too long a strip to be resized by its shorter side.
class Strips : public Dataset {
 public:
  Strips() { set_ids({1, 2, 3}, "strips"); }
  std::int64_t size() const override { return 3; }
  at::Tensor read(std::int64_t index) const override {
    return at::zeros({3, 10, index == 1 ? 30000 : 10}, at::kByte);
  }
  std::string name() const override { return "strips"; }
};

}  // namespace cachectl::data::test
