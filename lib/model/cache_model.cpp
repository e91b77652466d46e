#include "model/cache_model.h"

#include <ATen/ATen.h>

#include <cassert>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "model/convolution.h"

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

// Values behind each position in front: [B, C, H, W] -> [B, H*W, C]; tokens as they are.
at::Tensor as_tokens(const at::Tensor& x) {
  return x.dim() == 4 ? x.flatten(2).transpose(1, 2) : x;
}

at::Tensor attend(const at::Tensor& x, const at::Tensor& query) {
  const at::Tensor tokens = as_tokens(x);
  const at::Tensor weights = at::matmul(tokens, query).softmax(1);
  return at::matmul(weights.unsqueeze(1), tokens).squeeze(1);
}

at::Tensor average(const at::Tensor& x) {
  return as_tokens(x).mean(1);
}

// What the classifier reads: the features, and behind them what the prior says.
at::Tensor with_prior(const at::Tensor& features, const at::Tensor& prior) {
  if (!prior.defined()) return features;
  return at::cat({features, prior.detach().log_softmax(1).to(features.options())}, 1);
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const HeadLayer& layer, std::int64_t groups = 1) {
  const std::int64_t padding = layer.kernel / 2;
  return at::conv2d(x, weight, bias, {layer.stride, layer.stride}, {padding, padding}, {1, 1},
                    groups);
}

// A convolution and the ReLU behind it with its kernel kept, where oneDNN has a fast one;
// else nullptr. add: another tensor is added in front of the ReLU.
std::shared_ptr<const Convolution> kept_kernel(const at::Tensor& weight, const at::Tensor& bias,
                                               std::int64_t stride, std::int64_t groups, bool add) {
  const std::int64_t padding = weight.size(2) / 2;
  ConvolutionSpec spec{weight, bias, {stride, stride}, {padding, padding}, {1, 1}, groups, {}};
  spec.epilogue.add = add;
  spec.epilogue.kind = Epilogue::Kind::kLeaky;  // of slope 0
  if (!Convolution::supports(spec)) return nullptr;
  return std::make_shared<const Convolution>(std::move(spec));
}

// The network with batch norms folded: each layer a weight and a bias.
class Frozen : public Predictor {
 public:
  struct Step {
    HeadLayer layer;
    at::Tensor depth_weight, depth_bias;  // the per-channel half
    at::Tensor weight, bias;
    std::shared_ptr<const Convolution> depth_kernel, kernel;  // of the same; may be null
  };
  Frozen(std::vector<Step> steps, at::Tensor weight, at::Tensor bias, Sizes input_shape,
         bool takes_prior, SegmentCost cost, at::ScalarType type)
      : steps_(std::move(steps)),
        weight_(std::move(weight)),
        bias_(std::move(bias)),
        input_shape_(std::move(input_shape)),
        takes_prior_(takes_prior),
        cost_(std::move(cost)),
        type_(type) {}

  using Predictor::logits;
  at::Tensor logits(const at::Tensor& activations, const at::Tensor& prior) const override {
    const at::NoGradGuard no_grad;
    assert(activations.sizes().slice(1) == at::IntArrayRef(input_shape_));
    assert(prior.defined() == takes_prior_);
    if (activations.size(0) == 0) return at::empty({0, classes()}, at::kFloat);
    at::Tensor x = activations.to(bias_.device(), type_);
    for (const auto& step : steps_) x = apply(step, x);
    x = with_prior(x.flatten(1), prior);
    return at::linear(x, weight_, bias_).to(at::kFloat).contiguous();
  }
  std::int64_t classes() const override { return bias_.size(0); }
  bool takes_prior() const override { return takes_prior_; }
  SegmentCost cost() const override { return cost_; }

 private:
  static at::Tensor apply(const Step& step, const at::Tensor& x) {
    const auto& layer = step.layer;
    switch (layer.kind) {
      case Kind::kConvolution:
        if (step.kernel != nullptr) return step.kernel->run(x, {});
        return convolve(x, step.weight, step.bias, layer).relu_();
      case Kind::kResidual:
        if (step.kernel != nullptr) return step.kernel->run(x, x);
        return convolve(x, step.weight, step.bias, layer).add_(x).relu_();
      case Kind::kDepthwise: {
        const at::Tensor between =
            step.depth_kernel != nullptr
                ? step.depth_kernel->run(x, {})
                : convolve(x, step.depth_weight, step.depth_bias, layer, x.size(1)).relu_();
        if (step.kernel != nullptr) return step.kernel->run(between, {});
        return at::conv2d(between, step.weight, step.bias).relu_();
      }
      case Kind::kPool:
        return at::avg_pool2d(x, {layer.kernel, layer.kernel});
      case Kind::kMaxPool:
        return at::max_pool2d(x, {layer.kernel, layer.kernel});
      case Kind::kMean:
        return average(x);
      case Kind::kAttention:
        return attend(x, step.weight);
      case Kind::kLinear:
        return at::linear(x.flatten(1), step.weight, step.bias).relu_();
    }
    return x;
  }

  std::vector<Step> steps_;
  at::Tensor weight_, bias_;
  Sizes input_shape_;
  bool takes_prior_;
  SegmentCost cost_;
  at::ScalarType type_;
};

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
  const at::NoGradGuard no_grad;
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
  const at::NoGradGuard no_grad;
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
  std::vector<Frozen::Step> steps;
  for (std::size_t i = 0; i < architecture_.layers.size(); ++i) {
    Frozen::Step step;
    step.layer = architecture_.layers[i];
    const auto leaf = [&](const char* what) { return leaves_.at(name(i, what)).detach(); };
    switch (step.layer.kind) {
      case Kind::kConvolution:
      case Kind::kResidual:
        std::tie(step.weight, step.bias) = fold(i, "norm", leaf("weight"));
        step.kernel = kept_kernel(step.weight, step.bias, step.layer.stride, 1,
                                  step.layer.kind == Kind::kResidual);
        break;
      case Kind::kLinear:
        std::tie(step.weight, step.bias) = fold(i, "norm", leaf("weight"));
        break;
      case Kind::kDepthwise:
        std::tie(step.depth_weight, step.depth_bias) = fold(i, "depth_norm", leaf("depth_weight"));
        std::tie(step.weight, step.bias) = fold(i, "norm", leaf("weight"));
        step.depth_kernel = kept_kernel(step.depth_weight, step.depth_bias, step.layer.stride,
                                        step.depth_weight.size(0), false);
        step.kernel = kept_kernel(step.weight, step.bias, 1, 1, false);
        break;
      case Kind::kAttention:
        step.weight = settled(leaf("query"));
        break;
      case Kind::kPool:
      case Kind::kMaxPool:
      case Kind::kMean:
        break;
    }
    steps.push_back(std::move(step));
  }
  SegmentCost cost = this->cost();
  if (half) {
    cost.weight_bytes /= 2;
    cost.live_bytes /= 2;
  }
  return std::make_shared<Frozen>(std::move(steps), settled(leaves_.at("classifier.weight")),
                                  settled(leaves_.at("classifier.bias")), input_shape_,
                                  takes_prior_, std::move(cost), type);
}

}  // namespace cachectl::model
