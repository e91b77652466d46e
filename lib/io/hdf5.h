#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// HDF5 with RAII handles, typed access and errors that name file and object.
// Not thread-safe across handles of one process: HDF5's library holds one state,
// so every call here takes one global lock.
namespace cachectl::io {

enum class DType {
  kFloat32,
  kFloat64,
  kFloat16,   // IEEE binary16, as h5py writes it
  kBFloat16,  // stored as uint16 with the attribute "encoding" = "bfloat16"
  kInt8,
  kUInt8,
  kInt32,
  kInt64,
  kUInt32,
  kUInt64
};
std::size_t size_of(DType dtype);
std::string name_of(DType dtype);              // "float16"
DType dtype_from_name(std::string_view name);  // throws Error

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::kFloat32;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::kFloat64;
}
template <>
constexpr DType dtype_of<std::int8_t>() {
  return DType::kInt8;
}
template <>
constexpr DType dtype_of<std::uint8_t>() {
  return DType::kUInt8;
}
template <>
constexpr DType dtype_of<std::int32_t>() {
  return DType::kInt32;
}
template <>
constexpr DType dtype_of<std::int64_t>() {
  return DType::kInt64;
}
template <>
constexpr DType dtype_of<std::uint32_t>() {
  return DType::kUInt32;
}
template <>
constexpr DType dtype_of<std::uint64_t>() {
  return DType::kUInt64;
}

using Shape = std::vector<std::int64_t>;

// An open HDF5 identifier, closed with its last owner.
class Handle {
 public:
  Handle() = default;
  Handle(std::int64_t id, int (*close)(std::int64_t));
  std::int64_t id() const;
  explicit operator bool() const { return state_ != nullptr; }

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// What groups and data sets have in common: a place in a file, and attributes.
class Object {
 public:
  const std::string& where() const { return where_; }  // "runs/a/medial.h5: /layers/layer2"
  std::string path() const;                            // "/layers/layer2"

  void set(const std::string& name, std::string_view value);
  void set(const std::string& name, const char* value) { set(name, std::string_view(value)); }
  void set(const std::string& name, std::int64_t value);
  void set(const std::string& name, double value);
  void set(const std::string& name, const std::vector<std::int64_t>& values);
  void set(const std::string& name, const std::vector<double>& values);

  // Throw Error (corrupt) when the attribute is missing or of another type.
  std::string text(const std::string& name) const;
  std::int64_t integer(const std::string& name) const;
  double real(const std::string& name) const;
  std::vector<std::int64_t> integers(const std::string& name) const;
  std::vector<double> reals(const std::string& name) const;
  bool has_attribute(const std::string& name) const;
  void remove_attribute(const std::string& name);
  std::vector<std::string> attributes() const;  // sorted
  // Name, type, shape and bytes of an attribute, for hashing and inspection.
  std::string attribute_text(const std::string& name) const;

 protected:
  Object(Handle handle, std::string where) : handle_(std::move(handle)), where_(std::move(where)) {}
  Handle handle_;
  std::string where_;
};

struct Layout {
  std::int64_t rows_per_chunk = 0;  // 0: contiguous; else chunked along the first axis
  int deflate = 0;                  // 0: no compression; 1-9: shuffle + deflate
  bool extendable = false;          // the first axis may grow (needs chunks)
  // Contiguous only: its bytes get their place in the file at creation and are left as
  // they are, so that they can be written past HDF5, at Dataset::offset().
  bool placed_early = false;
};

// Rows of another file's data set that a virtual data set shows as its own.
struct VirtualSource {
  std::string file;    // relative ones: from the folder of the file that shows them; ".": itself
  std::string object;  // "/layers/layer2"
  std::int64_t rows = 0;
};

class Dataset : public Object {
 public:
  DType dtype() const;
  Shape shape() const;
  std::int64_t rows() const;        // the first axis; 1 for a scalar
  std::int64_t row_values() const;  // values in one row
  bool is_text() const;

  // Rows [first, first + count) of the first axis; the buffer is in the data set's own dtype.
  void write_rows(std::int64_t first, std::int64_t count, const void* data);
  void read_rows(std::int64_t first, std::int64_t count, void* data) const;
  void resize_rows(std::int64_t rows);

  // Where the bytes begin in the file, row after row; nothing when they are in chunks,
  // elsewhere (virtual), or have no place yet.
  std::optional<std::int64_t> offset() const;
  bool is_virtual() const;
  std::int64_t rows_per_chunk() const;  // 0: not in chunks
  // One chunk as it lies in the file, behind the filters. first: a multiple of rows_per_chunk().
  void write_chunk(std::int64_t first, const void* data, std::size_t size);

 private:
  friend class Group;
  using Object::Object;
};

class Group : public Object {
 public:
  bool has(const std::string& path) const;
  std::vector<std::string> children() const;  // sorted by name
  bool is_group(const std::string& name) const;
  void remove(const std::string& name);  // a child and all below it
  Group create_group(const std::string& name);
  Group group(const std::string& name) const;
  Dataset create_dataset(const std::string& name, DType dtype, const Shape& shape,
                         const Layout& layout = {});
  // The sources' rows one after the other; dtype and row shape are the same in all. A
  // source that is missing when it is read shows as zeros: the reader has to check.
  Dataset create_virtual(const std::string& name, DType dtype, const Shape& row_shape,
                         const std::vector<VirtualSource>& sources);
  Dataset dataset(const std::string& name) const;
  // As dataset(), and checks dtype and shape; -1 in the shape takes any size.
  Dataset dataset(const std::string& name, DType dtype, const Shape& shape) const;

  // Whole data sets. An empty shape writes one axis of values.size().
  template <class T>
  void write(const std::string& name, const std::vector<T>& values, const Shape& shape = {}) {
    write_all(name, dtype_of<T>(), shape.empty() ? Shape{std::int64_t(values.size())} : shape,
              values.data(), values.size());
  }
  // shape: expected sizes, -1 for any; {} for any single axis.
  template <class T>
  std::vector<T> read(const std::string& name, const Shape& shape = {-1}) const {
    const Dataset data = dataset(name, dtype_of<T>(), shape);
    std::vector<T> values(static_cast<std::size_t>(data.rows() * data.row_values()));
    if (!values.empty()) data.read_rows(0, data.rows(), values.data());
    return values;
  }
  void write_texts(const std::string& name, const std::vector<std::string>& values);
  std::vector<std::string> read_texts(const std::string& name) const;
  void write_text(const std::string& name, std::string_view value);
  std::string read_text(const std::string& name) const;

 private:
  friend class File;
  using Object::Object;
  void create_parents(const std::string& path);
  void write_all(const std::string& name, DType dtype, const Shape& shape, const void* data,
                 std::size_t count);
  Dataset create_with(const std::string& name, DType dtype, const Handle& space,
                      const Handle& properties);
};

class File {
 public:
  static File create(const std::filesystem::path& path);         // truncates
  static File open(const std::filesystem::path& path);           // to read
  static File open_to_write(const std::filesystem::path& path);  // an existing file
  const Group& root() const { return root_; }
  Group& root() { return root_; }
  const std::filesystem::path& path() const { return path_; }
  void flush();  // to the operating system
  void close();  // throws when the last bytes can't be written

 private:
  File(Handle handle, std::filesystem::path path);
  Handle handle_;
  std::filesystem::path path_;
  Group root_;
};

// Every value finite, or an Error (corrupt) that names the object and the first bad index.
void require_finite(const std::vector<float>& values, const std::string& where);
void require_finite(const std::vector<double>& values, const std::string& where);

}  // namespace cachectl::io
