#include "model/buffers.h"

#include <ATen/ATen.h>
#include <c10/core/Allocator.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>

namespace cachectl::model {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSmallest = std::size_t{32} << 10;  // below it malloc is as good
constexpr std::size_t kMostKept = std::size_t{1} << 30;   // bytes that wait in the pool
constexpr std::size_t kMostPerSize = 8;                   // buffers of one size that wait

// Sizes in steps of an eighth of a power of two, so that shrinking batches share buffers.
std::size_t rounded(std::size_t bytes) {
  std::size_t step = kSmallest / 8;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

class Pool {
 public:
  void* take(std::size_t size) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = waiting_.find(size);
      if (found != waiting_.end() && !found->second.empty()) {
        void* const memory = found->second.back();  // the last one given back is in the caches
        found->second.pop_back();
        kept_ -= size;
        return memory;
      }
    }
    void* const memory = std::aligned_alloc(kAlignment, size);
    if (!memory) throw std::bad_alloc();
    return memory;
  }

  void give_back(void* memory, std::size_t size) {
    {
      const std::lock_guard lock(mutex_);
      auto& same = waiting_[size];
      if (kept_ + size <= kMostKept && same.size() < kMostPerSize) {
        same.push_back(memory);
        kept_ += size;
        return;
      }
    }
    std::free(memory);
  }

 private:
  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> waiting_;
  std::size_t kept_ = 0;
};

// Never destroyed: tensors may be given back while the process ends.
Pool& pool() {
  static Pool* const pool = new Pool;
  return *pool;
}

// What measures the tensors' memory is told of the pool's too.
void* take_reported(std::size_t size) {
  void* const memory = pool().take(size);
  if (c10::memoryProfilingEnabled()) {
    c10::reportMemoryUsageToProfiler(memory, static_cast<std::int64_t>(size), 0, 0, c10::kCPU);
  }
  return memory;
}

void give_back_reported(void* memory, std::size_t size) {
  if (c10::memoryProfilingEnabled()) {
    c10::reportMemoryUsageToProfiler(memory, -static_cast<std::int64_t>(size), 0, 0, c10::kCPU);
  }
  pool().give_back(memory, size);
}

}  // namespace

PooledBytes::PooledBytes(std::int64_t bytes) : size_(rounded(static_cast<std::size_t>(bytes))) {
  memory_ = take_reported(size_);
}
PooledBytes::~PooledBytes() {
  give_back_reported(memory_, size_);
}

at::Tensor pooled_empty(const std::vector<std::int64_t>& sizes, at::ScalarType dtype) {
  const std::int64_t channels = sizes.at(1), height = sizes.at(2), width = sizes.at(3);
  const std::int64_t row = channels * height * width;
  const std::size_t bytes = static_cast<std::size_t>(sizes[0] * row) * at::elementSize(dtype);
  if (bytes < kSmallest) {
    return at::empty(sizes, at::TensorOptions(dtype), at::MemoryFormat::ChannelsLast);
  }
  const std::size_t size = rounded(bytes);
  void* const memory = take_reported(size);
  const std::vector<std::int64_t> strides = {row, 1, width * channels, channels};
  return at::from_blob(
      memory, sizes, strides, [size](void* done) { give_back_reported(done, size); },
      at::TensorOptions(dtype));
}

}  // namespace cachectl::model
