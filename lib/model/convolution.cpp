#include "model/convolution.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "model/buffers.h"

#ifdef CACHECTL_HAVE_ONEDNN
#include <map>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <shared_mutex>
#include <string>
#include <tuple>
#include <utility>
#endif

namespace cachectl::model {

#ifdef CACHECTL_HAVE_ONEDNN

namespace {

using dnnl::memory;
using Format = memory::format_tag;

constexpr std::int64_t kExactPieces = 16;   // samples: up to here each size has its kernel
constexpr std::int64_t kLargestPiece = 64;  // kExactPieces times a power of two

// How many of the `left` samples the next call takes. Each call costs as much as a good part
// of a sample, so that few of them count most in small batches.
std::int64_t next_piece(std::int64_t left) {
  if (left <= kExactPieces) return left;
  std::int64_t piece = kLargestPiece;
  while (piece > left) piece /= 2;
  return piece;
}

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& stream() {
  thread_local dnnl::stream stream(cpu());
  return stream;
}

void* scratch(std::size_t bytes) {
  thread_local at::Tensor buffer;
  if (!buffer.defined() || static_cast<std::size_t>(buffer.numel()) < bytes) {
    buffer = at::empty({static_cast<std::int64_t>(bytes)}, at::kByte);
  }
  return buffer.data_ptr();
}

memory::data_type type_of(at::ScalarType type) {
  return type == at::kBFloat16 ? memory::data_type::bf16 : memory::data_type::f32;
}

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

struct Sizes {
  std::int64_t height = 0, width = 0;
};

Sizes output_sizes(const ConvolutionSpec& spec, std::int64_t height, std::int64_t width) {
  const auto one = [&](std::int64_t size, std::size_t axis) {
    const std::int64_t reach =
        spec.dilation[axis] * (spec.weight.size(static_cast<std::int64_t>(axis) + 2) - 1) + 1;
    return (size + 2 * spec.padding[axis] - reach) / spec.stride[axis] + 1;
  };
  return {one(height, 0), one(width, 1)};
}

// oneDNN's channels-last kernel multiplies a row of the output at a time, which is too
// little work on images of 4 pixels: there its kernel for channels in blocks of 16 is half as
// fast again (512 channels, 4x4, AVX-512), reordering included.
bool prefers_blocks(const ConvolutionSpec& spec, const Sizes& sizes) {
  constexpr std::int64_t kBlock = 16, kNarrow = 4;
  return sizes.width <= kNarrow && spec.groups == 1 &&
         spec.weight.size(2) * spec.weight.size(3) > 1 && spec.weight.size(0) % kBlock == 0 &&
         spec.weight.size(1) % kBlock == 0 && spec.weight.scalar_type() == at::kFloat;
}

dnnl::convolution_forward::primitive_desc describe(const ConvolutionSpec& spec, std::int64_t rows,
                                                   std::int64_t height, std::int64_t width) {
  const auto type = type_of(spec.weight.scalar_type());
  const std::int64_t out = spec.weight.size(0), in = spec.weight.size(1) * spec.groups;
  const Sizes sizes = output_sizes(spec, height, width);
  const Format layout = prefers_blocks(spec, sizes) ? Format::nChw16c : Format::nhwc;
  const memory::desc source({rows, in, height, width}, type, layout);
  const memory::desc target({rows, out, sizes.height, sizes.width}, type, layout);
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

// One piece size at one image size.
struct Kernel {
  dnnl::convolution_forward primitive;
  memory::desc source, target;
  memory weights;  // in the layout the kernel asks for
  std::size_t scratch_bytes = 0;
  memory::desc scratch;
  // Of channels-last tensors into blocks and back; empty where the kernel takes them as they are.
  dnnl::reorder enter, enter_other, leave;
  memory::desc plain_source, plain_target;
  bool blocked = false;
};

// A tensor's piece in the kernel's layout.
struct Piece {
  memory plain, inside;
  at::Tensor bytes;
};

Piece piece_of(const memory::desc& plain, const memory::desc& inside, void* data, bool blocked) {
  Piece piece{memory(plain, cpu(), data), {}, {}};
  if (blocked) {
    piece.bytes = at::empty({static_cast<std::int64_t>(inside.get_size())}, at::kByte);
    piece.inside = memory(inside, cpu(), piece.bytes.data_ptr());
  } else {
    piece.inside = piece.plain;
  }
  return piece;
}

}  // namespace

struct Convolution::State {
  ConvolutionSpec spec;
  at::Tensor bias;  // float32, zeros where there was none
  memory bias_memory;
  mutable std::shared_mutex mutex;
  // rows, height, width, threads
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, int>;
  mutable std::map<Key, std::shared_ptr<const Kernel>> kernels;
  mutable std::vector<memory> packed;  // the weights, once per layout that a kernel asked for

  std::shared_ptr<const Kernel> kernel(std::int64_t rows, std::int64_t height,
                                       std::int64_t width) const {
    const Key key{rows, height, width, at::get_num_threads()};
    {
      const std::shared_lock lock(mutex);
      const auto found = kernels.find(key);
      if (found != kernels.end()) return found->second;
    }
    const std::unique_lock lock(mutex);
    auto& place = kernels[key];
    if (!place) place = make(rows, height, width);
    return place;
  }

