#include "model/convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <tuple>
#include <utility>

#include "model/buffers.h"
#include "model/onednn.h"
#include "model/pieces.h"

namespace cachectl::model {

using namespace onednn;

namespace {

dnnl::primitive_attr attributes(const Epilogue& epilogue, const memory::desc& output) {
  using dnnl::algorithm;
  dnnl::post_ops ops;
  if (epilogue.add) ops.append_binary(algorithm::binary_add, output);
  const auto alpha = static_cast<float>(epilogue.alpha), beta = static_cast<float>(epilogue.beta);
  switch (epilogue.kind) {
    case Epilogue::Kind::kNone:
      break;
    case Epilogue::Kind::kClip:
      ops.append_eltwise(1, algorithm::eltwise_clip, alpha, beta);
      break;
    case Epilogue::Kind::kLeaky:
      ops.append_eltwise(1, algorithm::eltwise_relu, alpha, 0);
      break;
    case Epilogue::Kind::kSwish:
      ops.append_eltwise(1, algorithm::eltwise_swish, 1, 0);
      break;
    case Epilogue::Kind::kHardswish:
      ops.append_eltwise(1, algorithm::eltwise_hardswish, 0, 0);
      break;
    case Epilogue::Kind::kLogistic:
      ops.append_eltwise(1, algorithm::eltwise_logistic, 0, 0);
      break;
    case Epilogue::Kind::kTanh:
      ops.append_eltwise(1, algorithm::eltwise_tanh, 0, 0);
      break;
    case Epilogue::Kind::kGelu:
      ops.append_eltwise(1, algorithm::eltwise_gelu_erf, 0, 0);
      break;
  }
  dnnl::primitive_attr attr;
  attr.set_post_ops(ops);
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

ImageSize output_size_of(const ConvolutionSpec& spec, ImageSize size) {
  const auto one = [&](std::int64_t length, std::size_t axis) {
    const std::int64_t reach =
        spec.dilation[axis] * (spec.weight.size(static_cast<std::int64_t>(axis) + 2) - 1) + 1;
    const std::int64_t room = length + 2 * spec.padding[axis] - reach;
    return room < 0 ? 0 : room / spec.stride[axis] + 1;
  };
  return {one(size.height, 0), one(size.width, 1)};
}

// oneDNN's channels-last kernel multiplies a row of the output at a time, which is too
// little work on images of 4 pixels: there its kernel for channels in blocks of a vector is half as
// fast again (512 channels, 4x4, AVX-512), reordering included.
bool prefers_blocks(const ConvolutionSpec& spec, ImageSize output) {
  constexpr std::int64_t kBlock = 16, kNarrow = 4;
  return output.width <= kNarrow && spec.groups == 1 &&
         spec.weight.size(2) * spec.weight.size(3) > 1 && spec.weight.size(0) % kBlock == 0 &&
         spec.weight.size(1) % kBlock == 0 && spec.weight.scalar_type() == at::kFloat;
}

// Each output value sees the whole image: there is one, and no window to move.
bool covers_image(const ConvolutionSpec& spec, ImageSize size) {
  const auto is_one = [](std::int64_t value) { return value == 1; };
  const auto is_zero = [](std::int64_t value) { return value == 0; };
  return spec.weight.size(2) == size.height && spec.weight.size(3) == size.width &&
         spec.groups == 1 && !spec.epilogue.add &&
         std::all_of(spec.dilation.begin(), spec.dilation.end(), is_one) &&
         std::all_of(spec.padding.begin(), spec.padding.end(), is_zero);
}

dnnl::inner_product_forward::primitive_desc describe_product(const ConvolutionSpec& spec,
                                                             std::int64_t rows) {
  const auto type = type_of(spec.weight.scalar_type());
  const std::int64_t out = spec.weight.size(0), in = spec.weight.numel() / out;
  const memory::desc source({rows, in}, type, Format::nc), target({rows, out}, type, Format::nc);
  const memory::desc weights({out, in}, type, Format::any);
  const memory::desc bias({out}, memory::data_type::f32, Format::a);
  const dnnl::inner_product_forward::desc operation(dnnl::prop_kind::forward_inference, source,
                                                    weights, bias, target);
  return {operation, attributes(spec.epilogue, target), cpu()};
}

using PrimitiveDescription = dnnl::convolution_forward::primitive_desc;

PrimitiveDescription describe_in(Format layout, const ConvolutionSpec& spec, std::int64_t rows,
                                 ImageSize size) {
  const auto type = type_of(spec.weight.scalar_type());
  const std::int64_t out = spec.weight.size(0), in = spec.weight.size(1) * spec.groups;
  const ImageSize output = output_size_of(spec, size);
  const memory::desc source({rows, in, size.height, size.width}, type, layout);
  const memory::desc target({rows, out, output.height, output.width}, type, layout);
  const std::int64_t kh = spec.weight.size(2), kw = spec.weight.size(3);
  const memory::desc weights =
      spec.groups == 1 ? memory::desc({out, in, kh, kw}, type, Format::any)
                       : memory::desc({spec.groups, out / spec.groups, in / spec.groups, kh, kw},
                                      type, Format::any);
  const memory::desc bias({out}, memory::data_type::f32, Format::a);
  const memory::dims dilation = {spec.dilation[0] - 1, spec.dilation[1] - 1};
  const memory::dims padding = {spec.padding[0], spec.padding[1]};
  const memory::dims stride = {spec.stride[0], spec.stride[1]};
  const dnnl::convolution_forward::desc operation(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, source, weights,
      bias, target, stride, dilation, padding, padding);
  return {operation, attributes(spec.epilogue, target), cpu()};
}

// oneDNN has a kernel for anything: where nothing else fits, one to compare others with, which
// takes a hundred times as long.
bool is_reference(const PrimitiveDescription& made) {
  return std::string(made.impl_info_str()).find("ref") != std::string::npos;
}
// Of its own for convolutions; else it unfolds the image first.
bool is_direct(const PrimitiveDescription& made) {
  return !is_reference(made) && std::string(made.impl_info_str()).find("gemm") == std::string::npos;
}

PrimitiveDescription describe(const ConvolutionSpec& spec, std::int64_t rows, ImageSize size) {
  if (prefers_blocks(spec, output_size_of(spec, size))) {
    // The blocks are as long as the processor's vectors; those of another have no fast kernel.
    for (const Format blocks : {Format::nChw16c, Format::nChw8c}) {
      PrimitiveDescription made = describe_in(blocks, spec, rows, size);
      if (is_direct(made)) return made;
    }
  }
  return describe_in(Format::nhwc, spec, rows, size);
}

// The same by LibTorch's operations: for sums that broadcast, and for its error messages.
at::Tensor plain(const ConvolutionSpec& spec, const at::Tensor& x, const at::Tensor& other) {
  const c10::optional<at::Tensor> bias =
      spec.bias.defined() ? c10::optional<at::Tensor>(spec.bias) : c10::nullopt;
  at::Tensor y =
      at::conv2d(x, spec.weight, bias, spec.stride, spec.padding, spec.dilation, spec.groups);
  if (spec.epilogue.add) y = y + other;
  const Epilogue& epilogue = spec.epilogue;
  switch (epilogue.kind) {
    case Epilogue::Kind::kNone:
      return y;
    case Epilogue::Kind::kClip:
      return at::clamp(y, epilogue.alpha, epilogue.beta);
    case Epilogue::Kind::kLeaky:
      return at::leaky_relu(y, epilogue.alpha);
    case Epilogue::Kind::kSwish:
      return at::silu(y);
    case Epilogue::Kind::kHardswish:
      return at::hardswish(y);
    case Epilogue::Kind::kLogistic:
      return at::sigmoid(y);
    case Epilogue::Kind::kTanh:
      return at::tanh(y);
    case Epilogue::Kind::kGelu:
      return at::gelu(y);
  }
  return y;
}

}  // namespace

struct Convolution::State {
  ConvolutionSpec spec;
  at::Tensor bias;  // float32, zeros where there was none
  memory bias_memory;
  mutable std::shared_mutex mutex;
  // rows, height, width, threads
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, int>;
  mutable std::map<Key, std::unique_ptr<const Kernel>> kernels;
  mutable std::vector<memory> packed;  // the weights, once per layout that a kernel asked for

