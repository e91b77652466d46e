#include "io/hdf5.h"

#include <hdf5.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <mutex>
#include <numeric>

#include "base/error.h"
#include "base/text.h"

namespace cachectl::io {
namespace {

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

// Held for the length of one call into HDF5; also silences its own error printing.
class Call {
 public:
  Call() : lock_(library_mutex()) {
    [[maybe_unused]] static const bool silenced = [] {
      H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
      return true;
    }();
  }

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

int close_any(std::int64_t id) {
  const Call call;
  switch (H5Iget_type(id)) {
    case H5I_FILE:
      return H5Fclose(id);
    case H5I_GROUP:
      return H5Gclose(id);
    case H5I_DATASET:
      return H5Dclose(id);
    case H5I_DATATYPE:
      return H5Tclose(id);
    case H5I_DATASPACE:
      return H5Sclose(id);
    case H5I_ATTR:
      return H5Aclose(id);
    default:
      return H5Pclose(id);
  }
}

Handle wrap(hid_t id) {
  return Handle(id, close_any);
}

// The innermost description on HDF5's error stack.
std::string library_reason() {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
        auto& text = *static_cast<std::string*>(out);
        if (text.empty() && error->desc != nullptr) text = error->desc;
        return 0;
      },
      &reason);
  return reason.empty() ? "HDF5 gives no reason" : reason;
}

Handle checked(hid_t id, ExitCode code, const std::string& where, const char* what) {
  if (id < 0) fail(code, "{}: {}: {}", where, what, library_reason());
  return wrap(id);
}

void check(herr_t status, ExitCode code, const std::string& where, const char* what) {
  if (status < 0) fail(code, "{}: {}: {}", where, what, library_reason());
}

// Equal contents give equal bytes: no object times. Attributes stay in the object's
// header: HDF5 1.10 may free wild pointers when their other place, a heap, is damaged.
constexpr unsigned kMostInHeader = 65535;
void set_up_object(hid_t properties) {
  H5Pset_obj_track_times(properties, false);
  H5Pset_attr_phase_change(properties, kMostInHeader, 0);
}
// The same holds for the links of a group.
void set_up_group(hid_t properties) {
  set_up_object(properties);
  H5Pset_link_phase_change(properties, kMostInHeader, 0);
}

constexpr auto kBad = ExitCode::kCorrupt;
constexpr auto kWrite = ExitCode::kCannotOpen;

Handle half_type() {
  Handle type = wrap(H5Tcopy(H5T_IEEE_F32LE));
  H5Tset_fields(type.id(), 15, 10, 5, 0, 10);
  H5Tset_size(type.id(), 2);
  H5Tset_ebias(type.id(), 15);
  return type;
}

// The type in the file, and in memory (the machines we run on are little-endian).
Handle type_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return wrap(H5Tcopy(H5T_IEEE_F32LE));
    case DType::kFloat64:
      return wrap(H5Tcopy(H5T_IEEE_F64LE));
    case DType::kFloat16:
      return half_type();
    case DType::kBFloat16:
      return wrap(H5Tcopy(H5T_STD_U16LE));
    case DType::kInt8:
      return wrap(H5Tcopy(H5T_STD_I8LE));
    case DType::kUInt8:
      return wrap(H5Tcopy(H5T_STD_U8LE));
    case DType::kInt32:
      return wrap(H5Tcopy(H5T_STD_I32LE));
    case DType::kInt64:
      return wrap(H5Tcopy(H5T_STD_I64LE));
    case DType::kUInt32:
      return wrap(H5Tcopy(H5T_STD_U32LE));
    case DType::kUInt64:
      return wrap(H5Tcopy(H5T_STD_U64LE));
  }
  return {};
}

