#include "model/workers.h"

#include <algorithm>
#include <cstdint>

#include "model/threads.h"

namespace cachectl::model {

Workers::Workers(std::size_t threads) {
  for (std::size_t i = 0; i < std::max<std::size_t>(1, threads); ++i) {
    threads_.emplace_back([this] { work(); });
  }
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  begin_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Workers::run(std::size_t count, const std::function<void(std::size_t)>& task) {
  std::unique_lock lock(mutex_);
  task_ = &task;
  next_ = 0;
  count_ = count;
  fault_ = nullptr;
  begin_.notify_all();
  end_.wait(lock, [&] { return next_ >= count_ && busy_ == 0; });
  task_ = nullptr;
  count_ = 0;
  if (fault_) std::rethrow_exception(fault_);
}

void Workers::work() {
  set_threads_here(1);
  std::unique_lock lock(mutex_);
  while (true) {
    begin_.wait(lock, [&] { return stop_ || next_ < count_; });
    if (stop_) return;
    const std::size_t index = next_++;
    ++busy_;
    lock.unlock();
    std::exception_ptr fault;
    try {
      (*task_)(index);
    } catch (...) {
      fault = std::current_exception();
    }
    lock.lock();
    --busy_;
    if (fault && !fault_) {
      fault_ = fault;
      next_ = count_;
    }
    if (next_ >= count_ && busy_ == 0) end_.notify_all();
  }
}

std::size_t thread_count(std::int64_t asked) {
  if (asked > 0) return static_cast<std::size_t>(asked);
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace cachectl::model
