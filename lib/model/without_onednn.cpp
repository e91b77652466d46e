// Stands for convolution.cpp and pooling.cpp where there is no oneDNN to call: nothing is
// supported, and LibTorch's own kernels run throughout.
#include <c10/util/Exception.h>

#include "model/convolution.h"
#include "model/pooling.h"

namespace cachectl::model {
namespace {

[[noreturn]] void not_asked() {
  TORCH_INTERNAL_ASSERT(false, "whether it is supported was not asked");
}

}  // namespace

struct Convolution::State {};
bool Convolution::supports(const ConvolutionSpec&) {
  return false;
}
// NOLINTNEXTLINE(performance-unnecessary-value-param): declared for those that keep it
Convolution::Convolution(ConvolutionSpec) {}
Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;
Convolution& Convolution::operator=(Convolution&&) noexcept = default;
at::Tensor Convolution::run(const at::Tensor&, const at::Tensor&) const {
  not_asked();
}
const ConvolutionSpec& Convolution::spec() const {
  not_asked();
}
bool Convolution::is_fast_on(std::int64_t, ImageSize) const {
  not_asked();
}
ImageSize Convolution::output_size(ImageSize) const {
  not_asked();
}
void Convolution::run_on(std::int64_t, ImageSize, const void*, const void*, void*) const {
  not_asked();
}

struct Pooling::State {};
bool Pooling::supported() {
  return false;
}
Pooling::Pooling(Kind, std::int64_t) {}
Pooling::~Pooling() = default;
Pooling::Pooling(Pooling&&) noexcept = default;
Pooling& Pooling::operator=(Pooling&&) noexcept = default;
ImageSize Pooling::output_size(ImageSize) const {
  not_asked();
}
void Pooling::run_on(std::int64_t, std::int64_t, ImageSize, const float*, float*) const {
  not_asked();
}

}  // namespace cachectl::model
