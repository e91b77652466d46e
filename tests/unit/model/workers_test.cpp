#include "model/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace cachectl::model {
namespace {

TEST(Workers, DoEveryTaskOnceAndPassFaultsOn) {
  Workers workers(3);
  std::vector<std::atomic<int>> done(50);
  for (int repeat = 0; repeat < 20; ++repeat) {
    workers.run(done.size(), [&](std::size_t i) { ++done[i]; });
  }
  for (const auto& count : done) EXPECT_EQ(count, 20);
  EXPECT_THROW(workers.run(4,
                           [](std::size_t i) {
                             if (i == 2) throw std::runtime_error("two");
                           }),
               std::runtime_error);
  workers.run(1, [&](std::size_t) { done[0] = 0; });
  EXPECT_EQ(done[0], 0);
}

}  // namespace
}  // namespace cachectl::model
