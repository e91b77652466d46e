#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace cachectl::model {

// Tensors whose rows (dimension 0) are samples: a model's inputs, or all that is
// alive at a boundary between segments.
using Tensors = std::vector<at::Tensor>;

// Rows of a tensor, kept in its memory format: index_select by itself would bring a
// channels-last activation into another layout, and the next segment back. index: int64 [K].
at::Tensor select_rows(const at::Tensor& tensor, const at::Tensor& index);

// A backbone in consecutive segments. Copies share the prepared segments. run() may
// be called from several threads at once; it never changes a tensor it is
// given, takes any batch size, and runs without gradients.
class SegmentChain {
 public:
  std::size_t size() const;                            // number of segments
  const std::vector<std::string>& candidates() const;  // size() - 1 names: the boundaries

  // live: for segment 0 forward's inputs; for another, what the segment before gave,
  // or any rows of it (the same ones of each tensor). Returns what is alive
  // behind the segment: for all but the last, the candidate's activation first,
  // then what else the rest needs; for the last, one tensor [B, C], float32, raw.
  // An activation is dense, in any memory format (channels last, mostly): contiguous() before
  // its bytes are read in order. It stays as it is until its holder drops it.
  // What is moved in is freed on the way.
  Tensors run(std::size_t segment, Tensors live) const;
  at::Tensor run(const Tensors& inputs) const;  // all segments

 private:
  friend class Backbone;
  struct State;
  explicit SegmentChain(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace cachectl::model
