#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "io/hdf5.h"

namespace cachectl::artifact {

// As float32, in row order. Scalars are written as one element.
void write_tensor(io::Group& group, const std::string& name, const at::Tensor& tensor);
// float32 of any rank; throws Error (corrupt) for another dtype or a value that isn't finite.
at::Tensor read_tensor(const io::Group& group, const std::string& name);

}  // namespace cachectl::artifact
