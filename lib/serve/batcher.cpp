#include "serve/batcher.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"
#include "model/threads.h"

namespace cachectl::serve {
namespace {

void resolve_unanswered(Query& query, std::int64_t first, std::int64_t count, Outcome outcome) {
  for (std::int64_t i = first; i < first + count; ++i) {
    ItemAnswer answer;
    answer.index = i;
    answer.outcome = outcome;
    query.resolve(std::move(answer));
  }
}

}  // namespace

Batcher::Batcher(const BatchingOptions& options, const ModelSlot& model,
                 std::vector<Observer*> observers)
    : options_(options), model_(model), observers_(std::move(observers)) {
  for (std::int64_t i = 0; i < options_.workers; ++i) {
    threads_.emplace_back([this] { work(); });
  }
}

Batcher::~Batcher() {
  drain();
}

Admission Batcher::submit(std::shared_ptr<Query> query) {
  const std::int64_t items = query->items();
  const Clock::duration half_its_time = (query->deadline() - query->arrival()) / 2;
  const Clock::time_point due = query->arrival() + std::min(options_.delay, half_its_time);
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return Admission::kClosed;
    if (queued_ + items > options_.queue_items) return Admission::kFull;
    queue_.push_back({std::move(query), 0, due});
    queued_ += items;
  }
  ready_.notify_one();
  return Admission::kTaken;
}

void Batcher::drain() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  ready_.notify_all();
  const std::lock_guard lock(joining_);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Batcher::give_up() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const Waiting& waiting : queue_) waiting.query->cancel();
  }
  drain();
}

std::int64_t Batcher::queued() const {
  const std::lock_guard lock(mutex_);
  return queued_;
}

double Batcher::seconds_of_queue() const {
  const std::lock_guard lock(mutex_);
  const double pace = items_per_second_ * static_cast<double>(options_.workers);
  return pace > 0 ? static_cast<double>(queued_) / pace : 0;
}

// Called while less than a batch waits, so there is little to look through.
Clock::time_point Batcher::earliest_due() const {
  Clock::time_point due = queue_.front().due;
  for (const Waiting& waiting : queue_) due = std::min(due, waiting.due);
  return due;
}

std::vector<Batcher::Part> Batcher::take(std::vector<Part>& given_up) {
  const Clock::time_point now = Clock::now();
  std::vector<Part> parts;
  std::int64_t rows = 0;
  while (!queue_.empty() && rows < options_.max_batch) {
    Waiting& front = queue_.front();
    const std::int64_t left = front.query->items() - front.next;
    const bool lost = front.query->cancelled() || now > front.query->deadline();
    const std::int64_t count = lost ? left : std::min(left, options_.max_batch - rows);
    (lost ? given_up : parts).push_back({front.query, front.next, count});
    if (!lost) rows += count;
    front.next += count;
    queued_ -= count;
    if (count == left) queue_.pop_front();
  }
  return parts;
}

void Batcher::work() {
  model::set_threads_here(static_cast<int>(options_.threads_per_worker));
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [&] { return closed_ || queued_ > 0; });
    if (queued_ == 0) return;
    while (!closed_ && queued_ > 0 && queued_ < options_.max_batch) {
      const Clock::time_point due = earliest_due();
      if (Clock::now() >= due) break;
      ready_.wait_until(lock, due);
    }
    std::vector<Part> given_up;
    const std::vector<Part> parts = take(given_up);
    if (queued_ > 0) ready_.notify_one();
    lock.unlock();
    for (const Part& part : given_up) {
      resolve_unanswered(*part.query, part.first, part.count,
                         part.query->cancelled() ? Outcome::kCancelled : Outcome::kExpired);
    }
    if (!parts.empty()) run(parts);
    lock.lock();
  }
}

void Batcher::run(const std::vector<Part>& parts) {
  struct Place {
    const std::shared_ptr<Query>& query;
    std::int64_t index;
    bool resolved = false;
  };
  const Clock::time_point start = Clock::now();
  std::vector<Place> places;
  std::vector<at::Tensor> slices;
  Clock::time_point oldest = start;
  for (const Part& part : parts) {
    slices.push_back(part.query->inputs().narrow(0, part.first, part.count));
    for (std::int64_t i = 0; i < part.count; ++i) places.push_back({part.query, part.first + i});
    oldest = std::min(oldest, part.query->arrival());
  }
  const std::shared_ptr<const ServedModel> model = model_.get();
  const runtime::Engine& engine = model->engine();
  const auto rows = static_cast<std::int64_t>(places.size());
  const std::size_t plan = engine.plan_for(rows);
  try {
    const at::Tensor inputs = slices.size() == 1 ? slices[0] : at::cat(slices);
    const auto on_answer = [&](const runtime::Answer& answer) {
      if (!answer.hit) return;
      Place& place = places[static_cast<std::size_t>(answer.sample)];
      const std::string& exit = engine.exit_name(plan, answer.exit);
      const ResolvedItem resolved{*model,      plan, answer, exit, inputs, place.query->arrival(),
                                  Clock::now()};
      for (Observer* observer : observers_) observer->on_item(resolved);
      place.resolved = true;
      ItemAnswer item;
      item.index = place.index;
      item.label = answer.label;
      item.confidence = answer.confidence;
      item.probabilities.assign(answer.probabilities, answer.probabilities + answer.classes);
      item.class_name = model->class_name(answer.label);
      item.exit = exit;
      item.plan = model->facts().hash.substr(0, 12);
      place.query->resolve(std::move(item));
    };
    const runtime::BatchStats stats = engine.infer_with(plan, {inputs}, on_answer);
    for (Observer* observer : observers_) {
      observer->on_batch({*model, plan, rows, stats, start - oldest});
    }
  } catch (const std::exception& error) {
    log::error("a batch of {} items failed: {}", rows, error.what());
  }
  // One item that can't be computed shall cost no other query its answer.
  std::vector<Part> left;
  for (const Place& place : places) {
    if (place.resolved) continue;
    if (parts.size() == 1) {
      resolve_unanswered(*place.query, place.index, 1, Outcome::kFailed);
    } else if (!left.empty() && left.back().query == place.query &&
               left.back().first + left.back().count == place.index) {
      ++left.back().count;
    } else {
      left.push_back({place.query, place.index, 1});
    }
  }
  for (const Part& part : left) run({part});
  const double pace = static_cast<double>(rows) / std::max(1e-6, seconds_of(Clock::now() - start));
  const std::lock_guard lock(mutex_);
  items_per_second_ = items_per_second_ == 0 ? pace : 0.8 * items_per_second_ + 0.2 * pace;
}

}  // namespace cachectl::serve
