#include "runtime/live_bytes.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <optional>

namespace cachectl::runtime {
namespace {

TEST(LiveBytes, FollowsWhatIsAllocatedAndFreed) {
  const at::Tensor before = at::zeros({1000});
  std::optional<at::Tensor> kept;
  const LiveBytes bytes;
  EXPECT_EQ(bytes.now(), 0);
  {
    const at::Tensor a = at::empty({1024}, at::kFloat);
    const at::Tensor b = at::empty({512}, at::kFloat);
    EXPECT_EQ(bytes.now(), 6144);
    kept = b;
  }
  EXPECT_EQ(bytes.now(), 2048);
  EXPECT_EQ(bytes.peak(), 6144);
}

TEST(LiveBytes, TensorsFromBeforeDoNotCount) {
  std::optional<at::Tensor> old = at::zeros({1 << 16});
  const LiveBytes bytes;
  old.reset();
  EXPECT_EQ(bytes.now(), 0);
  EXPECT_EQ(bytes.peak(), 0);
}

}  // namespace
}  // namespace cachectl::runtime
