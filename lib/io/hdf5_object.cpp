#include <algorithm>
#include <functional>

#include "base/text.h"
#include "io/hdf5_calls.h"

namespace cachectl::io {
namespace {

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

std::string Object::path() const {
  const auto colon = where_.rfind(": /");
  return colon == std::string::npos ? where_ : where_.substr(colon + 2);
}

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
  const Handle space = wrap(H5Aget_space(attribute.id()));
  const auto texts = H5Sget_simple_extent_npoints(space.id());
  if (texts != 1) fail(kBad, "{}: attribute '{}': {} texts, expected one", where_, name, texts);
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

}  // namespace cachectl::io