Handle text_type(std::size_t size) {
  Handle type = wrap(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.id(), std::max<std::size_t>(size, 1));
  H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

std::vector<hsize_t> sizes_of(const Shape& shape) {
  return {shape.begin(), shape.end()};
}

Handle space_of(const Shape& shape) {
  const auto sizes = sizes_of(shape);
  return wrap(shape.empty() ? H5Screate(H5S_SCALAR)
                            : H5Screate_simple(int(sizes.size()), sizes.data(), nullptr));
}

Shape shape_of_space(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> sizes(static_cast<std::size_t>(std::max(rank, 0)));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  return {sizes.begin(), sizes.end()};
}

std::int64_t values_in(const Shape& shape, std::size_t from) {
  std::int64_t values = 1;
  for (std::size_t axis = from; axis < shape.size(); ++axis) values *= shape[axis];
  return values;
}

constexpr DType kAllTypes[] = {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16,
                               DType::kInt8,    DType::kUInt8,   DType::kInt32,   DType::kInt64,
                               DType::kUInt32,  DType::kUInt64};

// Strings without a fixed length live on the heap of the file; ours are fixed, but
// attributes written by others (h5py) may not be.
std::string read_text_with(hid_t type, const std::string& where,
                           const std::function<herr_t(hid_t, void*)>& read) {
  if (H5Tget_class(type) != H5T_STRING) fail(kBad, "{}: expected text", where);
  if (H5Tis_variable_str(type) > 0) {
    char* pointer = nullptr;
    check(read(type, &pointer), kBad, where, "cannot read");
    std::string text = pointer == nullptr ? "" : pointer;
    H5free_memory(pointer);
    return text;
  }
  std::string text(H5Tget_size(type), '\0');
  check(read(type, text.data()), kBad, where, "cannot read");
  text.resize(std::char_traits<char>::length(text.c_str()) < text.size()
                  ? std::char_traits<char>::length(text.c_str())
                  : text.size());
  return text;
}

}  // namespace

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kInt8:
    case DType::kUInt8:
      return 1;
    case DType::kFloat16:
    case DType::kBFloat16:
      return 2;
    case DType::kFloat32:
    case DType::kInt32:
    case DType::kUInt32:
      return 4;
    default:
      return 8;
  }
}

std::string name_of(DType dtype) {
  static constexpr const char* kNames[] = {"float32", "float64", "float16", "bfloat16", "int8",
                                           "uint8",   "int32",   "int64",   "uint32",   "uint64"};
  return kNames[static_cast<int>(dtype)];
}

DType dtype_from_name(std::string_view name) {
  for (const DType dtype : kAllTypes) {
    if (name_of(dtype) == name) return dtype;
  }
  fail(ExitCode::kUsage, "dtype '{}' is not known", name);
}

struct Handle::State {
  State(std::int64_t open_id, int (*close_it)(std::int64_t)) : id(open_id), close(close_it) {}
  ~State() {
    if (id >= 0) close(id);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  const std::int64_t id;
  int (*const close)(std::int64_t);
};

Handle::Handle(std::int64_t id, int (*close)(std::int64_t))
    : state_(std::make_shared<State>(id, close)) {}

std::int64_t Handle::id() const {
  return state_ ? state_->id : -1;
}

// --- attributes -------------------------------------------------------------

std::string Object::path() const {
  const auto colon = where_.rfind(": /");
  return colon == std::string::npos ? where_ : where_.substr(colon + 2);
}

namespace {

void write_attribute(hid_t object, const std::string& where, const std::string& name, hid_t type,
                     hid_t space, const void* data) {
  if (H5Aexists(object, name.c_str()) > 0) H5Adelete(object, name.c_str());
  const Handle attribute =
      checked(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), kWrite,
              where + "@" + name, "cannot create the attribute");
  check(H5Awrite(attribute.id(), type, data), kWrite, where + "@" + name, "cannot write");
}

Handle open_attribute(hid_t object, const std::string& where, const std::string& name) {
  if (H5Aexists(object, name.c_str()) <= 0)
    fail(kBad, "{}: attribute '{}' is missing", where, name);
  return checked(H5Aopen(object, name.c_str(), H5P_DEFAULT), kBad, where + "@" + name,
                 "cannot open the attribute");
}

template <class T>
std::vector<T> read_numbers(hid_t object, const std::string& where, const std::string& name,
                            H5T_class_t expected, hid_t memory_type) {
  const Call call;
  const Handle attribute = open_attribute(object, where, name);
  const Handle type = wrap(H5Aget_type(attribute.id()));
  if (H5Tget_class(type.id()) != expected) {
    fail(kBad, "{}: attribute '{}': expected {}", where, name,
         expected == H5T_INTEGER ? "whole numbers" : "real numbers");
  }
  const Handle space = wrap(H5Aget_space(attribute.id()));
  std::vector<T> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.id())));
  if (values.empty()) return values;
  check(H5Aread(attribute.id(), memory_type, values.data()), kBad, where + "@" + name,
        "cannot read");
  return values;
}

