#include "learn/source.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cassert>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "base/random.h"
#include "model/threads.h"

namespace cachectl::learn {

std::int64_t Layer::values() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

double sample_bytes(const std::vector<Layer>& all, const std::vector<std::size_t>& layers) {
  double bytes = 0;
  for (const auto layer : layers) bytes += sizeof(float) * static_cast<double>(all[layer].values());
  return bytes;
}

std::int64_t batches_in(std::int64_t count, std::int64_t batch_size) {
  const std::int64_t rest = count % batch_size;
  // One row has no variance to normalise by.
  const bool is_batch = rest > 1 && 2 * rest >= batch_size;
  const std::int64_t batches = count / batch_size + (is_batch ? 1 : 0);
  return std::max<std::int64_t>(batches, count > 0 ? 1 : 0);
}

namespace {

// Batches on their way from the threads that make them to the one that consumes them, in order.
class Belt {
 public:
  Belt(std::int64_t count, std::int64_t ahead) : count_(count), ahead_(ahead) {}

  void make(const std::function<Making(std::int64_t)>& begin) {
    try {
      while (true) {
        std::unique_lock turn(turn_);
        const auto number = next();
        if (!number) return;
        const Making making = begin(*number);
        turn.unlock();
        put(*number, making());
      }
    } catch (...) {
      stop(std::current_exception());
    }
  }

  // In order; nothing once all are taken, or the next one will not come.
  std::optional<Batch> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || taken_ == count_ || made_.count(taken_) != 0; });
    const auto found = made_.find(taken_);
    if (found == made_.end()) return std::nullopt;
    Batch batch = std::move(found->second);
    made_.erase(found);
    ++taken_;
    changed_.notify_all();
    return batch;
  }

  void stop(std::exception_ptr fault) {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (!fault_) fault_ = std::move(fault);
    changed_.notify_all();
  }

  std::exception_ptr fault() const { return fault_; }  // when all threads have ended

 private:
  std::optional<std::int64_t> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || begun_ == count_ || begun_ < taken_ + ahead_; });
    if (stopped_ || begun_ == count_) return std::nullopt;
    return begun_++;
  }

  void put(std::int64_t number, Batch batch) {
    const std::lock_guard lock(mutex_);
    made_[number] = std::move(batch);
    changed_.notify_all();
  }

  const std::int64_t count_, ahead_;
  std::mutex turn_;  // held from drawing a number until its batch has begun
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t begun_ = 0, taken_ = 0;
  std::map<std::int64_t, Batch> made_;
  bool stopped_ = false;
  std::exception_ptr fault_;
};

}  // namespace

void prefetch(std::int64_t count, std::size_t threads, std::int64_t ahead,
              const std::function<Making(std::int64_t)>& begin,
              const std::function<void(const Batch&)>& consume) {
  Belt belt(count, ahead);
  std::vector<std::thread> makers;
  for (std::size_t i = 0; i < std::max<std::size_t>(1, threads); ++i) {
    makers.emplace_back([&] {
      model::set_threads_here(1);
      const c10::NoGradGuard no_grad;
      belt.make(begin);
    });
  }
  try {
    while (const auto batch = belt.take()) consume(*batch);
  } catch (...) {
    belt.stop(std::current_exception());
  }
  for (auto& maker : makers) maker.join();
  if (belt.fault()) std::rethrow_exception(belt.fault());
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
      batches_in(rows, batch_size), 1, kAhead,
      [&](std::int64_t i) {
        return [&, first = i * batch_size] {
          const at::Tensor some = index.narrow(0, first, std::min(batch_size, rows - first));
          Batch batch;
          for (const auto layer : layers) {
            batch.activations.push_back(
                train_.activations[layer].index_select(0, some).to(at::kFloat));
          }
          batch.pd = train_.pd.index_select(0, some);
          return batch;
        };
      },
      consume);
}

at::Tensor MemorySource::validation(std::size_t layer, std::int64_t first, std::int64_t count) {
  return validation_.activations[layer].narrow(0, first, count).to(at::kFloat);
}

}  // namespace cachectl::learn
