#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "artifact/medial.h"

namespace cachectl::artifact {

struct MedialLoaderOptions {
  std::int64_t batch_size = 128;  // rows
  bool shuffle = true;
  std::uint64_t seed = 1;               // of the shuffling
  std::int64_t prefetch = 4;            // batches ready ahead of the consumer
  std::int64_t memory_bytes = 1 << 30;  // of rows held in the stored dtype
  at::ScalarType dtype = at::kFloat;    // of the activations handed out: kFloat, kBFloat16
  bool drop_last = false;               // leave out a last batch that is not full
};

struct MedialBatch {
  std::vector<at::Tensor> activations;  // one a layer, in the order asked for: [B, ...shape]
  at::Tensor pd;                        // float32 [B, classes]
  std::vector<std::int64_t> rows;       // [B], of the medial file
};

// Batches of a medial file for training, epoch after epoch. What fits the memory budget is
// read once and shuffled row by row. What doesn't is read in blocks of neighbouring rows:
// blocks in random order fill a third of the budget, and the rows of all of them are
// shuffled together, while the next third is read. Reading and converting have a thread
// each. The order follows from seed, epoch, rows and budget alone. One consumer.
class MedialLoader {
 public:
  // medial must outlive the loader. layers: at least one. rows: of the medial file, each once.
  MedialLoader(const MedialReader& medial, std::vector<std::string> layers,
               std::vector<std::int64_t> rows, MedialLoaderOptions options);
  ~MedialLoader();  // stops the threads, whatever is left
  MedialLoader(const MedialLoader&) = delete;
  MedialLoader& operator=(const MedialLoader&) = delete;

  // Begins an epoch anew, whatever is left of the last one.
  void start(std::int64_t epoch);
  // Nothing at the end of the epoch. Throws what reading threw.
  std::optional<MedialBatch> next();

  std::int64_t batches() const;    // of one epoch
  bool is_held_in_memory() const;  // all rows fit the budget

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cachectl::artifact