  std::shared_ptr<const Kernel> make(std::int64_t rows, std::int64_t height,
                                     std::int64_t width) const {
    const auto described = describe(spec, rows, height, width);
    auto kernel = std::make_shared<Kernel>();
    kernel->primitive = dnnl::convolution_forward(described);
    kernel->source = described.src_desc();
    kernel->target = described.dst_desc();
    kernel->scratch = described.scratchpad_desc();
    kernel->scratch_bytes = kernel->scratch.get_size();
    const auto channels_last = [](const memory::desc& desc) {
      return memory::desc(desc.dims(), desc.data_type(), Format::nhwc);
    };
    kernel->plain_source = channels_last(kernel->source);
    kernel->plain_target = channels_last(kernel->target);
    kernel->blocked = kernel->source != kernel->plain_source;
    if (kernel->blocked) {
      const auto turn = [](const memory::desc& from, const memory::desc& to) {
        return dnnl::reorder(dnnl::reorder::primitive_desc(cpu(), from, cpu(), to));
      };
      kernel->enter = turn(kernel->plain_source, kernel->source);
      kernel->enter_other = turn(kernel->plain_target, kernel->target);
      kernel->leave = turn(kernel->target, kernel->plain_target);
    }
    kernel->weights = pack(described.weights_desc());
    return kernel;
  }

  memory pack(const memory::desc& layout) const {
    for (const memory& known : packed) {
      if (known.get_desc() == layout) return known;
    }
    const memory::desc plain(layout.dims(), layout.data_type(),
                             spec.groups == 1 ? Format::oihw : Format::goihw);
    memory from(plain, cpu(), spec.weight.data_ptr());
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
    const std::string name = describe(spec, 1, height, width).impl_info_str();
    return name.find("ref") == std::string::npos && name.find("gemm") == std::string::npos;
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
  const std::int64_t height = x.size(2), width = x.size(3), rows = x.size(0);
  const Sizes sizes = output_sizes(spec, height, width);
  const std::vector<std::int64_t> expected = {rows, spec.weight.size(0), sizes.height, sizes.width};
  if (sizes.height < 1 || sizes.width < 1 || (spec.epilogue.add && other.sizes() != expected)) {
    return plain(spec, x, other);
  }
  at::Tensor output = pooled_empty(expected, type);
  at::Tensor added;
  if (spec.epilogue.add) {
    added = other.to(type).contiguous(at::MemoryFormat::ChannelsLast);
  }
  const std::size_t item = input.element_size();
  auto* from = static_cast<char*>(input.data_ptr());
  auto* to = static_cast<char*>(output.data_ptr());
  auto* plus = spec.epilogue.add ? static_cast<char*>(added.data_ptr()) : nullptr;
  const std::size_t in_step = static_cast<std::size_t>(x.size(1) * height * width) * item;
  const std::size_t out_step =
      static_cast<std::size_t>(output.size(1) * sizes.height * sizes.width) * item;
  for (std::int64_t left = rows, piece = 0; left > 0; left -= piece) {
    piece = next_piece(left);
    const auto kernel = state_->kernel(piece, height, width);
    const bool blocked = kernel->blocked;
    Piece source = piece_of(kernel->plain_source, kernel->source, from, blocked);
    Piece target = piece_of(kernel->plain_target, kernel->target, to, blocked);
    if (blocked) kernel->enter.execute(stream(), source.plain, source.inside);
    const memory work(kernel->scratch, cpu(),
                      kernel->scratch_bytes ? scratch(kernel->scratch_bytes) : nullptr);
    Piece addend;
    dnnl_exec_arg_t arguments[6] = {
        {DNNL_ARG_SRC, source.inside.get()},        {DNNL_ARG_WEIGHTS, kernel->weights.get()},
        {DNNL_ARG_BIAS, state_->bias_memory.get()}, {DNNL_ARG_DST, target.inside.get()},
        {DNNL_ARG_SCRATCHPAD, work.get()},          {}};
    int count = 5;
    if (plus) {
      addend = piece_of(kernel->plain_target, kernel->target, plus, blocked);
      if (blocked) kernel->enter_other.execute(stream(), addend.plain, addend.inside);
      arguments[count++] = {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
                            addend.inside.get()};
    }
    const dnnl_status_t status =
        dnnl_primitive_execute(kernel->primitive.get(), stream().get(), count, arguments);
    TORCH_CHECK(status == dnnl_success, "oneDNN refused a convolution: status ", int(status));
    if (blocked) kernel->leave.execute(stream(), target.inside, target.plain);
    from += in_step * static_cast<std::size_t>(piece);
    to += out_step * static_cast<std::size_t>(piece);
    if (plus) plus += out_step * static_cast<std::size_t>(piece);
  }
  return output;
}

#else  // no oneDNN of our own: LibTorch's convolutions are used throughout

struct Convolution::State {};
bool Convolution::supports(const ConvolutionSpec&) {
  return false;
}
Convolution::Convolution(ConvolutionSpec) {}
at::Tensor Convolution::run(const at::Tensor&, const at::Tensor&) const {
  TORCH_INTERNAL_ASSERT(false, "supports() was not asked");
}

#endif

Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;
Convolution& Convolution::operator=(Convolution&&) noexcept = default;

}  // namespace cachectl::model
