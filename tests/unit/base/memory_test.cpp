#include "base/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace cachectl::memory {
namespace {

constexpr std::size_t kBytes = 20 << 20;  // of one tensor; three are alive at once

void step() {
  std::vector<std::unique_ptr<char[]>> tensors;
  for (int i = 0; i < 3; ++i) {
    tensors.emplace_back(new char[kBytes]);
    std::memset(tensors.back().get(), i, kBytes);
  }
}

TEST(Memory, ThatWasFreedServesTheNextStepWithoutTheKernel) {
  keep_freed();
  std::int64_t faults = 0;
  const auto count = [&] {
    step();
    rusage before{}, after{};
    getrusage(RUSAGE_THREAD, &before);
    for (int i = 0; i < 10; ++i) step();
    getrusage(RUSAGE_THREAD, &after);
    faults += after.ru_minflt - before.ru_minflt;
  };
  count();
  std::thread(count).join();
  const std::size_t pages = 2 * 10 * 3 * kBytes / 4096;
  EXPECT_LT(faults, static_cast<std::int64_t>(pages / 100));
}

}  // namespace
}  // namespace cachectl::memory

#endif
