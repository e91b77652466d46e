#include "model/pooling.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <map>
#include <mutex>
#include <shared_mutex>
#include <tuple>

#include "model/onednn.h"
#include "model/pieces.h"

namespace cachectl::model {

using namespace onednn;

struct Pooling::State {
  Kind kind = Kind::kAverage;
  std::int64_t window = 1;
  mutable std::shared_mutex mutex;
  // rows, channels, height, width, threads
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, int>;
  mutable std::map<Key, std::unique_ptr<const Kernel>> kernels;

  const Kernel& kernel(std::int64_t rows, std::int64_t channels, ImageSize size) const {
    const Key key{rows, channels, size.height, size.width, at::get_num_threads()};
    {
      const std::shared_lock lock(mutex);
      const auto found = kernels.find(key);
      if (found != kernels.end() && found->second) return *found->second;
    }
    const std::unique_lock lock(mutex);
    auto& place = kernels[key];
    if (!place) {
      place =
          std::make_unique<const Kernel>(describe(rows, channels, size), memory(), memory(), false);
    }
    return *place;
  }

  Described describe(std::int64_t rows, std::int64_t channels, ImageSize size) const {
    using dnnl::algorithm;
    const auto type = memory::data_type::f32;
    const memory::desc source({rows, channels, size.height, size.width}, type, Format::nhwc);
    const memory::desc target({rows, channels, size.height / window, size.width / window}, type,
                              Format::nhwc);
    const memory::dims windows = {window, window}, none = {0, 0};
    const dnnl::pooling_forward::desc operation(
        dnnl::prop_kind::forward_inference,
        kind == Kind::kMaximum ? algorithm::pooling_max : algorithm::pooling_avg_exclude_padding,
        source, target, windows, windows, none, none);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::pooling_forward::primitive_desc made(operation, attributes, cpu());
    return {dnnl::primitive(made), made.src_desc(), made.dst_desc(), {}, made.scratchpad_desc()};
  }
};

bool Pooling::supported() {
  return true;
}

Pooling::Pooling(Kind kind, std::int64_t window) : state_(std::make_unique<State>()) {
  TORCH_INTERNAL_ASSERT(window > 0);
  state_->kind = kind;
  state_->window = window;
}

ImageSize Pooling::output_size(ImageSize size) const {
  return {size.height / state_->window, size.width / state_->window};
}

void Pooling::run_on(std::int64_t rows, std::int64_t channels, ImageSize size, const float* x,
                     float* y) const {
  const ImageSize out = output_size(size);
  for (std::int64_t left = rows, piece = 0; left > 0; left -= piece) {
    piece = next_piece(left);
    // oneDNN takes what it only reads as void* too.
    state_->kernel(piece, channels, size).execute(const_cast<float*>(x), nullptr, y);
    x += piece * channels * size.height * size.width;
    y += piece * channels * out.height * out.width;
  }
}

Pooling::~Pooling() = default;
Pooling::Pooling(Pooling&&) noexcept = default;
Pooling& Pooling::operator=(Pooling&&) noexcept = default;

}  // namespace cachectl::model
