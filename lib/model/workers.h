#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cachectl::model {

// Threads that work side by side on small tasks, each task on one thread only: what is that small
// gains nothing from several, and one thread a task makes results independent of how many there
// are.
class Workers {
 public:
  explicit Workers(std::size_t threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  std::size_t size() const { return threads_.size(); }
  // task(0..count-1), taken in order; returns when all are done. Throws the first fault.
  void run(std::size_t count, const std::function<void(std::size_t)>& task);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable begin_, end_;
  const std::function<void(std::size_t)>* task_ = nullptr;
  std::size_t next_ = 0, count_ = 0, busy_ = 0;
  bool stop_ = false;
  std::exception_ptr fault_;
  std::vector<std::thread> threads_;
};

// 0: as many as there are cores.
std::size_t thread_count(std::int64_t asked);

}  // namespace cachectl::model
