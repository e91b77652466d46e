#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "runtime/engine.h"
#include "serve/clock.h"
#include "serve/served_model.h"

namespace cachectl::serve {

// An item that an exit has just resolved. What it refers to is valid during the call.
struct ResolvedItem {
  const ServedModel& model;
  std::size_t plan = 0;            // of the engine: the one the batch ran under
  const runtime::Answer& answer;   // with the probabilities
  const std::string& exit_name;    // "backbone" where no exit answered
  const at::Tensor& inputs;        // of the batch, [rows, ...]; the item's is row answer.sample
  Clock::time_point arrival, now;  // of the request; of the answer
};

// A batch that has run.
struct FinishedBatch {
  const ServedModel& model;
  std::size_t plan = 0;
  std::int64_t rows = 0;
  const runtime::BatchStats& stats;
  Clock::duration longest_wait{};  // of its items in the queue
};

// Sees all that is answered: metrics, and whatever else wants to follow the traffic. Called on
// the workers' threads, several at once, between exits of a batch: must be quick, and must
// not throw.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_item(const ResolvedItem&) {}
  virtual void on_batch(const FinishedBatch&) {}
};

}  // namespace cachectl::serve
