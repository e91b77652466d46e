#include <algorithm>
#include <cassert>
#include <cmath>

#include "io/hdf5_calls.h"

namespace cachectl::io {

DType Dataset::dtype() const {
  const Call call;
  const Handle type = wrap(H5Dget_type(handle_.id()));
  const bool bfloat = has_attribute("encoding") && text("encoding") == "bfloat16";
  return dtype_of_type(type.id(), bfloat, where_);
}

Shape Dataset::shape() const {
  const Call call;
  return shape_of_space(wrap(H5Dget_space(handle_.id())).id());
}

std::int64_t Dataset::rows() const {
  const Shape sizes = shape();
  return sizes.empty() ? 1 : sizes.front();
}

std::int64_t Dataset::row_values() const {
  return values_in(shape(), 1);
}

bool Dataset::is_text() const {
  const Call call;
  return H5Tget_class(wrap(H5Dget_type(handle_.id())).id()) == H5T_STRING;
}

namespace {

// The file's space with rows [first, first + count) selected, and a memory space for them.
std::pair<Handle, Handle> row_spaces(hid_t dataset, const std::string& where, std::int64_t first,
                                     std::int64_t count) {
  Handle file_space = wrap(H5Dget_space(dataset));
  Shape shape = shape_of_space(file_space.id());
  if (shape.empty()) return {file_space, space_of({})};
  assert(first >= 0 && count >= 0);
  if (first + count > shape.front()) {
    fail(kBad, "{}: rows {} to {} wanted, but it has {}", where, first, first + count,
         shape.front());
  }
  std::vector<hsize_t> start(shape.size(), 0);
  start[0] = static_cast<hsize_t>(first);
  shape[0] = count;
  const auto sizes = sizes_of(shape);
  H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, start.data(), nullptr, sizes.data(),
                      nullptr);
  return {file_space, space_of(shape)};
}

}  // namespace

void Dataset::write_rows(std::int64_t first, std::int64_t count, const void* data) {
  if (count == 0) return;
  const Call call;
  const auto [file_space, memory_space] = row_spaces(handle_.id(), where_, first, count);
  const Handle type = wrap(H5Dget_type(handle_.id()));
  check(H5Dwrite(handle_.id(), type.id(), memory_space.id(), file_space.id(), H5P_DEFAULT, data),
        kWrite, where_, "cannot write (is the disk full?)");
}

void Dataset::read_rows(std::int64_t first, std::int64_t count, void* data) const {
  if (count == 0) return;
  const Call call;
  const auto [file_space, memory_space] = row_spaces(handle_.id(), where_, first, count);
  const Handle type = wrap(H5Dget_type(handle_.id()));
  check(H5Dread(handle_.id(), type.id(), memory_space.id(), file_space.id(), H5P_DEFAULT, data),
        kBad, where_, "cannot read");
}

void Dataset::resize_rows(std::int64_t rows) {
  const Call call;
  Shape sizes = shape();
  sizes.at(0) = rows;
  check(H5Dset_extent(handle_.id(), sizes_of(sizes).data()), kWrite, where_, "cannot resize");
}

std::optional<std::int64_t> Dataset::offset() const {
  const Call call;
  const Handle properties = wrap(H5Dget_create_plist(handle_.id()));
  if (H5Pget_layout(properties.id()) != H5D_CONTIGUOUS) return std::nullopt;
  if (H5Pget_external_count(properties.id()) > 0) return std::nullopt;
  const haddr_t address = H5Dget_offset(handle_.id());
  if (address == HADDR_UNDEF) return std::nullopt;
  return static_cast<std::int64_t>(address);
}

bool Dataset::is_virtual() const {
  const Call call;
  return H5Pget_layout(wrap(H5Dget_create_plist(handle_.id())).id()) == H5D_VIRTUAL;
}

std::int64_t Dataset::rows_per_chunk() const {
  const Call call;
  const Handle properties = wrap(H5Dget_create_plist(handle_.id()));
  if (H5Pget_layout(properties.id()) != H5D_CHUNKED) return 0;
  std::vector<hsize_t> sizes(shape().size());
  H5Pget_chunk(properties.id(), int(sizes.size()), sizes.data());
  return sizes.empty() ? 0 : static_cast<std::int64_t>(sizes.front());
}

void Dataset::write_chunk(std::int64_t first, const void* data, std::size_t size) {
  const Call call;
  std::vector<hsize_t> start(shape().size(), 0);
  start.at(0) = static_cast<hsize_t>(first);
  check(H5Dwrite_chunk(handle_.id(), H5P_DEFAULT, 0, start.data(), size, data), kWrite, where_,
        "cannot write (is the disk full?)");
}

namespace {
template <class T>
void require_finite_values(const std::vector<T>& values, const std::string& where) {
  const auto bad =
      std::find_if_not(values.begin(), values.end(), [](T v) { return std::isfinite(v); });
  if (bad != values.end()) {
    fail(kBad, "{}: value {} is {}, expected finite numbers", where, bad - values.begin(), *bad);
  }
}

}  // namespace

void require_finite(const std::vector<float>& values, const std::string& where) {
  require_finite_values(values, where);
}

void require_finite(const std::vector<double>& values, const std::string& where) {
  require_finite_values(values, where);
}

}  // namespace cachectl::io
