#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/file.h"
#include "data/options.h"

namespace cachectl::data {

// A NumPy file, format 1.0 to 3.0: C order, little-endian, of uint8, int32, int64,
// float16, float32 or float64. Anything else is refused with what to do about it.
class NpyFile {
 public:
  // skip_bad: a file cut short is taken up to its last whole row, with a warning.
  NpyFile(const std::string& path, bool skip_bad);

  const std::string& path() const { return file_.path(); }
  const std::vector<std::int64_t>& shape() const { return shape_; }  // rank 1 or more
  std::int64_t rows() const { return shape_.front(); }
  at::ScalarType dtype() const { return dtype_; }
  at::Tensor row(std::int64_t index) const;  // [shape[1], ...], the file's dtype

 private:
  void parse_header(const std::string& header);
  void check_size(bool skip_bad);

  RandomAccessFile file_;
  std::uint64_t data_offset_ = 0;
  std::vector<std::int64_t> shape_;
  at::ScalarType dtype_ = at::ScalarType::Undefined;
  std::int64_t row_bytes_ = 0;
};

// The rows of a NumPy array [N, ...] as samples.
class NpyDataset : public Dataset {
 public:
  NpyDataset(const Options& options, const CommonOptions& common);
  std::int64_t size() const override { return size_; }
  at::Tensor read(std::int64_t index) const override;
  std::string name() const override { return "npy " + file_.path(); }

 private:
  const NpyFile file_;
  std::int64_t size_;
};

// Throws Error(kCorrupt) when a floating-point sample holds a NaN or an infinity.
void require_finite(const at::Tensor& sample, const std::string& path, std::int64_t index);

}  // namespace cachectl::data
