#include <algorithm>

#include "io/hdf5_calls.h"

namespace cachectl::io {
namespace {

Handle half_type() {
  Handle type = wrap(H5Tcopy(H5T_IEEE_F32LE));
  H5Tset_fields(type.id(), 15, 10, 5, 0, 10);
  H5Tset_size(type.id(), 2);
  H5Tset_ebias(type.id(), 15);
  return type;
}

constexpr DType kAllTypes[] = {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16,
                               DType::kInt8,    DType::kUInt8,   DType::kInt32,   DType::kInt64,
                               DType::kUInt32,  DType::kUInt64};

}  // namespace

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

DType dtype_of_type(hid_t type, bool bfloat, const std::string& where) {
  for (const DType dtype : kAllTypes) {
    if ((dtype == DType::kBFloat16) != bfloat) continue;
    if (H5Tequal(type, type_of(dtype).id()) > 0) return dtype;
  }
  fail(kBad, "{}: its HDF5 type is none that cachectl writes", where);
}

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

}  // namespace cachectl::io