template <class T>
T single(const std::vector<T>& values, const std::string& where, const std::string& name) {
  if (values.size() != 1) {
    fail(kBad, "{}: attribute '{}': {} values, expected one", where, name, values.size());
  }
  return values.front();
}

}  // namespace

void Object::set(const std::string& name, std::string_view value) {
  const Call call;
  const Handle type = text_type(value.size());
  const Handle space = space_of({});
  const std::string padded = value.empty() ? std::string(1, '\0') : std::string(value);
  write_attribute(handle_.id(), where_, name, type.id(), space.id(), padded.data());
}

void Object::set(const std::string& name, std::int64_t value) {
  const Call call;
  write_attribute(handle_.id(), where_, name, H5T_STD_I64LE, space_of({}).id(), &value);
}

void Object::set(const std::string& name, double value) {
  const Call call;
  write_attribute(handle_.id(), where_, name, H5T_IEEE_F64LE, space_of({}).id(), &value);
}

void Object::set(const std::string& name, const std::vector<std::int64_t>& values) {
  const Call call;
  const Handle space = space_of({std::int64_t(values.size())});
  write_attribute(handle_.id(), where_, name, H5T_STD_I64LE, space.id(), values.data());
}

void Object::set(const std::string& name, const std::vector<double>& values) {
  const Call call;
  const Handle space = space_of({std::int64_t(values.size())});
  write_attribute(handle_.id(), where_, name, H5T_IEEE_F64LE, space.id(), values.data());
}

std::string Object::text(const std::string& name) const {
  const Call call;
  const Handle attribute = open_attribute(handle_.id(), where_, name);
  const Handle type = wrap(H5Aget_type(attribute.id()));
  return read_text_with(type.id(), where_ + "@" + name, [&](hid_t memory, void* out) {
    return H5Aread(attribute.id(), memory, out);
  });
}

std::vector<std::int64_t> Object::integers(const std::string& name) const {
  return read_numbers<std::int64_t>(handle_.id(), where_, name, H5T_INTEGER, H5T_NATIVE_INT64);
}

std::vector<double> Object::reals(const std::string& name) const {
  return read_numbers<double>(handle_.id(), where_, name, H5T_FLOAT, H5T_NATIVE_DOUBLE);
}

std::int64_t Object::integer(const std::string& name) const {
  return single(integers(name), where_, name);
}

double Object::real(const std::string& name) const {
  return single(reals(name), where_, name);
}

bool Object::has_attribute(const std::string& name) const {
  const Call call;
  return H5Aexists(handle_.id(), name.c_str()) > 0;
}

void Object::remove_attribute(const std::string& name) {
  const Call call;
  check(H5Adelete(handle_.id(), name.c_str()), kBad, where_ + "@" + name, "cannot remove");
}

std::vector<std::string> Object::attributes() const {
  const Call call;
  std::vector<std::string> names;
  H5Aiterate2(
      handle_.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr,
      [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
        static_cast<std::vector<std::string>*>(out)->emplace_back(name);
        return 0;
      },
      &names);
  std::sort(names.begin(), names.end());
  return names;
}

std::string Object::attribute_text(const std::string& name) const {
  const Call call;
  const Handle attribute = open_attribute(handle_.id(), where_, name);
  const Handle type = wrap(H5Aget_type(attribute.id()));
  std::vector<std::string> words;
  switch (H5Tget_class(type.id())) {
    case H5T_STRING:
      return text(name);
    case H5T_INTEGER:
      for (const auto value : integers(name)) words.push_back(fmt::format("{}", value));
      break;
    case H5T_FLOAT:
      for (const auto value : reals(name)) words.push_back(fmt::format("{}", value));
      break;
    default:
      return "(of a type that is not shown)";
  }
  return text::join(words, ", ");
}

