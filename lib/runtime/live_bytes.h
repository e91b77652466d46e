#pragma once

#include <cstdint>
#include <memory>

namespace cachectl::runtime {

// Counts the bytes of tensors that this thread allocates and frees, as the
// allocators report them, from construction on. Tensors alive before count as 0. One at a
// time per thread.
class LiveBytes {
 public:
  LiveBytes();
  ~LiveBytes();
  LiveBytes(const LiveBytes&) = delete;
  LiveBytes& operator=(const LiveBytes&) = delete;

  std::int64_t now() const;
  std::int64_t peak() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cachectl::runtime
