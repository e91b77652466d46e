#include <algorithm>
#include <cassert>

#include "base/text.h"
#include "io/hdf5_calls.h"

namespace cachectl::io {
namespace {

std::string below(const std::string& where, const std::string& name) {
  if (!name.empty() && name.front() == '/') return where.substr(0, where.rfind(": /") + 2) + name;
  return where.back() == '/' ? where + name : where + "/" + name;
}

// A damaged size must not become an allocation: contiguous values lie in the file.
void require_room(hid_t dataset, const std::string& where) {
  const Handle properties = wrap(H5Dget_create_plist(dataset));
  if (H5Pget_layout(properties.id()) != H5D_CONTIGUOUS) return;
  const Handle space = wrap(H5Dget_space(dataset));
  const Handle type = wrap(H5Dget_type(dataset));
  const auto values = static_cast<double>(H5Sget_simple_extent_npoints(space.id()));
  const double bytes = values * static_cast<double>(H5Tget_size(type.id()));
  const Handle file = wrap(H5Iget_file_id(dataset));
  hsize_t size = 0;
  if (H5Fget_filesize(file.id(), &size) >= 0 && bytes > static_cast<double>(size)) {
    fail(kBad, "{}: its shape asks for {}, more than the whole file", where, text::bytes(bytes));
  }
}

constexpr double kUsualCache = 1 << 20, kLargestCache = 256 << 20;

// Of values in chunks: the bytes of those that hold a part of one row. They are wanted again for
// the rows beside it.
double bytes_of_a_row_of_chunks(hid_t dataset) {
  const Handle properties = wrap(H5Dget_create_plist(dataset));
  if (H5Pget_layout(properties.id()) != H5D_CHUNKED) return 0;
  const Handle space = wrap(H5Dget_space(dataset));
  const Handle type = wrap(H5Dget_type(dataset));
  const int rank = H5Sget_simple_extent_ndims(space.id());
  if (rank < 1) return 0;
  std::vector<hsize_t> sizes(static_cast<std::size_t>(rank)), chunk(sizes.size());
  if (H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr) < 0) return 0;
  if (H5Pget_chunk(properties.id(), rank, chunk.data()) != rank) return 0;
  double bytes = static_cast<double>(H5Tget_size(type.id())) * static_cast<double>(chunk[0]);
  for (std::size_t d = 1; d < sizes.size(); ++d) {
    const hsize_t chunks = (sizes[d] + chunk[d] - 1) / chunk[d];
    bytes *= static_cast<double>(chunks) * static_cast<double>(chunk[d]);
  }
  return bytes;
}

// How a data set is opened so that no chunk is unpacked for each row anew.
Handle access_with_cache(double bytes) {
  constexpr std::size_t kSlots = 12421;  // a prime, well above the number of chunks
  Handle access = wrap(H5Pcreate(H5P_DATASET_ACCESS));
  const auto size = static_cast<std::size_t>(std::min(bytes, kLargestCache));
  (void)H5Pset_chunk_cache(access.id(), kSlots, size, 1);
  return access;
}

}  // namespace