// --- data sets --------------------------------------------------------------

DType Dataset::dtype() const {
  const Call call;
  const Handle type = wrap(H5Dget_type(handle_.id()));
  const bool bfloat = has_attribute("encoding") && text("encoding") == "bfloat16";
  for (const DType dtype : kAllTypes) {
    if ((dtype == DType::kBFloat16) != bfloat) continue;
    if (H5Tequal(type.id(), type_of(dtype).id()) > 0) return dtype;
  }
  fail(kBad, "{}: its HDF5 type is none that cachectl writes", where_);
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

// --- groups -----------------------------------------------------------------

namespace {

std::string below(const std::string& where, const std::string& name) {
  if (!name.empty() && name.front() == '/') return where.substr(0, where.rfind(": /") + 2) + name;
  return where.back() == '/' ? where + name : where + "/" + name;
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

namespace {
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
}  // namespace

Dataset Group::dataset(const std::string& name) const {
  const Call call;
  const std::string where = below(where_, name);
  if (!has(name)) fail(kBad, "{}: is missing", where);
  return Dataset(
      checked(H5Dopen2(handle_.id(), name.c_str(), H5P_DEFAULT), kBad, where, "is no data set"),
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
  const Handle type = wrap(H5Dget_type(data.handle_.id()));
  if (H5Tget_class(type.id()) != H5T_STRING) fail(kBad, "{}: expected text", data.where());
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

// --- files ------------------------------------------------------------------

namespace {

Handle open_file(const std::filesystem::path& path, unsigned flags) {
  const Call call;
  // Fail on the system's word first: HDF5's is harder to read.
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    fail(ExitCode::kCannotOpen, "{}: no such file", path.string());
  }
  if (std::filesystem::is_directory(path, error)) {
    fail(ExitCode::kCannotOpen, "{}: is a folder, expected an HDF5 file", path.string());
  }
  if (H5Fis_hdf5(path.c_str()) == 0) fail(kBad, "{}: is no HDF5 file", path.string());
  const hid_t id = H5Fopen(path.c_str(), flags, H5P_DEFAULT);
  if (id < 0) {
    const bool damaged = H5Fis_hdf5(path.c_str()) > 0;
    fail(damaged ? kBad : ExitCode::kCannotOpen, "{}: cannot open: {}", path.string(),
         library_reason());
  }
  return wrap(id);
}

Handle open_root(const Handle& file, const std::string& path) {
  const Call call;
  return checked(H5Gopen2(file.id(), "/", H5P_DEFAULT), kBad, path, "has no root group");
}

}  // namespace

File::File(Handle handle, std::filesystem::path path)
    : handle_(std::move(handle)),
      path_(std::move(path)),
      root_(open_root(handle_, path_.string()), path_.string() + ": /") {}

File File::create(const std::filesystem::path& path) {
  const Call call;
  const Handle properties = wrap(H5Pcreate(H5P_FILE_CREATE));
  set_up_group(properties.id());
  // From format 1.10 on all metadata has checksums: damage is an error and no crash.
  const Handle access = wrap(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110);
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, properties.id(), access.id());
  if (id < 0) {
    fail(ExitCode::kCannotOpen, "{}: cannot create: {}", path.string(), library_reason());
  }
  return File(wrap(id), path);
}

File File::open(const std::filesystem::path& path) {
  return File(open_file(path, H5F_ACC_RDONLY), path);
}

File File::open_to_write(const std::filesystem::path& path) {
  return File(open_file(path, H5F_ACC_RDWR), path);
}

void File::flush() {
  const Call call;
  check(H5Fflush(handle_.id(), H5F_SCOPE_GLOBAL), kWrite, path_.string(),
        "cannot write (is the disk full?)");
}

void File::close() {
  flush();
  root_ = Group(Handle(), path_.string() + ": /");
  handle_ = Handle();
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
