#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "serve/observer.h"
#include "serve/query.h"

namespace cachectl::serve {

struct BatchingOptions {
  std::int64_t workers = 2;
  std::int64_t threads_per_worker = 1;
  std::int64_t max_batch = 64;      // items
  Clock::duration delay{};          // that an item waits for company
  std::int64_t queue_items = 1024;  // that wait
};

enum class Admission { kTaken, kFull, kClosed };

// Merges the items of queries into batches, and runs them on threads of its own. An item waits
// until its batch is full or its delay is over, at most half of the time to its deadline; a
// query may be spread over several batches, and a batch hold items of many queries.
class Batcher {
 public:
  // model, observers: must outlive the batcher. Each batch takes the model that is in the slot
  // when it starts.
  Batcher(const BatchingOptions& options, const ModelSlot& model, std::vector<Observer*> observers);
  ~Batcher();  // drains
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  // All of its items, or none of them.
  Admission submit(std::shared_ptr<Query> query);
  // Takes nothing more; returns when every item is resolved.
  void drain();
  // Takes nothing more; what waits is resolved as cancelled.
  void give_up();

  std::int64_t queued() const;  // items
  std::int64_t capacity() const { return options_.queue_items; }
  // How long the queue as it stands takes, by the pace of the last batches.
  double seconds_of_queue() const;

 private:
  struct Waiting {
    std::shared_ptr<Query> query;
    std::int64_t next = 0;  // its first item that is in no batch yet
    Clock::time_point due;
  };
  struct Part {  // of a batch: items [first, first + count) of a query
    std::shared_ptr<Query> query;
    std::int64_t first = 0, count = 0;
  };

  void work();
  Clock::time_point earliest_due() const;
  std::vector<Part> take(std::vector<Part>& given_up);
  void run(const std::vector<Part>& parts);

  const BatchingOptions options_;
  const ModelSlot& model_;
  const std::vector<Observer*> observers_;

  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Waiting> queue_;
  std::int64_t queued_ = 0;
  bool closed_ = false;
  double items_per_second_ = 0;  // of one worker, smoothed
  std::mutex joining_;
  std::vector<std::thread> threads_;
};

}  // namespace cachectl::serve
