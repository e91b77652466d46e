#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "model/architecture.h"
#include "model/cache_model.h"
#include "model/convolution.h"

// Inside the library: what cache models compute, and how they run once they have learnt.
namespace cachectl::model {

// Values behind each position in front: [B, C, H, W] -> [B, H*W, C]; tokens as they are.
at::Tensor as_tokens(const at::Tensor& x);
at::Tensor attend(const at::Tensor& x, const at::Tensor& query);
at::Tensor average(const at::Tensor& x);
// What the classifier reads: the features, and behind them what the prior says.
at::Tensor with_prior(const at::Tensor& features, const at::Tensor& prior);
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const HeadLayer& layer, std::int64_t groups = 1);

// A layer with its batch norms folded.
struct FrozenLayer {
  HeadLayer layer;
  at::Tensor depth_weight, depth_bias;  // the per-channel half
  at::Tensor weight, bias;
  Sizes input;  // of one sample
};

// layers: their tensors all of one type and on one device. weight, bias: the classifier's;
// read_shape: of one sample, what it reads. Where oneDNN has fast kernels for them, the layers
// from the first on run together on plain memory.
std::shared_ptr<const Predictor> frozen_predictor(std::vector<FrozenLayer> layers,
                                                  at::Tensor weight, at::Tensor bias,
                                                  Sizes input_shape, const Sizes& read_shape,
                                                  bool takes_prior, SegmentCost cost);

}  // namespace cachectl::model
