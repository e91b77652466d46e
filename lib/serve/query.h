#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "serve/clock.h"

namespace cachectl::serve {

enum class Outcome {
  kAnswered,
  kExpired,   // its deadline passed while it waited
  kFailed,    // the batch it was in failed
  kCancelled  // whoever asked is gone
};

// One item's answer.
struct ItemAnswer {
  std::int64_t index = 0;  // of the item in its query
  Outcome outcome = Outcome::kAnswered;
  // Where answered:
  std::int32_t label = 0;
  float confidence = 0;
  std::vector<float> probabilities;
  std::string class_name;   // "" where unknown
  std::string exit;         // name of the exit, or "backbone"
  std::string plan;         // start of the plan's hash
  double milliseconds = 0;  // since the query came in
};

// What became of a query.
struct QuerySummary {
  std::int64_t items = 0, answered = 0, expired = 0, failed = 0, cancelled = 0;
  std::map<std::string, std::int64_t> exits;  // answered items by exit
  double first_milliseconds = 0;              // until the first answer
  double milliseconds = 0;                    // until the last
};

// The items of one request on their way through the batches. The callbacks run on the
// workers' threads and must not throw: on_item once per item, several at once where the
// query is spread over batches; on_end once, after all of them.
class Query {
 public:
  struct Callbacks {
    std::function<void(ItemAnswer)> on_item;
    std::function<void(const QuerySummary&)> on_end;
  };

  // inputs: float32 [items, ...], at least one item.
  Query(at::Tensor inputs, Clock::time_point arrival, Clock::time_point deadline,
        Callbacks callbacks);

  const at::Tensor& inputs() const { return inputs_; }
  std::int64_t items() const { return items_; }
  Clock::time_point arrival() const { return arrival_; }
  Clock::time_point deadline() const { return deadline_; }

  // The items that still wait are given up.
  void cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }

  void resolve(ItemAnswer answer);

 private:
  const at::Tensor inputs_;
  const std::int64_t items_;
  const Clock::time_point arrival_, deadline_;
  Callbacks callbacks_;
  std::atomic<bool> cancelled_{false};

  std::mutex mutex_;
  QuerySummary summary_;
  std::int64_t resolved_ = 0;
};

}  // namespace cachectl::serve
