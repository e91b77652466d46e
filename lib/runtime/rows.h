#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/segments.h"

namespace cachectl::runtime {

// Rows on their way through the stages: everything that is alive at one boundary, and
// which sample each row belongs to. Rows of several batches may be merged.
struct Rows {
  model::Tensors live;
  // What the last exit answered, its logits [rows, classes], where the next one takes them.
  at::Tensor prior;
  // Per row the caller's number of the sample, >= 0. ~number (negative): the sample has
  // its answer, and the row is only carried along because taking it out would not have paid.
  std::vector<std::int64_t> samples;

  std::int64_t size() const { return static_cast<std::int64_t>(samples.size()); }
  std::int64_t waiting() const;  // rows without an answer
  bool waits(std::size_t row) const { return samples[row] >= 0; }
  void mark_answered(std::size_t row) { samples[row] = ~samples[row]; }
  std::int64_t sample(std::size_t row) const {
    return samples[row] >= 0 ? samples[row] : ~samples[row];
  }
};

// Numbered from `first` on. inputs: forward's arguments.
Rows rows_of(model::Tensors inputs, std::int64_t first = 0);

// The rows that wait, copied out of all live tensors and the prior; the rest is dropped.
Rows survivors(const Rows& rows);

// Rows at one boundary, one after the other; those already answered are left out.
Rows merge(const std::vector<Rows>& parts);

}  // namespace cachectl::runtime
