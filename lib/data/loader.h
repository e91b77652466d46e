#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace cachectl::data {

struct LoaderOptions {
  std::int64_t batch_size = 128;
  std::int64_t threads = 0;  // that decode and transform; 0: all cores
  // Batches ready or in work ahead of the consumer, at least one a thread: the bound of memory.
  std::int64_t prefetch = 4;
  // Drop a bad sample, and one whose mixup partner is bad, with a counted warning instead of
  // throwing.
  bool skip_bad = false;

  AugmentOptions augment;
  std::uint64_t seed = 1;  // of the augmentation
  std::int64_t view = 0;   // epoch or view number, for the augmentation's draws
  // Where mixup's partners come from, as positions in the data set; empty: `indices`.
  std::vector<std::int64_t> pool;
};

struct Batch {
  at::Tensor inputs;                  // [B, ...], float32 unless the transform keeps the dtype
  std::vector<std::uint64_t> ids;     // [B]
  std::vector<std::int64_t> indices;  // [B], positions in the data set
  // Of mixup: the partner's position (-1: none) and the sample's own weight; [B].
  std::vector<std::int64_t> partners;
  std::vector<double> weights;
  std::int64_t size() const { return static_cast<std::int64_t>(ids.size()); }
};

// Reads, decodes, transforms and augments samples in threads ahead of the consumer, and
// hands them out in the order of `indices`. Batches are full but for the last one, or
// where bad samples were skipped (a batch is never empty). One consumer.
class BatchLoader {
 public:
  // dataset and transform must outlive the loader. indices: positions in the data set.
  BatchLoader(const Dataset& dataset, const Transform& transform, std::vector<std::int64_t> indices,
              LoaderOptions options);
  ~BatchLoader();  // stops the threads, whatever is left
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // Nothing at the end. Throws what a sample threw, in the place of its batch;
  // cancel::Cancelled after a signal; Error(kUsage) when samples differ in shape;
  // Error(kNothingProcessed) at the end when every sample was skipped.
  std::optional<Batch> next();

  std::int64_t batches() const;  // how many there are at most
  std::int64_t skipped() const;  // bad samples so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Positions 0 .. dataset.size() - 1.
std::vector<std::int64_t> all_indices(const Dataset& dataset);

// The first samples, transformed, as many as tell a model's kind of output: [4, ...], or fewer.
// Throws Error(kNothingProcessed) where there is none.
at::Tensor first_inputs(const Dataset& dataset, const Transform& transform, bool skip_bad = false);

// The shape of one input after the transform, without the batch dimension: of the first
// sample, or with skip_bad of the first that can be read (of 100; else
// Error(kNothingProcessed)).
std::vector<std::int64_t> input_shape(const Dataset& dataset, const Transform& transform,
                                      bool skip_bad = false);

}  // namespace cachectl::data
