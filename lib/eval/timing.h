#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "artifact/report.h"
#include "eval/test_part.h"
#include "runtime/engine.h"

namespace cachectl::eval {

// Inputs of the test part in a random order, in memory: as many as the largest batch
// needs, and no more than 512 MiB beyond that. Batches of any size come from it by turns.
class InputPool {
 public:
  InputPool(const TestPart& part, const Options& options);
  at::Tensor batch(std::int64_t size, std::int64_t number) const;  // wraps around
  std::int64_t size() const { return inputs_.size(0); }

 private:
  at::Tensor inputs_;
};

struct Pairs {
  std::vector<double> plain_ms, cached_ms, first_ms, answer_ms;
  double flops_plain = 0, flops_cached = 0;  // as run, over all repeats
};

struct Effort {
  std::int64_t repeats = 100;
  std::int64_t least = 10;    // repeats, however long they take
  std::int64_t warm_ups = 5;  // untimed pairs
  double minutes = 3;         // no more repeats beyond them
};

// The same batches through the plain backbone and through the engine, which of them first
// changing from one repeat to the next; warmed up.
Pairs time_pairs(const runtime::Engine& engine, std::size_t plan, const InputPool& pool,
                 std::int64_t batch, const Effort& effort);

// RQ3.
artifact::Latency latency_of(const runtime::Engine& engine, const InputPool& pool,
                             std::int64_t batch, const Options& options);
// RQ2: means of the peaks over a few batches. -1 where the allocator reports nothing.
artifact::MemoryUse memory_of(const runtime::Engine& engine, const InputPool& pool,
                              std::int64_t batch);

}  // namespace cachectl::eval
