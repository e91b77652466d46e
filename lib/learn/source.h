#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace cachectl::learn {

struct Layer {
  std::string name;
  std::vector<std::int64_t> shape;  // of one activation

  std::int64_t values() const;
};

// Rows of one or several layers, and the backbone's answer to them.
struct Batch {
  std::vector<at::Tensor> activations;  // float32 [B, ...shape], in the order asked for
  at::Tensor pd;                        // float32 [B, classes], rows sum to 1
};

// Where cache models get what they learn from. One thread at a time.
class Source {
 public:
  virtual ~Source() = default;

  virtual std::int64_t classes() const = 0;
  virtual const std::vector<Layer>& layers() const = 0;  // in order of depth
  virtual std::int64_t samples() const = 0;              // of the training part, views apart

  // One epoch: each of the first `count` samples (of a shuffling that is fixed by the
  // source's seed, so that subsets are nested) once, in an order and a view drawn from
  // (seed, epoch) alone. layers: indices. `consume` is called on the calling thread
  // while the next batches are made on another. Rows that don't fill half a batch at
  // the end are left out.
  virtual void epoch(std::int64_t epoch, std::int64_t count, std::int64_t batch_size,
                     const std::vector<std::size_t>& layers,
                     const std::function<void(const Batch&)>& consume) = 0;

  // The validation part, in the order of the medial file.
  virtual at::Tensor validation_pd() const = 0;  // float32 [N, classes]
  virtual at::Tensor validation(std::size_t layer, std::int64_t first, std::int64_t count) = 0;
};

// Bytes of one sample's activations at these layers, as float32.
double sample_bytes(const std::vector<Layer>& all, const std::vector<std::size_t>& layers);

// How many batches epoch() makes of `count` samples.
std::int64_t batches_in(std::int64_t count, std::int64_t batch_size);

constexpr std::int64_t kAhead = 4;  // batches made before they are asked for

// What makes one batch; several of them run side by side.
using Making = std::function<Batch()>;

// Makes `count` batches on other threads, at most `ahead` of the consumer, and hands them to
// consume in order on this one. begin(0), begin(1)... are called one at a time, in order, to say
// how a batch is made. Throws what any of them throws.
void prefetch(std::int64_t count, std::size_t threads, std::int64_t ahead,
              const std::function<Making(std::int64_t)>& begin,
              const std::function<void(const Batch&)>& consume);

// Rows of one epoch: positions of samples, the first `count` of the fixed shuffling, in
// this epoch's order.
std::vector<std::int64_t> epoch_order(std::int64_t samples, std::int64_t count, std::uint64_t seed,
                                      std::int64_t epoch);

// Activations that are in memory already; pd and activations: training and validation rows.
class MemorySource : public Source {
 public:
  struct Part {
    std::vector<at::Tensor> activations;  // by layer
    at::Tensor pd;
  };
  MemorySource(std::vector<std::string> names, Part train, Part validation, std::uint64_t seed);

  std::int64_t classes() const override { return train_.pd.size(1); }
  const std::vector<Layer>& layers() const override { return layers_; }
  std::int64_t samples() const override { return train_.pd.size(0); }
  void epoch(std::int64_t epoch, std::int64_t count, std::int64_t batch_size,
             const std::vector<std::size_t>& layers,
             const std::function<void(const Batch&)>& consume) override;
  at::Tensor validation_pd() const override { return validation_.pd; }
  at::Tensor validation(std::size_t layer, std::int64_t first, std::int64_t count) override;

 private:
  std::vector<Layer> layers_;
  Part train_, validation_;
  std::uint64_t seed_;
};

}  // namespace cachectl::learn
