#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/hdf5.h"

// What the sources behind io/hdf5.h share: the lock around HDF5's library, its identifiers
// as handles, its faults as Errors. Included by nothing outside lib/io.
namespace cachectl::io {

// Held for the length of one call into HDF5; also silences its own error printing.
class Call {
 public:
  Call();

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

constexpr auto kBad = ExitCode::kCorrupt;
constexpr auto kWrite = ExitCode::kCannotOpen;

Handle wrap(hid_t id);
// The innermost description on HDF5's error stack.
std::string library_reason();
Handle checked(hid_t id, ExitCode code, const std::string& where, const char* what);
void check(herr_t status, ExitCode code, const std::string& where, const char* what);

// Creation properties of a data set: equal contents give equal bytes (no object times), and
// attributes stay in the object's header.
void set_up_object(hid_t properties);
// Of a group: the same, and for its links too.
void set_up_group(hid_t properties);

// The type in the file, and in memory (the machines we run on are little-endian).
Handle type_of(DType dtype);
// The dtype of an HDF5 type that type_of made; bfloat: a uint16 encodes bfloat16. Fails with
// the object's place for any other.
DType dtype_of_type(hid_t type, bool bfloat, const std::string& where);
// Fixed length, padded with zeros.
Handle text_type(std::size_t size);

std::vector<hsize_t> sizes_of(const Shape& shape);
Handle space_of(const Shape& shape);
Shape shape_of_space(hid_t space);
std::int64_t values_in(const Shape& shape, std::size_t from);

}  // namespace cachectl::io
