#include "model/counting.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/csrc/api/include/torch/version.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace cachectl::model {
namespace {

// What a rule needs of an argument or result: sizes, never the tensor itself, which
// would stay alive.
struct Value {
  bool tensor = false;
  std::vector<std::int64_t> sizes;  // of a tensor
  std::vector<Value> parts;         // of a list of tensors
  std::int64_t number = 0;          // of an int or bool
  double numel() const {
    if (!tensor) {
      double sum = 0;
      for (const Value& part : parts) sum += part.numel();
      return sum;
    }
    return std::accumulate(sizes.begin(), sizes.end(), 1.0, std::multiplies<>());
  }
  std::int64_t size(std::int64_t from_end) const {
    const auto count = static_cast<std::int64_t>(sizes.size());
    return from_end <= count ? sizes[static_cast<std::size_t>(count - from_end)] : 1;
  }
};

Value describe(const c10::IValue& value) {
  Value result;
  if (value.isTensor()) {
    result.tensor = true;
    if (value.toTensor().defined()) {
      result.sizes = value.toTensor().sizes().vec();
    } else {
      result.tensor = false;
    }
  } else if (value.isTensorList()) {
    for (const at::Tensor& part : value.toTensorVector()) {
      result.parts.push_back({true, part.sizes().vec(), {}, 0});
    }
  } else if (value.isInt()) {
    result.number = value.toInt();
  } else if (value.isBool()) {
    result.number = value.toBool();
  }
  return result;
}

using Values = std::vector<Value>;
using Rule = double (*)(const Values& in, const Values& out);  // multiply-accumulates

const std::unordered_map<std::string, Rule>& product_rules() {
  // Convolution: every output value sums over the kernel and its group's channels;
  // weight [out, in/groups, k...]. Transposed: every input value is spread over the
  // kernel and its group's outputs; weight [in, out/groups, k...].
  static const Rule convolution = [](const Values& in, const Values& out) {
    const bool transposed = in.at(6).number != 0;
    const double per_value = in[1].numel() / static_cast<double>(in[1].sizes.at(0));
    return (transposed ? in[0].numel() : out.at(0).numel()) * per_value;
  };
  static const Rule product = [](const Values& in, const Values& out) {
    return out.at(0).numel() * static_cast<double>(in.at(0).size(1));
  };
  static const Rule added_product = [](const Values& in, const Values& out) {
    return out.at(0).numel() * static_cast<double>(in.at(1).size(1));
  };
  // query [B, T, E], key [B, S, E]: three projections, scores, weighted sum, output.
  static const Rule attention = [](const Values& in, const Values&) {
    const auto e = static_cast<double>(in.at(0).size(1)), t = static_cast<double>(in[0].size(2));
    const double rows = in[0].numel() / e, s = static_cast<double>(in.at(1).size(2));
    return rows * e * e * 2 + rows / t * s * e * e * 2 + 2 * rows * s * e;
  };
  // src [B, T, E], embed_dim, heads, qkv weight and bias, projection, ..., ffn weights last.
  static const Rule encoder_layer = [](const Values& in, const Values&) {
    const auto e = static_cast<double>(in.at(0).size(1)), t = static_cast<double>(in[0].size(2));
    const double rows = in[0].numel() / e;
    return rows * (4 * e * e + 2 * t * e + in.at(14).numel() + in.at(16).numel());
  };
  static const Rule fused_attention = [](const Values& in, const Values&) {
    const double keys = static_cast<double>(in.at(1).size(2));
    return in.at(0).numel() * keys + in[0].numel() / static_cast<double>(in[0].size(1)) * keys *
                                         static_cast<double>(in.at(2).size(1));
  };
  static const std::unordered_map<std::string, Rule> rules = {
      {"aten::convolution", convolution},
      {"aten::_convolution", convolution},
      {"aten::linear", product},
      {"aten::matmul", product},
      {"aten::mm", product},
      {"aten::mv", product},
      {"aten::bmm", product},
      {"aten::dot", [](const Values& in, const Values&) { return in.at(0).numel(); }},
      {"aten::addmm", added_product},
      // The products of the batch are summed, so that the result is one of them in size.
      {"aten::addbmm",
       [](const Values& in, const Values&) {
         return in.at(1).numel() * static_cast<double>(in.at(2).size(1));
       }},
      {"aten::baddbmm", added_product},
      {"aten::addmv", added_product},
      {"aten::_native_multi_head_attention", attention},
      {"aten::_transformer_encoder_layer_fwd", encoder_layer},
      {"aten::scaled_dot_product_attention", fused_attention},
      {"aten::_scaled_dot_product_attention", fused_attention}};
  return rules;
}

// Read their inputs once and write their output.
const std::unordered_set<std::string>& element_ops() {
  static const std::unordered_set<std::string> names = {
      // activations
      "relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "silu", "gelu", "elu", "leaky_relu",
      "sigmoid", "tanh", "mish", "softplus", "clamp", "clamp_min", "clamp_max", "threshold",
      "prelu", "_prelu_kernel", "celu", "selu", "glu", "rrelu", "log_sigmoid", "softsign",
      "hardshrink", "softshrink", "log_sigmoid_forward", "logit", "erf",
      // arithmetic and comparison
      "add", "sub", "rsub", "mul", "div", "true_divide", "floor_divide", "remainder", "fmod", "pow",
      "sqrt", "rsqrt", "square", "exp", "expm1", "log", "log1p", "log2", "neg", "abs", "sign",
      "sin", "cos", "floor", "ceil", "round", "trunc", "reciprocal", "maximum", "minimum", "where",
      "lerp", "addcmul", "addcdiv", "masked_fill", "eq", "ne", "gt", "ge", "lt", "le",
      "logical_and", "logical_or", "logical_not", "logical_xor", "bitwise_and", "bitwise_or",
      "bitwise_not", "__and__", "__or__", "isnan", "isinf", "nan_to_num", "_s_where",
      // reductions and normalisation
      "sum", "mean", "var", "std", "var_mean", "std_mean", "max", "min", "amax", "amin", "argmax",
      "argmin", "any", "all", "prod", "norm", "linalg_vector_norm", "cumsum", "logsumexp", "topk",
      "sort", "softmax", "_softmax", "log_softmax", "_log_softmax", "_masked_softmax", "batch_norm",
      "native_batch_norm", "_batch_norm_impl_index", "native_layer_norm", "layer_norm",
      "native_group_norm", "group_norm", "instance_norm", "local_response_norm",
      // pooling and resampling
      "max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "avg_pool1d",
      "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
      "adaptive_avg_pool3d", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "mkldnn_max_pool2d",
      "mkldnn_adaptive_avg_pool2d", "quantized_max_pool2d", "upsample_nearest1d",
      "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa",
      "grid_sampler_2d", "lp_pool2d", "pixel_shuffle", "channel_shuffle", "native_channel_shuffle",
      // moving data
      "cat", "_cat", "stack", "roll", "flip", "repeat", "constant_pad_nd", "pad",
      "reflection_pad2d", "replication_pad2d", "clone", "copy", "_to_copy", "to", "contiguous",
      "index", "index_select", "gather", "embedding", "embedding_bag", "_embedding_bag",
      "_embedding_bag_forward_only", "one_hot", "scatter", "index_put", "_index_put_impl",
      "masked_select", "nonzero", "tril", "triu", "unfold_copy", "im2col", "arange", "linspace",
      "full", "full_like", "zeros", "zeros_like", "new_zeros", "new_ones", "new_full", "ones",
      "ones_like", "fill", "zero", "scalar_tensor", "eye", "_transform_bias_rescale_qkv",
      "_lstm_cell", "_thnn_fused_lstm_cell", "_thnn_fused_gru_cell"};
  return names;
}

// Allocate or describe; nothing is computed.
const std::unordered_set<std::string>& free_ops() {
  static const std::unordered_set<std::string> names = {"empty",
                                                        "empty_like",
                                                        "empty_strided",
                                                        "resize",
                                                        "resize_as",
                                                        "set",
                                                        "size",
                                                        "stride",
                                                        "dim",
                                                        "numel",
                                                        "view",
                                                        "_unsafe_view",
                                                        "reshape",
                                                        "_reshape_alias",
                                                        "as_strided",
                                                        "flatten",
                                                        "unflatten",
                                                        "squeeze",
                                                        "unsqueeze",
                                                        "permute",
                                                        "transpose",
                                                        "t",
                                                        "numpy_T",
                                                        "expand",
                                                        "expand_as",
                                                        "slice",
                                                        "select",
                                                        "narrow",
                                                        "split",
                                                        "split_with_sizes",
                                                        "chunk",
                                                        "unbind",
                                                        "detach",
                                                        "alias",
                                                        "unfold",
                                                        "movedim",
                                                        "swapaxes",
                                                        "diagonal",
                                                        "lift",
                                                        "lift_fresh",
                                                        "item",
                                                        "_local_scalar_dense",
                                                        "is_nonzero",
                                                        "dropout",
                                                        "feature_dropout",
                                                        "alpha_dropout",
                                                        "broadcast_tensors",
                                                        "view_as",
                                                        "result_type",
                                                        "can_cast",
                                                        "_nested_tensor_from_mask",
                                                        "is_same_size",
                                                        "_has_compatible_shallow_copy_type",
                                                        "real",
                                                        "output_nr",
                                                        "_version",
                                                        "is_floating_point",
                                                        "rand",
                                                        "randn",
                                                        "bernoulli"};
  return names;
}

std::string plain_name(std::string name) {
  if (name.rfind("aten::", 0) == 0) name.erase(0, 6);
  if (name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_') name.pop_back();
  return name;
}

// A call through the interpreter's stack shows all of the stack: its own values are the last.
template <class List>
Values last(const List& values, std::size_t count) {
  Values result;
  for (std::size_t i = values.size() - std::min(values.size(), count); i < values.size(); ++i) {
    result.push_back(describe(values[i]));
  }
  return result;
}

std::pair<std::size_t, std::size_t> arity(const at::RecordFunction& function) {
  constexpr auto kAny = std::numeric_limits<std::size_t>::max();
  const auto name = function.operator_name();
  const auto found = name ? c10::Dispatcher::singleton().findSchema(*name) : c10::nullopt;
  if (!found) return {kAny, kAny};
  return {found->schema().arguments().size(), found->schema().returns().size()};
}

struct Call : at::ObserverContext {
  std::string name;
  std::size_t arguments = 0, results = 0;
  Values inputs;
  Rule rule = nullptr;
  bool covered = false;  // counted already, by an operation around it
  bool elements = false;
  bool counted_inside = false;  // by a rule of an operation that it calls
};

struct Counter {
  SegmentCost cost;
  std::vector<Call*> open;
};
thread_local Counter* active = nullptr;

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  auto call = std::make_unique<Call>();
  if (!active) return call;
  call->name = function.name();
  if (!active->open.empty()) {
    const Call& around = *active->open.back();
    call->covered = around.covered || around.rule || around.elements;
  }
  if (!call->covered) {
    const auto rule = product_rules().find(call->name);
    if (rule != product_rules().end()) call->rule = rule->second;
    call->elements = !call->rule && element_ops().count(plain_name(call->name)) != 0;
    std::tie(call->arguments, call->results) = arity(function);
    call->inputs = last(function.inputs(), call->arguments);
  }
  active->open.push_back(call.get());
  return call;
}

void end(const at::RecordFunction& function, at::ObserverContext* context) {
  if (!active || active->open.empty() || active->open.back() != context) return;
  const Call& call = *active->open.back();
  active->open.pop_back();
  if (call.covered) return;
  const bool counted = call.rule || call.elements || call.counted_inside;
  if (counted && !active->open.empty()) active->open.back()->counted_inside = true;
  SegmentCost& cost = active->cost;
  if (call.rule) {
    cost.macs += call.rule(call.inputs, last(function.outputs(), call.results));
  } else if (call.elements) {
    for (const Value& input : call.inputs) cost.element_ops += input.numel();
  } else if (!counted && free_ops().count(plain_name(call.name)) == 0) {
    ++cost.uncounted[call.name];
  }
}

class AllocationWatch : public c10::MemoryReportingInfoBase {
 public:
#if TORCH_VERSION_MAJOR >= 2
  void reportMemoryUsage(void*, std::int64_t size, std::size_t, std::size_t, c10::Device) override {
    add(size);
  }
#else
  void reportMemoryUsage(void*, std::int64_t size, std::int64_t, std::int64_t,
                         c10::Device) override {
    add(size);
  }
#endif
  bool memoryProfilingEnabled() const override {
    return true;
  }
  std::int64_t most() const {
    return most_;
  }

 private:
  void add(std::int64_t size) {
    now_ += size;
    most_ = std::max(most_, now_);
  }
  std::int64_t now_ = 0, most_ = 0;
};

}  // namespace

SegmentCost count_work(const std::function<void()>& work, std::int64_t held_bytes) {
  Counter counter;
  Counter* const outer = std::exchange(active, &counter);
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(begin, end)
                                                     .needsInputs(true)
                                                     .needsOutputs(true)
                                                     .scopes({at::RecordScope::FUNCTION}));
  const auto watch = std::make_shared<AllocationWatch>();
  struct Cleanup {
    at::CallbackHandle handle;
    Counter* outer;
    ~Cleanup() {
      at::removeCallback(handle);
      active = outer;
    }
  } cleanup{handle, outer};
  {
    const at::RecordFunctionGuard recorded(true);
    const c10::DebugInfoGuard watched(c10::DebugInfoKind::PROFILER_STATE, watch);
    work();
  }
  counter.cost.live_bytes = watch->most() + held_bytes;
  return counter.cost;
}

}  // namespace cachectl::model
