#include "data/hdf5_tensor.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/cancel.h"
#include "base/error.h"
#include "base/text.h"
#include "data/file.h"
#include "data/npy.h"
#include "data/scalar_type.h"

namespace cachectl::data {
namespace {

at::ScalarType scalar_type(const io::Dataset& object) {
  if (object.is_text()) {
    fail(ExitCode::kIncompatible, "{}: holds text; expected numbers", object.where());
  }
  std::string found = "a type that is not read";
  try {
    const io::DType dtype = object.dtype();
    if (const auto type = scalar_type_of(dtype)) return *type;
    found = io::name_of(dtype);
  } catch (const Error&) {  // not one of cachectl's own files: they are sound with others, too
  }
  fail(ExitCode::kIncompatible,
       "{}: dtype {}; expected uint8, int8, int32, int64, float16, float32 or float64, "
       "little-endian",
       object.where(), found);
}

}  // namespace

Hdf5Tensor::Hdf5Tensor(const Options& options, const CommonOptions& common)
    : file_(io::File::open(common.resolve(options.path))),
      object_(file_.root().dataset(options.object)),
      dtype_(scalar_type(object_)),
      row_shape_(object_.shape()),
      size_(object_.rows()) {
  if (row_shape_.size() < 2) {
    fail(ExitCode::kIncompatible, "{}: of shape {}; expected samples first, then their own shape",
         object_.where(), text::shape(row_shape_));
  }
  row_shape_.erase(row_shape_.begin());
  if (size_ > 0 && object_.row_values() == 0) {
    fail(ExitCode::kNothingProcessed, "{}: samples of shape {} hold nothing", object_.where(),
         text::shape(row_shape_));
  }
  if (options.max_samples > 0) size_ = std::min(size_, options.max_samples);
  std::vector<std::uint64_t> ids;
  for (std::int64_t i = 0; i < size_; ++i) {
    cancel::throw_if_requested();
    const at::Tensor sample = row(i);
    ids.push_back(content_id(sample.data_ptr(), sample.nbytes()));
  }
  set_ids(std::move(ids),
          fmt::format("tensor {} {}", at::toString(dtype_), text::shape(row_shape_)));
}

at::Tensor Hdf5Tensor::row(std::int64_t index) const {
  at::Tensor row = at::empty(row_shape_, dtype_);
  object_.read_rows(index, 1, row.data_ptr());
  return row;
}

at::Tensor Hdf5Tensor::read(std::int64_t index) const {
  at::Tensor sample = row(index);
  require_finite(sample, object_.where(), index);
  return sample;
}

}  // namespace cachectl::data
