#include "model/frozen_cache_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cassert>
#include <iterator>
#include <optional>
#include <utility>

#include "model/image_layers.h"

namespace cachectl::model {

using Kind = HeadLayer::Kind;

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

at::Tensor with_prior(const at::Tensor& features, const at::Tensor& prior) {
  if (!prior.defined()) return features;
  return at::cat({features, prior.detach().log_softmax(1).to(features.options())}, 1);
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const HeadLayer& layer, std::int64_t groups) {
  const std::int64_t padding = layer.kernel / 2;
  const auto with_stride = [&](const at::Tensor& from, std::int64_t stride) {
    return at::conv2d(from, weight, bias, {stride, stride}, {padding, padding}, {1, 1}, groups);
  };
  if (layer.kernel > 1 || layer.stride == 1) return with_stride(x, layer.stride);
  // The positions that it looks at, without a stride: with one, and channels that fill no vector,
  // oneDNN's backward pass for AVX2 writes behind its memory.
  const at::Tensor rows = x.slice(2, 0, x.size(2), layer.stride);
  return with_stride(rows.slice(3, 0, x.size(3), layer.stride), 1);
}

namespace {

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

// A linear layer on values of these sizes, as a convolution whose kernel is the whole image.
std::shared_ptr<const Convolution> whole_image_kernel(const at::Tensor& weight,
                                                      const at::Tensor& bias, const Sizes& input,
                                                      bool activate) {
  const bool image = input.size() == 3;
  if (!image && input.size() != 1) return nullptr;
  const at::Tensor kernel = image ? weight.view({weight.size(0), input[0], input[1], input[2]})
                                  : weight.view({weight.size(0), input[0], 1, 1});
  ConvolutionSpec spec{kernel, bias, {1, 1}, {0, 0}, {1, 1}, 1, {}};
  if (activate) spec.epilogue.kind = Epilogue::Kind::kLeaky;  // of slope 0
  if (!Convolution::supports(spec)) return nullptr;
  return std::make_shared<const Convolution>(std::move(spec));
}

// A layer with its kernels, where oneDNN has fast ones.
struct Step : FrozenLayer {
  explicit Step(FrozenLayer from) : FrozenLayer(std::move(from)) {
    switch (layer.kind) {
      case Kind::kConvolution:
      case Kind::kResidual:
        kernel = kept_kernel(weight, bias, layer.stride, 1, layer.kind == Kind::kResidual);
        break;
      case Kind::kDepthwise:
        depth_kernel =
            kept_kernel(depth_weight, depth_bias, layer.stride, depth_weight.size(0), false);
        kernel = kept_kernel(weight, bias, 1, 1, false);
        break;
      case Kind::kLinear:
        kernel = whole_image_kernel(weight, bias, input, true);
        break;
      case Kind::kPool:
      case Kind::kMaxPool:
      case Kind::kMean:
      case Kind::kAttention:
        break;
    }
  }
  std::shared_ptr<const Convolution> depth_kernel, kernel;
};

// The network with batch norms folded: each layer a weight and a bias.
class Frozen : public Predictor {
 public:
  Frozen(std::vector<FrozenLayer> layers, at::Tensor weight, at::Tensor bias, Sizes input_shape,
         const Sizes& read_shape, bool takes_prior, SegmentCost cost)
      : steps_(std::make_move_iterator(layers.begin()), std::make_move_iterator(layers.end())),
        weight_(std::move(weight)),
        bias_(std::move(bias)),
        input_shape_(std::move(input_shape)),
        takes_prior_(takes_prior),
        cost_(std::move(cost)),
        type_(bias_.scalar_type()) {
    join_image_layers(read_shape);
  }

  using Predictor::logits;
  at::Tensor logits(const at::Tensor& activations, const at::Tensor& prior) const override {
    const c10::NoGradGuard no_grad;
    assert(activations.sizes().slice(1) == at::IntArrayRef(input_shape_));
    assert(prior.defined() == takes_prior_);
    if (activations.size(0) == 0) return at::empty({0, classes()}, at::kFloat);
    at::Tensor x = activations.to(bias_.device(), type_);
    std::size_t done = 0;
    if (images_) {
      if (auto results = images_->run({x})) {
        x = std::move((*results)[0]);
        done = joined_;
      }
    }
    if (done > steps_.size()) return x.flatten(1).to(at::kFloat).contiguous();
    for (; done < steps_.size(); ++done) x = apply(steps_[done], x);
    x = with_prior(x.flatten(1), prior);
    return at::linear(x, weight_, bias_).to(at::kFloat).contiguous();
  }
  std::int64_t classes() const override { return bias_.size(0); }
  bool takes_prior() const override { return takes_prior_; }
  SegmentCost cost() const override { return cost_; }

 private:
  // The layers from the first on that run on plain memory, up to and with the classifier where
  // all do: joined_ counts them.
  void join_image_layers(const Sizes& read_shape) {
    if (input_shape_.size() != 3 || type_ != at::kFloat || !bias_.device().is_cpu() ||
        !Pooling::supported()) {
      return;
    }
    std::vector<ImageLayer> layers;
    const auto add = [&](ImageLayer layer) {
      layer.input = layers.size();  // value 0 is the activation, layer i gives value i + 1
      layer.output = layers.size() + 1;
      if (layer.convolution && layer.convolution->spec().epilogue.add) layer.other = layer.input;
      layers.push_back(std::move(layer));
    };
    const auto add_pool = [&](Pooling::Kind kind, std::int64_t window) {
      ImageLayer layer;
      layer.pool = std::make_shared<const Pooling>(kind, window);
      add(std::move(layer));
    };
    for (const Step& step : steps_) {
      const bool pools = step.layer.kind == Kind::kPool || step.layer.kind == Kind::kMaxPool;
      const bool square = step.input.size() == 3 && step.input[1] == step.input[2];
      if (pools) {
        const bool maximum = step.layer.kind == Kind::kMaxPool;
        add_pool(maximum ? Pooling::Kind::kMaximum : Pooling::Kind::kAverage, step.layer.kernel);
      } else if (step.layer.kind == Kind::kMean && square) {
        add_pool(Pooling::Kind::kAverage, step.input[1]);
      } else if (step.kernel && (step.layer.kind != Kind::kDepthwise || step.depth_kernel)) {
        if (step.layer.kind == Kind::kDepthwise) add({step.depth_kernel, nullptr});
        add({step.kernel, nullptr});
      } else {
        break;
      }
      ++joined_;
    }
    if (joined_ == steps_.size() && !takes_prior_) {
      if (auto classifier = whole_image_kernel(weight_, bias_, read_shape, false)) {
        add({std::move(classifier), nullptr});
        ++joined_;
      }
    }
    if (!layers.empty()) {
      const std::size_t last = layers.size();
      images_.emplace(std::move(layers), 1, std::vector<std::size_t>{last});
    }
  }

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
  std::optional<ImageLayers> images_;
  std::size_t joined_ = 0;  // steps that images_ stands for, the classifier as one more
};

}  // namespace

std::shared_ptr<const Predictor> frozen_predictor(std::vector<FrozenLayer> layers,
                                                  at::Tensor weight, at::Tensor bias,
                                                  Sizes input_shape, const Sizes& read_shape,
                                                  bool takes_prior, SegmentCost cost) {
  return std::make_shared<Frozen>(std::move(layers), std::move(weight), std::move(bias),
                                  std::move(input_shape), read_shape, takes_prior, std::move(cost));
}

}  // namespace cachectl::model
