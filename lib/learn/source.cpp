#include "learn/source.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cassert>
#include <exception>
#include <numeric>
#include <thread>
#include <utility>

#include "base/bounded_queue.h"
#include "base/random.h"

namespace cachectl::learn {

std::int64_t batches_in(std::int64_t count, std::int64_t batch_size) {
  const std::int64_t rest = count % batch_size;
  const std::int64_t batches = count / batch_size + (2 * rest >= batch_size ? 1 : 0);
  return std::max<std::int64_t>(batches, count > 0 ? 1 : 0);
}

void prefetch(std::int64_t count, std::size_t ahead, const std::function<Batch(std::int64_t)>& make,
              const std::function<void(const Batch&)>& consume) {
  BoundedQueue<Batch> queue(ahead);
  std::exception_ptr fault;
  std::thread producer([&] {
    try {
      at::set_num_threads(1);
      const c10::NoGradGuard no_grad;
      for (std::int64_t i = 0; i < count; ++i) {
        if (!queue.push(make(i))) break;
      }
    } catch (...) {
      fault = std::current_exception();
    }
    queue.close();
  });
  try {
    while (const auto batch = queue.pop()) consume(*batch);
  } catch (...) {
    queue.close();
    producer.join();
    throw;
  }
  producer.join();
  if (fault) std::rethrow_exception(fault);
}

std::vector<std::int64_t> epoch_order(std::int64_t samples, std::int64_t count, std::uint64_t seed,
                                      std::int64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(samples));
  std::iota(order.begin(), order.end(), 0);
  Rng(derive_seed(seed, "subset")).shuffle(order);
  order.resize(static_cast<std::size_t>(std::min(count, samples)));
  Rng(derive_seed(seed, "epoch", static_cast<std::uint64_t>(epoch))).shuffle(order);
  return order;
}

MemorySource::MemorySource(std::vector<std::string> names, Part train, Part validation,
                           std::uint64_t seed)
    : train_(std::move(train)), validation_(std::move(validation)), seed_(seed) {
  assert(names.size() == train_.activations.size());
  assert(names.size() == validation_.activations.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    layers_.push_back({names[i], train_.activations[i].sizes().slice(1).vec()});
  }
}

void MemorySource::epoch(std::int64_t epoch, std::int64_t count, std::int64_t batch_size,
                         const std::vector<std::size_t>& layers,
                         const std::function<void(const Batch&)>& consume) {
  const auto order = epoch_order(samples(), count, seed_, epoch);
  const auto rows = static_cast<std::int64_t>(order.size());
  const at::Tensor index = at::tensor(order, at::kLong);
  prefetch(
      batches_in(rows, batch_size), 3,
      [&](std::int64_t i) {
        const std::int64_t first = i * batch_size;
        const at::Tensor some = index.narrow(0, first, std::min(batch_size, rows - first));
        Batch batch;
        for (const auto layer : layers) {
          batch.activations.push_back(
              train_.activations[layer].index_select(0, some).to(at::kFloat));
        }
        batch.pd = train_.pd.index_select(0, some);
        return batch;
      },
      consume);
}

at::Tensor MemorySource::validation(std::size_t layer, std::int64_t first, std::int64_t count) {
  return validation_.activations[layer].narrow(0, first, count).to(at::kFloat);
}

}  // namespace cachectl::learn
