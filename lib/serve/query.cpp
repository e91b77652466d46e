#include "serve/query.h"

#include <ATen/ATen.h>

#include <cassert>
#include <utility>

namespace cachectl::serve {

Query::Query(at::Tensor inputs, Clock::time_point arrival, Clock::time_point deadline,
             Callbacks callbacks)
    : inputs_(std::move(inputs)),
      items_(inputs_.size(0)),
      arrival_(arrival),
      deadline_(deadline),
      callbacks_(std::move(callbacks)) {
  assert(items_ > 0);
  summary_.items = items_;
}

void Query::resolve(ItemAnswer answer) {
  answer.milliseconds = 1000 * seconds_of(Clock::now() - arrival_);
  const Outcome outcome = answer.outcome;
  const std::string exit = answer.exit;
  const double milliseconds = answer.milliseconds;
  callbacks_.on_item(std::move(answer));

  const std::unique_lock lock(mutex_);
  switch (outcome) {
    case Outcome::kAnswered:
      if (summary_.answered++ == 0) summary_.first_milliseconds = milliseconds;
      ++summary_.exits[exit];
      break;
    case Outcome::kExpired:
      ++summary_.expired;
      break;
    case Outcome::kFailed:
      ++summary_.failed;
      break;
    case Outcome::kCancelled:
      ++summary_.cancelled;
      break;
  }
  summary_.milliseconds = milliseconds;
  if (++resolved_ < items_) return;
  // The callbacks hold whoever asked, who may hold the query.
  const Callbacks last = std::exchange(callbacks_, {});
  last.on_end(summary_);
}

}  // namespace cachectl::serve
