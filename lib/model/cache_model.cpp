#include "model/cache_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cassert>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "model/frozen_cache_model.h"

namespace cachectl::model {
namespace {

using Kind = HeadLayer::Kind;
using Named = std::map<std::string, at::Tensor>;

constexpr double kMomentum = 0.1;  // of running statistics
constexpr double kEpsilon = 1e-5;  // added to variances

std::string name(std::size_t layer, const char* what) {
  return std::to_string(layer) + "." + what;
}

std::int64_t count_of(const Sizes& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

// The parameters of an architecture, in the order they are stored and applied. A batch
// norm "0.norm" has weight, bias, and the running mean and variance.
CacheModel::CacheModel(Architecture architecture, Sizes input_shape, std::int64_t classes,
                       std::uint64_t seed, bool takes_prior)
    : architecture_(std::move(architecture)),
      input_shape_(std::move(input_shape)),
      classes_(classes),
      takes_prior_(takes_prior) {
  assert(classes_ > 0);
  const auto sizes = layer_sizes(architecture_, input_shape_);
  std::vector<Slot> slots;
  const auto norm = [&](std::size_t layer, const char* prefix, std::int64_t width) {
    const std::string base = std::to_string(layer) + "." + prefix;
    slots.push_back({base + ".weight", {width}, false});
    slots.push_back({base + ".bias", {width}, false});
    buffers_[base + ".mean"] = at::zeros({width}, at::kFloat);
    buffers_[base + ".variance"] = at::ones({width}, at::kFloat);
  };
  for (std::size_t i = 0; i < architecture_.layers.size(); ++i) {
    const auto& layer = architecture_.layers[i];
    const Sizes& in = sizes[i];
    const std::int64_t kernel = layer.kernel;
    switch (layer.kind) {
      case Kind::kConvolution:
        slots.push_back({name(i, "weight"), {layer.width, in[0], kernel, kernel}, true});
        norm(i, "norm", layer.width);
        break;
      case Kind::kResidual:
        slots.push_back({name(i, "weight"), {in[0], in[0], kernel, kernel}, true});
        norm(i, "norm", in[0]);
        break;
      case Kind::kDepthwise:
        slots.push_back({name(i, "depth_weight"), {in[0], 1, kernel, kernel}, true});
        norm(i, "depth_norm", in[0]);
        slots.push_back({name(i, "weight"), {layer.width, in[0], 1, 1}, true});
        norm(i, "norm", layer.width);
        break;
      case Kind::kAttention:
        slots.push_back({name(i, "query"), {sizes[i + 1][0]}, true});
        break;
      case Kind::kLinear:
        slots.push_back({name(i, "weight"), {layer.width, count_of(in)}, true});
        norm(i, "norm", layer.width);
        break;
      case Kind::kPool:
      case Kind::kMaxPool:
      case Kind::kMean:
        break;
    }
  }
  const std::int64_t read = sizes.back()[0] + (takes_prior_ ? classes_ : 0);
  slots.push_back({"classifier.weight", {classes_, read}, true});
  slots.push_back({"classifier.bias", {classes_}, false});
  allocate(slots);

  Rng rng(seed);
  for (const auto& slot : slots) {
    at::Tensor leaf = leaves_.at(slot.name).detach();
    if (slot.shape.size() < 2) {
      const bool is_scale = slot.name.find("norm.weight") != std::string::npos;
      leaf.fill_(is_scale ? 1 : 0);
      continue;
    }
    const std::int64_t fan_in = count_of(slot.shape) / slot.shape[0];
    // The classifier has no ReLU behind it and starts near the uniform distribution.
    const double deviation =
        std::sqrt((slot.name == "classifier.weight" ? 0.1 : 2.0) / static_cast<double>(fan_in));
    float* values = leaf.data_ptr<float>();
    for (std::int64_t k = 0; k < leaf.numel(); ++k) {
      values[k] = static_cast<float>(deviation * rng.normal());
    }
  }
}

void CacheModel::allocate(const std::vector<Slot>& slots) {
  std::int64_t total = 0;
  for (const auto& slot : slots) total += count_of(slot.shape);
  parameters_ = at::zeros({total}, at::kFloat);
  gradients_ = at::zeros({total}, at::kFloat);
  decays_ = at::zeros({total}, at::kFloat);
  std::int64_t first = 0;
  for (const auto& slot : slots) {
    const std::int64_t count = count_of(slot.shape);
    at::Tensor leaf = parameters_.narrow(0, first, count).view(slot.shape).detach();
    leaf.set_requires_grad(true);
    leaf.mutable_grad() = gradients_.narrow(0, first, count).view(slot.shape);
    leaves_[slot.name] = leaf;
    if (slot.decays) decays_.narrow(0, first, count).fill_(1);
    first += count;
  }
}

CacheModel CacheModel::from_state(Architecture architecture, Sizes input_shape,
                                  std::int64_t classes, const State& state,
                                  const std::string& where, bool takes_prior) {
  CacheModel model(std::move(architecture), std::move(input_shape), classes, 1, takes_prior);
  State expected = model.state();
  const c10::NoGradGuard no_grad;
  for (const auto& [tensor, value] : state) {
    const auto known = expected.find(tensor);
    if (known == expected.end()) {
      fail(ExitCode::kIncompatible, "{}: tensor '{}' does not belong to {}", where, tensor,
           model.architecture_.text());
    }
    if (value.sizes() != known->second.sizes()) {
      fail(ExitCode::kIncompatible, "{}: tensor '{}' is {}, {} needs {}", where, tensor,
           text::shape(value.sizes().vec()), model.architecture_.text(),
           text::shape(known->second.sizes().vec()));
    }
    const auto leaf = model.leaves_.find(tensor);
    (leaf != model.leaves_.end() ? leaf->second.detach() : model.buffers_.at(tensor)).copy_(value);
    expected.erase(known);
  }
  if (!expected.empty()) {
    fail(ExitCode::kIncompatible, "{}: tensor '{}' of {} is missing", where,
         expected.begin()->first, model.architecture_.text());
  }
  return model;
}

SegmentCost CacheModel::cost() const {
  return head_cost(architecture_, input_shape_, classes_, takes_prior_);
}

at::Tensor CacheModel::forward(const at::Tensor& activations, const at::Tensor& prior,
                               bool training) const {
  assert(prior.defined() == takes_prior_);
  // Maps with a position's channels side by side: convolutions go backward fastest on those.
  at::Tensor x =
      activations.dim() == 4 ? activations.contiguous(at::MemoryFormat::ChannelsLast) : activations;
  const auto norm = [&](std::size_t layer, const char* prefix, const at::Tensor& value) {
    const std::string base = std::to_string(layer) + "." + prefix;
    return at::batch_norm(value, leaves_.at(base + ".weight"), leaves_.at(base + ".bias"),
                          buffers_.at(base + ".mean"), buffers_.at(base + ".variance"), training,
                          kMomentum, kEpsilon, false);
  };
  for (std::size_t i = 0; i < architecture_.layers.size(); ++i) {
    const auto& layer = architecture_.layers[i];
    switch (layer.kind) {
      case Kind::kConvolution:
        x = norm(i, "norm", convolve(x, leaves_.at(name(i, "weight")), {}, layer)).relu_();
        break;
      case Kind::kResidual:
        x = (x + norm(i, "norm", convolve(x, leaves_.at(name(i, "weight")), {}, layer))).relu_();
        break;
      case Kind::kDepthwise:
        x = convolve(x, leaves_.at(name(i, "depth_weight")), {}, layer, x.size(1));
        x = norm(i, "depth_norm", x).relu_();
        x = norm(i, "norm", at::conv2d(x, leaves_.at(name(i, "weight")))).relu_();
        break;
      case Kind::kPool:
        x = at::avg_pool2d(x, {layer.kernel, layer.kernel});
        break;
      case Kind::kMaxPool:
        x = at::max_pool2d(x, {layer.kernel, layer.kernel});
        break;
      case Kind::kMean:
        x = average(x);
        break;
      case Kind::kAttention:
        x = attend(x, leaves_.at(name(i, "query")));
        break;
      case Kind::kLinear:
        x = norm(i, "norm", at::linear(x.flatten(1), leaves_.at(name(i, "weight")))).relu_();
        break;
    }
  }
  return at::linear(with_prior(x.flatten(1), prior), leaves_.at("classifier.weight"),
                    leaves_.at("classifier.bias"));
}

CacheModel::State CacheModel::state() const {
  State state;
  for (const auto& [tensor, value] : leaves_) state[tensor] = value.detach().clone();
  for (const auto& [tensor, value] : buffers_) state[tensor] = value.clone();
  return state;
}

CacheModel::State CacheModel::gradients() const {
  State gradients;
  for (const auto& [tensor, value] : leaves_) gradients[tensor] = value.grad().clone();
  return gradients;
}

std::shared_ptr<const Predictor> CacheModel::freeze(const std::string& precision,
                                                    const std::string& device) const {
  const c10::NoGradGuard no_grad;
  const bool half = precision == "bfloat16";
  if (!half && precision != "float32") {
    fail(ExitCode::kUsage, "a cache model runs in float32 or bfloat16, not '{}'", precision);
  }
  const auto type = half ? at::kBFloat16 : at::kFloat;
  const at::Device where(device);
  const auto settled = [&](const at::Tensor& tensor) {  // a copy
    return tensor.detach().to(where, type, false, true);
  };
  // A norm behind a weight without bias: scales each output by `factor`, then shifts it.
  const auto fold = [&](std::size_t layer, const char* prefix, const at::Tensor& weight) {
    const std::string base = std::to_string(layer) + "." + prefix;
    const at::Tensor factor =
        leaves_.at(base + ".weight").detach() / (buffers_.at(base + ".variance") + kEpsilon).sqrt();
    Sizes column(static_cast<std::size_t>(weight.dim()), 1);
    column[0] = weight.size(0);
    const at::Tensor bias =
        leaves_.at(base + ".bias").detach() - buffers_.at(base + ".mean") * factor;
    return std::pair(settled(weight * factor.view(column)), settled(bias));
  };
  std::vector<FrozenLayer> layers;
  const auto sizes = layer_sizes(architecture_, input_shape_);
  for (std::size_t i = 0; i < architecture_.layers.size(); ++i) {
    FrozenLayer frozen;
    frozen.layer = architecture_.layers[i];
    frozen.input = sizes[i];
    const auto leaf = [&](const char* what) { return leaves_.at(name(i, what)).detach(); };
    switch (frozen.layer.kind) {
      case Kind::kDepthwise:
        std::tie(frozen.depth_weight, frozen.depth_bias) =
            fold(i, "depth_norm", leaf("depth_weight"));
        [[fallthrough]];
      case Kind::kConvolution:
      case Kind::kResidual:
      case Kind::kLinear:
        std::tie(frozen.weight, frozen.bias) = fold(i, "norm", leaf("weight"));
        break;
      case Kind::kAttention:
        frozen.weight = settled(leaf("query"));
        break;
      case Kind::kPool:
      case Kind::kMaxPool:
      case Kind::kMean:
        break;
    }
    layers.push_back(std::move(frozen));
  }
  SegmentCost cost = this->cost();
  if (half) {
    cost.weight_bytes /= 2;
    cost.live_bytes /= 2;
  }
  return frozen_predictor(std::move(layers), settled(leaves_.at("classifier.weight")),
                          settled(leaves_.at("classifier.bias")), input_shape_,
                          sizes[architecture_.layers.size()], takes_prior_, std::move(cost));
}

}  // namespace cachectl::model
