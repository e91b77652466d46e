#include "runtime/live_bytes.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/version.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

namespace cachectl::runtime {

namespace {

#if TORCH_VERSION_MAJOR >= 2
using Total = std::size_t;
#else
using Total = std::int64_t;
#endif

// Allocations may be made by threads that inherit the thread's state, so it locks.
class Meter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* pointer, std::int64_t size, Total, Total, c10::Device) override {
    const std::lock_guard lock(mutex_);
    if (size > 0) {
      sizes_[pointer] = size;
      now_ += size;
      peak_ = std::max(peak_, now_);
      return;
    }
    // Only what was allocated under this meter is taken off again.
    const auto known = sizes_.find(pointer);
    if (known == sizes_.end()) return;
    now_ -= known->second;
    sizes_.erase(known);
  }
  bool memoryProfilingEnabled() const override { return true; }

  std::int64_t now() const {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  std::int64_t peak() const {
    const std::lock_guard lock(mutex_);
    return peak_;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<void*, std::int64_t> sizes_;
  std::int64_t now_ = 0, peak_ = 0;
};

}  // namespace

struct LiveBytes::State {
  std::shared_ptr<Meter> meter = std::make_shared<Meter>();
  c10::DebugInfoGuard guard{c10::DebugInfoKind::PROFILER_STATE, meter};
};

LiveBytes::LiveBytes() : state_(std::make_unique<State>()) {}
LiveBytes::~LiveBytes() = default;
std::int64_t LiveBytes::now() const {
  return state_->meter->now();
}
std::int64_t LiveBytes::peak() const {
  return state_->meter->peak();
}

}  // namespace cachectl::runtime
