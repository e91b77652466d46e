#include "learn/source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>

#include "unit/learn/synthetic.h"

namespace cachectl::learn {
namespace {

TEST(EpochOrder, IsAShuffledSubsetThatLargerOnesContain) {
  const auto few = epoch_order(100, 20, 3, 0), many = epoch_order(100, 60, 3, 0);
  const std::set<std::int64_t> small(few.begin(), few.end()), large(many.begin(), many.end());
  EXPECT_EQ(small.size(), 20U);
  EXPECT_EQ(large.size(), 60U);
  EXPECT_TRUE(std::includes(large.begin(), large.end(), small.begin(), small.end()));
}

TEST(EpochOrder, ChangesFromEpochToEpochOverTheSameSamples) {
  auto first = epoch_order(100, 20, 3, 0), second = epoch_order(100, 20, 3, 1);
  EXPECT_EQ(first, epoch_order(100, 20, 3, 0));
  EXPECT_NE(first, second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, second);
}

TEST(BatchesIn, LeaveOutARestBelowHalfABatch) {
  EXPECT_EQ(batches_in(100, 10), 10);
  EXPECT_EQ(batches_in(104, 10), 10);
  EXPECT_EQ(batches_in(105, 10), 11);
  EXPECT_EQ(batches_in(3, 10), 1);
  EXPECT_EQ(batches_in(0, 10), 0);
  EXPECT_EQ(batches_in(3, 2), 1);  // one row has no variance
}

TEST(MemorySource, GivesEachSampleOnceWithItsOwnDistribution) {
  auto source = synthetic_source(96, 0.0);
  std::int64_t rows = 0;
  double first_activation_sum = 0;
  source.epoch(0, 96, 10, {1}, [&](const Batch& batch) {
    ASSERT_EQ(batch.activations.size(), 1U);
    EXPECT_EQ(batch.activations[0].size(0), batch.pd.size(0));
    rows += batch.pd.size(0);
    first_activation_sum += batch.activations[0].sum().item<double>();
    // Without noise equal classes have equal activations.
    for (std::int64_t a = 0; a < batch.pd.size(0); ++a) {
      const bool same_pd = at::equal(batch.pd[a], batch.pd[0]);
      EXPECT_EQ(at::equal(batch.activations[0][a], batch.activations[0][0]), same_pd);
    }
  });
  EXPECT_EQ(rows, 96);
  const auto all = synthetic_part(96, 4, 0.0, 1).activations[1].sum().item<double>();
  EXPECT_NEAR(first_activation_sum, all, 1e-2);
}

TEST(Prefetch, HandsOverInOrderAndPassesFaultsOn) {
  std::vector<std::int64_t> seen;
  const auto begin = [](std::int64_t i) {
    return [i] {
      if (i == 7) throw std::runtime_error("seven");
      return Batch{{}, at::full({1}, double(i))};
    };
  };
  EXPECT_THROW(prefetch(10, 1, 2, begin,
                        [&](const Batch& batch) {
                          seen.push_back(static_cast<std::int64_t>(batch.pd.item<float>()));
                        }),
               std::runtime_error);
  EXPECT_EQ(seen, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_THROW(prefetch(5, 3, 2, begin, [](const Batch&) { throw std::logic_error("consumer"); }),
               std::logic_error);
}

TEST(Prefetch, ManyThreadsMakeInTheOrderOfBeginAndNoFurtherAheadThanAllowed) {
  constexpr std::int64_t kCount = 200, kMost = 5;
  std::int64_t begun = 0, consumed = 0;
  std::atomic<std::int64_t> taken{0};
  prefetch(
      kCount, 4, kMost,
      [&](std::int64_t i) {
        EXPECT_EQ(i, begun++);
        EXPECT_LE(i, taken + kMost);
        return [i] {
          // The even ones take longer, so that odd ones overtake them.
          if (i % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
          return Batch{{}, at::full({1}, double(i))};
        };
      },
      [&](const Batch& batch) {
        EXPECT_EQ(batch.pd.item<float>(), static_cast<float>(consumed++));
        taken = consumed;
      });
  EXPECT_EQ(consumed, kCount);
}

}  // namespace
}  // namespace cachectl::learn
