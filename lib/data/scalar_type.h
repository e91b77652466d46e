#pragma once

#include <c10/core/ScalarType.h>

#include <optional>

#include "io/hdf5.h"

namespace cachectl::data {

// The tensors' type of values that lie in a file as `dtype`; none for unsigned 32 and 64 bits.
std::optional<at::ScalarType> scalar_type_of(io::DType dtype);

}  // namespace cachectl::data