bool Group::has(const std::string& path) const {
  const Call call;
  std::string prefix;
  for (const auto& part : text::split(path, '/')) {
    if (part.empty()) continue;
    prefix += prefix.empty() ? part : "/" + part;
    if (H5Lexists(handle_.id(), prefix.c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return true;
}

std::vector<std::string> Group::children() const {
  const Call call;
  std::vector<std::string> names;
  H5Literate(
      handle_.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr,
      [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
        static_cast<std::vector<std::string>*>(out)->emplace_back(name);
        return 0;
      },
      &names);
  std::sort(names.begin(), names.end());
  return names;
}

bool Group::is_group(const std::string& name) const {
  const Call call;
  const hid_t id = H5Oopen(handle_.id(), name.c_str(), H5P_DEFAULT);
  if (id < 0) return false;
  const bool group = H5Iget_type(id) == H5I_GROUP;
  H5Oclose(id);
  return group;
}

void Group::remove(const std::string& name) {
  const Call call;
  check(H5Ldelete(handle_.id(), name.c_str(), H5P_DEFAULT), kBad, below(where_, name),
        "cannot remove");
}

Group Group::create_group(const std::string& name) {
  const Call call;
  create_parents(name);
  const std::string where = below(where_, name);
  const Handle properties = wrap(H5Pcreate(H5P_GROUP_CREATE));
  set_up_group(properties.id());
  return Group(
      checked(H5Gcreate2(handle_.id(), name.c_str(), H5P_DEFAULT, properties.id(), H5P_DEFAULT),
              kWrite, where, "cannot create the group"),
      where);
}

// By hand and not by HDF5's intermediate groups, which would carry their time of birth.
void Group::create_parents(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return;
  const std::string parent = path.substr(0, slash);
  if (!has(parent)) create_group(parent);
}

Group Group::group(const std::string& name) const {
  const Call call;
  const std::string where = below(where_, name);
  if (!has(name)) fail(kBad, "{}: is missing", where);
  return Group(
      checked(H5Gopen2(handle_.id(), name.c_str(), H5P_DEFAULT), kBad, where, "is no group"),
      where);
}

Dataset Group::create_dataset(const std::string& name, DType dtype, const Shape& shape,
                              const Layout& layout) {
  const Call call;
  auto sizes = sizes_of(shape);
  auto limits = sizes;
  if (layout.extendable) limits.at(0) = H5S_UNLIMITED;
  const Handle space =
      wrap(shape.empty() ? H5Screate(H5S_SCALAR)
                         : H5Screate_simple(int(sizes.size()), sizes.data(), limits.data()));
  const Handle properties = wrap(H5Pcreate(H5P_DATASET_CREATE));
  set_up_object(properties.id());
  if (layout.rows_per_chunk > 0) {
    auto chunk = sizes;
    chunk.at(0) = static_cast<hsize_t>(layout.rows_per_chunk);
    H5Pset_chunk(properties.id(), int(chunk.size()), chunk.data());
    if (layout.deflate > 0) {
      H5Pset_shuffle(properties.id());
      H5Pset_deflate(properties.id(), static_cast<unsigned>(layout.deflate));
    }
  }
  if (layout.placed_early) {
    assert(layout.rows_per_chunk == 0);
    H5Pset_alloc_time(properties.id(), H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(properties.id(), H5D_FILL_TIME_NEVER);
  }
  return create_with(name, dtype, space, properties);
}

Dataset Group::create_virtual(const std::string& name, DType dtype, const Shape& row_shape,
                              const std::vector<VirtualSource>& sources) {
  const Call call;
  const auto sized = [&](std::int64_t rows) {
    Shape shape{rows};
    shape.insert(shape.end(), row_shape.begin(), row_shape.end());
    return shape;
  };
  std::int64_t total = 0;
  for (const auto& source : sources) total += source.rows;
  const Handle space = space_of(sized(total));
  const Handle properties = wrap(H5Pcreate(H5P_DATASET_CREATE));
  set_up_object(properties.id());
  std::vector<hsize_t> start(row_shape.size() + 1, 0);
  for (const auto& source : sources) {
    if (source.rows == 0) continue;
    const auto sizes = sizes_of(sized(source.rows));
    H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, sizes.data(), nullptr);
    check(H5Pset_virtual(properties.id(), space.id(), source.file.c_str(), source.object.c_str(),
                         space_of(sized(source.rows)).id()),
          kWrite, below(where_, name), "cannot map the source");
    start[0] += static_cast<hsize_t>(source.rows);
  }
  H5Sselect_all(space.id());
  return create_with(name, dtype, space, properties);
}

Dataset Group::create_with(const std::string& name, DType dtype, const Handle& space,
                           const Handle& properties) {
  const std::string where = below(where_, name);
  create_parents(name);
  const Handle type = type_of(dtype);
  Dataset dataset(checked(H5Dcreate2(handle_.id(), name.c_str(), type.id(), space.id(), H5P_DEFAULT,
                                     properties.id(), H5P_DEFAULT),
                          kWrite, where, "cannot create the data set"),
                  where);
  if (dtype == DType::kBFloat16) dataset.set("encoding", "bfloat16");
  return dataset;
}

Dataset Group::dataset(const std::string& name) const {
  const Call call;
  const std::string where = below(where_, name);
  if (!has(name)) fail(kBad, "{}: is missing", where);
  Handle opened =
      checked(H5Dopen2(handle_.id(), name.c_str(), H5P_DEFAULT), kBad, where, "is no data set");
  const double bytes = bytes_of_a_row_of_chunks(opened.id());
  if (bytes <= kUsualCache) return Dataset(std::move(opened), where);
  const Handle access = access_with_cache(bytes);
  opened = Handle();  // else it would share the first one's cache
  return Dataset(
      checked(H5Dopen2(handle_.id(), name.c_str(), access.id()), kBad, where, "is no data set"),
      where);
}

Dataset Group::dataset(const std::string& name, DType dtype, const Shape& shape) const {
  Dataset data = dataset(name);
  const DType found = data.dtype();
  if (found != dtype) {
    fail(kBad, "{}: holds {}, expected {}", data.where(), name_of(found), name_of(dtype));
  }
  const Shape sizes = data.shape();
  bool fits = sizes.size() == shape.size();
  for (std::size_t axis = 0; fits && axis < shape.size(); ++axis) {
    fits = shape[axis] < 0 || shape[axis] == sizes[axis];
  }
  if (!fits) {
    std::string expected = text::shape(shape);
    for (auto at = expected.find("-1"); at != std::string::npos; at = expected.find("-1")) {
      expected.replace(at, 2, "N");
    }
    fail(kBad, "{}: its shape is {}, expected {}", data.where(), text::shape(sizes), expected);
  }
  require_room(data.handle_.id(), data.where());
  return data;
}

void Group::write_all(const std::string& name, DType dtype, const Shape& shape, const void* data,
                      std::size_t count) {
  assert(static_cast<std::int64_t>(count) == values_in(shape, 0));
  Dataset dataset = create_dataset(name, dtype, shape);
  if (count > 0) dataset.write_rows(0, dataset.rows(), data);
}

void Group::write_texts(const std::string& name, const std::vector<std::string>& values) {
  const Call call;
  create_parents(name);
  const std::string where = below(where_, name);
  std::size_t width = 1;
  for (const auto& value : values) width = std::max(width, value.size());
  std::string block;
  for (const auto& value : values) block += value + std::string(width - value.size(), '\0');
  const Handle type = text_type(width);
  const Handle space = space_of({std::int64_t(values.size())});
  const Handle properties = wrap(H5Pcreate(H5P_DATASET_CREATE));
  set_up_object(properties.id());
  const Handle dataset = checked(H5Dcreate2(handle_.id(), name.c_str(), type.id(), space.id(),
                                            H5P_DEFAULT, properties.id(), H5P_DEFAULT),
                                 kWrite, where, "cannot create the data set");
  if (values.empty()) return;
  check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, block.data()), kWrite,
        where, "cannot write (is the disk full?)");
}

std::vector<std::string> Group::read_texts(const std::string& name) const {
  const Call call;
  const Dataset data = dataset(name);
  require_room(data.handle_.id(), data.where());
  const Handle type = wrap(H5Dget_type(data.handle_.id()));
  if (H5Tget_class(type.id()) != H5T_STRING) fail(kBad, "{}: expected text", data.where());
  if (data.shape().size() > 1) fail(kBad, "{}: expected one text a row", data.where());
  const auto count = static_cast<std::size_t>(data.rows());
  std::vector<std::string> values;
  if (count == 0) return values;
  if (H5Tis_variable_str(type.id()) > 0) {
    std::vector<char*> pointers(count, nullptr);
    check(H5Dread(data.handle_.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()),
          kBad, data.where(), "cannot read");
    for (char* pointer : pointers) {
      values.emplace_back(pointer == nullptr ? "" : pointer);
      H5free_memory(pointer);
    }
    return values;
  }
  const std::size_t width = H5Tget_size(type.id());
  std::string block(width * count, '\0');
  check(H5Dread(data.handle_.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, block.data()), kBad,
        data.where(), "cannot read");
  for (std::size_t i = 0; i < count; ++i) {
    const std::string value = block.substr(i * width, width);
    values.push_back(value.substr(0, value.find('\0')));
  }
  return values;
}

void Group::write_text(const std::string& name, std::string_view value) {
  write_texts(name, {std::string(value)});
}

std::string Group::read_text(const std::string& name) const {
  const auto values = read_texts(name);
  if (values.size() != 1) {
    fail(kBad, "{}: {} texts, expected one", below(where_, name), values.size());
  }
  return values.front();
}

}  // namespace cachectl::io