  const Kernel& kernel(std::int64_t rows, ImageSize size) const {
    const Key key{rows, size.height, size.width, at::get_num_threads()};
    {
      const std::shared_lock lock(mutex);
      const auto found = kernels.find(key);
      if (found != kernels.end() && found->second) return *found->second;
    }
    const std::unique_lock lock(mutex);
    auto& place = kernels[key];
    if (!place) {
      const Described described = covers_image(spec, size)
                                      ? described_as(describe_product(spec, rows))
                                      : described_as(describe(spec, rows, size));
      place = std::make_unique<const Kernel>(described, pack(described.weights), bias_memory,
                                             spec.epilogue.add);
    }
    return *place;
  }

  memory pack(const memory::desc& layout) const {
    for (const memory& known : packed) {
      if (known.get_desc() == layout) return known;
    }
    // Of a product over whole images: in the order of channels-last values.
    const bool product = layout.dims().size() == 2;
    const at::Tensor weight =
        product ? spec.weight.permute({0, 2, 3, 1}).contiguous() : spec.weight;
    const Format order = product ? Format::oi : spec.groups == 1 ? Format::oihw : Format::goihw;
    const memory::desc plain(layout.dims(), layout.data_type(), order);
    memory from(plain, cpu(), weight.data_ptr());
    memory to(layout, cpu());
    dnnl::reorder(from, to).execute(stream(), from, to);
    stream().wait();
    packed.push_back(to);
    return to;
  }
};

bool Convolution::supports(const ConvolutionSpec& spec) {
  const auto type = spec.weight.scalar_type();
  if (!spec.weight.device().is_cpu() || spec.weight.dim() != 4) return false;
  if (type != at::kFloat && type != at::kBFloat16) return false;
  if (spec.stride.size() != 2 || spec.padding.size() != 2 || spec.dilation.size() != 2)
    return false;
  try {
    // Any image that the kernel fits on tells which implementation there is.
    const std::int64_t height = 16 + spec.dilation[0] * spec.weight.size(2);
    const std::int64_t width = 16 + spec.dilation[1] * spec.weight.size(3);
    return is_direct(describe(spec, 1, {height, width}));
  } catch (const dnnl::error&) {
    return false;
  }
}

Convolution::Convolution(ConvolutionSpec spec) : state_(std::make_unique<State>()) {
  spec.weight = spec.weight.detach().contiguous();
  state_->bias = spec.bias.defined() ? spec.bias.detach().to(at::kFloat).contiguous()
                                     : at::zeros({spec.weight.size(0)}, at::kFloat);
  state_->bias_memory = memory({{state_->bias.size(0)}, memory::data_type::f32, Format::a}, cpu(),
                               state_->bias.data_ptr());
  state_->spec = std::move(spec);
}

at::Tensor Convolution::run(const at::Tensor& x, const at::Tensor& other) const {
  const ConvolutionSpec& spec = state_->spec;
  if (x.dim() != 4 || x.size(1) != spec.weight.size(1) * spec.groups || !x.device().is_cpu()) {
    return plain(spec, x, other);
  }
  const auto type = spec.weight.scalar_type();
  const at::Tensor input = x.to(type).contiguous(at::MemoryFormat::ChannelsLast);
  const ImageSize size{x.size(2), x.size(3)}, out = output_size(size);
  const std::vector<std::int64_t> expected = {x.size(0), spec.weight.size(0), out.height,
                                              out.width};
  if (out.height < 1 || out.width < 1 || (spec.epilogue.add && other.sizes() != expected)) {
    return plain(spec, x, other);
  }
  at::Tensor output = pooled_empty(expected, type), added;
  if (spec.epilogue.add) added = other.to(type).contiguous(at::MemoryFormat::ChannelsLast);
  run_on(x.size(0), size, input.data_ptr(), added.defined() ? added.data_ptr() : nullptr,
         output.data_ptr());
  return output;
}

const ConvolutionSpec& Convolution::spec() const {
  return state_->spec;
}

bool Convolution::is_fast_on(std::int64_t rows, ImageSize size) const {
  return covers_image(state_->spec, size) || !is_reference(describe(state_->spec, rows, size));
}

ImageSize Convolution::output_size(ImageSize size) const {
  return output_size_of(state_->spec, size);
}

void Convolution::run_on(std::int64_t rows, ImageSize size, const void* x, const void* other,
                         void* y) const {
  const ConvolutionSpec& spec = state_->spec;
  const ImageSize out = output_size(size);
  const auto item = static_cast<std::int64_t>(at::elementSize(spec.weight.scalar_type()));
  const std::int64_t in_step = spec.weight.size(1) * spec.groups * size.height * size.width * item;
  const std::int64_t out_step = spec.weight.size(0) * out.height * out.width * item;
  // oneDNN takes what it only reads as void* too.
  auto* from = static_cast<char*>(const_cast<void*>(x));
  auto* plus = static_cast<char*>(const_cast<void*>(other));
  auto* to = static_cast<char*>(y);
  for (std::int64_t left = rows, piece = 0; left > 0; left -= piece) {
    piece = next_piece(left);
    state_->kernel(piece, size).execute(from, plus, to);
    from += in_step * piece;
    to += out_step * piece;
    if (plus != nullptr) plus += out_step * piece;
  }
}

Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;
Convolution& Convolution::operator=(Convolution&&) noexcept = default;

}  // namespace cachectl::model
