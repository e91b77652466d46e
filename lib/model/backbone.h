#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/cost.h"
#include "model/segments.h"

namespace cachectl::model {

// How a backbone is loaded and run. The section `backbone` of a configuration.
struct BackboneOptions {
  std::string path;                    // TorchScript file, already resolved
  std::string output_kind = "auto";    // auto, logits, probabilities
  std::string output;                  // index in a tuple or list, or key of a dict; "": the only
                                       // tensor, the first of several, or a dict's usual key
  std::string precision = "float32";   // float32, bfloat16
  std::string memory_format = "auto";  // auto, contiguous, channels_last
  std::string names = "blocks";        // blocks: outputs of modules and blocks; all: every cut
  double min_share_left = 0.05;  // of the FLOPs, [0, 1): cuts with less behind them are dropped
  std::string device = "cpu";    // cpu, cuda, cuda:N; from the common options
};
// The section `backbone`; --backbone names the file. `device` stays with the common options.
void describe(OptionTable& table, BackboneOptions& options);

// What forward's output is. A log-softmax output counts as logits (softmax leaves it as it is).
enum class OutputKind { kLogits, kProbabilities };
const char* name_of(OutputKind kind);
OutputKind output_kind_from_name(const std::string& name);

// A value that alone determines the backbone's output.
struct Candidate {
  std::string name;                   // unique; "layer2.1" from the module scopes, else "relu@17"
  std::vector<std::int64_t> shape;    // of one sample: without the batch dimension, which is first
  at::ScalarType dtype = at::kFloat;  // kFloat; kBFloat16 where the precision says so
  std::int64_t position = 0;          // in the backbone's order of operations; strictly increasing
  std::int64_t bytes_per_sample = 0;
  double flops_before = 0, flops_after = 0;  // per sample
  double share_left() const { return flops_after / (flops_before + flops_after); }
};

// A TorchScript classifier, frozen and ready to be cut. Immutable once loaded;
// every member may be called from several threads at once. No gradients.
class Backbone {
 public:
  // inputs: forward's arguments in order, one batch of any number of rows; rows
  // (dimension 0) are samples, and the sizes behind it are the ones the
  // candidates are described for. Float inputs are cast to `precision` inside.
  // Throws Error: unreadable (3), not TorchScript or hostile (4), no forward, not a
  // classifier, a batch size baked in by tracing (5), a bad option (2).
  static std::shared_ptr<const Backbone> load(const BackboneOptions& options,
                                              const Tensors& inputs);
  ~Backbone();
  Backbone(const Backbone&) = delete;
  Backbone& operator=(const Backbone&) = delete;

  const BackboneOptions& options() const;
  const std::string& hash() const;  // SHA-256 of the file, hex
  OutputKind output_kind() const;
  std::int64_t num_classes() const;
  std::vector<std::vector<std::int64_t>> input_shapes() const;  // of one sample, per argument

  // In order of depth, after the rules of `names` and `min_share_left`.
  const std::vector<Candidate>& candidates() const;
  // Throws Error (5) that names the nearest candidate.
  const Candidate& candidate(const std::string& name) const;
  // Cost per sample of the parts between consecutive candidates: candidates() + 1 of them.
  const std::vector<SegmentCost>& costs() const;
  std::vector<std::string> uncounted_ops() const;  // ops without a rule, of all segments

  // The segments between the named candidates, in order of depth whatever the
  // order of the names: one more than names. None: the whole backbone as one segment, which
  // is the fastest plain run. Layers are made ready here, so keep the chain.
  SegmentChain cut(const std::vector<std::string>& names) const;
  // The backbone's raw output [B, C] as float32: cut({}), prepared at load.
  at::Tensor run(const Tensors& inputs) const;
  // The inputs where and as run() takes them, which it sees to itself: device and dtype.
  Tensors prepare(const Tensors& inputs) const;

  // raw: what run() or a chain's last segment gave. float32 [B, C].
  at::Tensor log_probabilities(const at::Tensor& raw) const;
  at::Tensor probabilities(const at::Tensor& raw) const;

 private:
  struct State;
  explicit Backbone(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cachectl::model
