#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/architecture.h"

namespace cachectl::model {

// Anything that maps an activation to a distribution and costs something. Immutable: may be
// called from several threads at once, and never takes part in autograd.
class Predictor {
 public:
  virtual ~Predictor() = default;
  // activations: [B, ...input_shape], float32 or bfloat16, any strides; B may be 0.
  // prior: what the cache model in front answered for the same samples, its logits [B,
  // classes], float32; undefined where takes_prior() is false.
  // Returns logits [B, classes], float32, contiguous: softmax of them is the distribution.
  virtual at::Tensor logits(const at::Tensor& activations, const at::Tensor& prior) const = 0;
  at::Tensor logits(const at::Tensor& activations) const { return logits(activations, {}); }
  virtual bool takes_prior() const { return false; }
  virtual std::int64_t classes() const = 0;
  virtual SegmentCost cost() const = 0;  // of one sample, at the precision it runs in
};

// A cache model that learns: an architecture for one input shape, its parameters and
// running statistics. One that takes a prior is a member of a cascade: its classifier reads,
// beside its own features, the logarithms of the distribution that the cache model in
// front gave for the sample. Copies share their tensors. For one thread at a time.
class CacheModel {
 public:
  using State = std::map<std::string, at::Tensor>;

  // Parameters drawn from the seed (He et al. 2015 for layers in front of a ReLU). Throws
  // Error(kUsage) when the architecture does not fit the shape.
  CacheModel(Architecture architecture, Sizes input_shape, std::int64_t classes,
             std::uint64_t seed = 1, bool takes_prior = false);
  // From what state() gave. Throws Error(kIncompatible) that names `where` and the first
  // tensor that is missing, left over, or of another shape.
  static CacheModel from_state(Architecture architecture, Sizes input_shape, std::int64_t classes,
                               const State& state, const std::string& where,
                               bool takes_prior = false);

  const Architecture& architecture() const { return architecture_; }
  const Sizes& input_shape() const { return input_shape_; }
  std::int64_t classes() const { return classes_; }
  bool takes_prior() const { return takes_prior_; }
  SegmentCost cost() const;

  // activations: [B, ...input_shape] float32; logits [B, classes]. prior: the logits of the
  // cache model in front, as they are and without temperature; undefined without one. With
  // `training` batch statistics are used, running ones are updated, and autograd records where
  // grad mode is on; nothing flows back into the prior.
  at::Tensor forward(const at::Tensor& activations, const at::Tensor& prior, bool training) const;
  at::Tensor forward(const at::Tensor& activations, bool training) const {
    return forward(activations, {}, training);
  }

  // All parameters as one float32 vector; the named parameters are views of it, so that an
  // optimiser's step is a few operations. Gradients likewise, added to by backward().
  at::Tensor& flat_parameters() { return parameters_; }
  at::Tensor& flat_gradients() { return gradients_; }
  // 1 where weight decay applies (weights), 0 where not (biases, batch norms).
  const at::Tensor& decays() const { return decays_; }

  // Parameters and running statistics by name ("0.weight", "0.norm.mean", "classifier.bias"):
  // float32, detached, copies.
  State state() const;
  State gradients() const;  // of the parameters, by name: copies

  // A copy with batch norms folded into the weights. precision: "float32" or "bfloat16"
  // (what is computed in it; logits are float32).
  std::shared_ptr<const Predictor> freeze(const std::string& precision = "float32",
                                          const std::string& device = "cpu") const;

 private:
  CacheModel() = default;
  struct Slot {
    std::string name;
    Sizes shape;
    bool decays = false;
  };
  void allocate(const std::vector<Slot>& slots);

  Architecture architecture_;
  Sizes input_shape_;
  std::int64_t classes_ = 0;
  bool takes_prior_ = false;
  at::Tensor parameters_, gradients_, decays_;
  std::map<std::string, at::Tensor> leaves_;   // views of parameters_
  std::map<std::string, at::Tensor> buffers_;  // running means and variances
};

}  // namespace cachectl::model
