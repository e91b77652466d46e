#include "data/scalar_type.h"

namespace cachectl::data {

std::optional<at::ScalarType> scalar_type_of(io::DType dtype) {
  switch (dtype) {
    case io::DType::kFloat32:
      return at::kFloat;
    case io::DType::kFloat64:
      return at::kDouble;
    case io::DType::kFloat16:
      return at::kHalf;
    case io::DType::kBFloat16:
      return at::kBFloat16;
    case io::DType::kInt8:
      return at::kChar;
    case io::DType::kUInt8:
      return at::kByte;
    case io::DType::kInt32:
      return at::kInt;
    case io::DType::kInt64:
      return at::kLong;
    case io::DType::kUInt32:
    case io::DType::kUInt64:
      break;
  }
  return std::nullopt;
}

}  // namespace cachectl::data
