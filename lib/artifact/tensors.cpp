#include "artifact/tensors.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace cachectl::artifact {

void write_tensor(io::Group& group, const std::string& name, const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  const io::Shape shape =
      values.dim() == 0 ? io::Shape{1} : io::Shape(values.sizes().begin(), values.sizes().end());
  io::Dataset data = group.create_dataset(name, io::DType::kFloat32, shape);
  if (values.numel() > 0) data.write_rows(0, shape[0], values.data_ptr<float>());
}

at::Tensor read_tensor(const io::Group& group, const std::string& name) {
  const io::Dataset data = group.dataset(name);
  if (data.is_text() || data.dtype() != io::DType::kFloat32) {
    fail(ExitCode::kCorrupt, "{}: expected float32", data.where());
  }
  at::Tensor values = at::empty(data.shape(), at::kFloat);
  if (values.numel() == 0) return values;
  data.read_rows(0, data.rows(), values.data_ptr<float>());
  if (!at::isfinite(values).all().item<bool>()) {
    fail(ExitCode::kCorrupt, "{}: a value is not finite", data.where());
  }
  return values;
}

}  // namespace cachectl::artifact
