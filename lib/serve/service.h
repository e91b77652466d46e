#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "serve/access.h"
#include "serve/batcher.h"
#include "serve/infer_request.h"
#include "serve/options.h"
#include "serve/serving_metrics.h"

namespace cachectl::serve {

// A bound on bytes that many hold at once.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t bytes) : left_(static_cast<std::int64_t>(bytes)) {}

  // Given back when it goes.
  class Share {
   public:
    Share() = default;
    Share(MemoryBudget& budget, std::int64_t bytes) : budget_(&budget), bytes_(bytes) {}
    Share(Share&& other) noexcept { swap(other); }
    Share& operator=(Share&& other) noexcept {
      swap(other);
      return *this;
    }
    ~Share() {
      if (budget_ != nullptr) budget_->left_ += bytes_;
    }
    explicit operator bool() const { return budget_ != nullptr; }

   private:
    void swap(Share& other) {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
    }
    MemoryBudget* budget_ = nullptr;
    std::int64_t bytes_ = 0;
  };

  // An empty share where that much is not left.
  Share take(std::uint64_t bytes) {
    const auto wanted = static_cast<std::int64_t>(bytes);
    if (wanted == 0 || left_.fetch_sub(wanted) >= wanted) return Share(*this, wanted);
    left_ += wanted;
    return {};
  }

 private:
  std::atomic<std::int64_t> left_;
};

// All that connections share: the model, its batches, limits and metrics. Knows nothing of
// sockets. Every member may be called from several threads.
class Service {
 public:
  Service(const Options& options, std::shared_ptr<const ServedModel> model, Access access);

  const Options& options() const { return options_; }
  const Access& access() const { return access_; }
  ModelSlot& models() { return models_; }
  ServingMetrics& metrics() { return metrics_; }
  Batcher& batcher() { return batcher_; }
  MemoryBudget& bodies() { return bodies_; }
  RequestLimits limits() const;

  // Throws Refusal (503) where nothing can be taken: known before a body is parsed, which costs
  // more than saying no.
  void require_room();
  // A request's query, on its way. Throws Refusal (503) when the queue is full.
  std::shared_ptr<Query> submit(const InferRequest& request, Clock::time_point arrival,
                                Query::Callbacks callbacks);
  int retry_after() const;  // seconds until the queue should have room

  void start_draining() { draining_ = true; }
  bool draining() const { return draining_; }

  std::atomic<std::int64_t> http_connections{0}, stream_connections{0};

 private:
  void add_gauges();
  [[noreturn]] void refuse_for_queue();

  const Options options_;
  const Access access_;
  ModelSlot models_;
  ServingMetrics metrics_;
  MemoryBudget bodies_;
  std::atomic<bool> draining_{false};
  Batcher batcher_;  // last: its threads use what stands above
};

}  // namespace cachectl::serve
