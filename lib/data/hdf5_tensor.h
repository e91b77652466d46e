#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "base/options.h"
#include "data/dataset.h"
#include "data/options.h"
#include "io/hdf5.h"

namespace cachectl::data {

// The rows of an HDF5 data set [N, ...] as samples: options.path, options.object.
class Hdf5Tensor : public Dataset {
 public:
  Hdf5Tensor(const Options& options, const CommonOptions& common);
  std::int64_t size() const override { return size_; }
  at::Tensor read(std::int64_t index) const override;  // the object's dtype
  std::string name() const override { return "hdf5 " + object_.where(); }

 private:
  at::Tensor row(std::int64_t index) const;

  const io::File file_;
  const io::Dataset object_;
  at::ScalarType dtype_;
  io::Shape row_shape_;
  std::int64_t size_;
};

}  // namespace cachectl::data
