#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

namespace cachectl::learn {

// Hands each student's logits of one batch to the student behind it, from thread to thread.
class Relay {
 public:
  explicit Relay(std::size_t students) : given_(students) {}

  // Undefined: it has none. The first word counts.
  void hand_over(std::size_t student, const at::Tensor& logits);
  // Waits until the student has handed over.
  at::Tensor take_from(std::size_t student);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<at::Tensor>> given_;
};

}  // namespace cachectl::learn
