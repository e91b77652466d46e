#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace cachectl::model {

// An uninitialised channels-last tensor on the CPU [N, C, H, W] whose memory comes from, and goes
// back to, a pool of the process: fresh memory from the system costs a page fault every
// 4 KiB, which for activations is up to half of a convolution's time. The tensor is like
// any other, and may outlive what made it. Safe from any thread.
at::Tensor pooled_empty(const std::vector<std::int64_t>& sizes, at::ScalarType dtype);

// Plain memory from the same pool, aligned to 64 bytes.
class PooledBytes {
 public:
  explicit PooledBytes(std::int64_t bytes);
  ~PooledBytes();
  PooledBytes(const PooledBytes&) = delete;
  PooledBytes& operator=(const PooledBytes&) = delete;
  char* data() const { return static_cast<char*>(memory_); }

 private:
  void* memory_;
  std::size_t size_;
};

}  // namespace cachectl::model
