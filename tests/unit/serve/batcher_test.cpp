#include "serve/batcher.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <set>

#include "unit/serve/served.h"

namespace cachectl::serve {
namespace {

using namespace std::chrono_literals;
using test::Served;

// A query and what came of it.
struct Asked {
  std::mutex mutex;
  std::vector<ItemAnswer> items;
  std::promise<QuerySummary> ended;
  std::shared_ptr<Query> query;
};

std::shared_ptr<Asked> ask(const at::Tensor& inputs, Clock::duration deadline = 60s) {
  auto asked = std::make_shared<Asked>();
  const Clock::time_point now = Clock::now();
  asked->query = std::make_shared<Query>(
      inputs, now, now + deadline,
      Query::Callbacks{
          [raw = asked.get()](ItemAnswer item) {
            const std::lock_guard lock(raw->mutex);
            raw->items.push_back(std::move(item));
          },
          [raw = asked.get()](const QuerySummary& summary) { raw->ended.set_value(summary); }});
  return asked;
}

class BatchSizes : public Observer {
 public:
  void on_item(const ResolvedItem&) override { ++items; }
  void on_batch(const FinishedBatch& batch) override {
    const std::lock_guard lock(mutex);
    sizes.push_back(batch.rows);
  }
  std::atomic<int> items{0};
  std::mutex mutex;
  std::vector<std::int64_t> sizes;
};

class BatcherTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = Served({0.22, 0.24, 0.3}).load(); }
  static void TearDownTestSuite() { model_.reset(); }

  static BatchingOptions options(std::int64_t workers, std::int64_t max_batch,
                                 Clock::duration delay) {
    BatchingOptions options;
    options.workers = workers;
    options.max_batch = max_batch;
    options.delay = delay;
    options.queue_items = 100;
    return options;
  }

  static std::shared_ptr<const ServedModel> model_;
  ModelSlot slot_{model_};
  BatchSizes observer_;
};
std::shared_ptr<const ServedModel> BatcherTest::model_;

TEST_F(BatcherTest, AnswersOfABatchAreTheEngines) {
  Batcher batcher(options(1, 64, 0ms), slot_, {&observer_});
  const at::Tensor inputs = CachedBackbone::inputs(40, 5);
  const auto expected = model_->engine().infer(inputs);
  const auto asked = ask(inputs);
  ASSERT_EQ(batcher.submit(asked->query), Admission::kTaken);
  const QuerySummary summary = asked->ended.get_future().get();
  EXPECT_EQ(summary.answered, 40);
  std::set<std::string> exits;
  for (const ItemAnswer& item : asked->items) {
    const runtime::Result& wanted = expected[static_cast<std::size_t>(item.index)];
    EXPECT_EQ(item.label, wanted.label);
    EXPECT_EQ(item.confidence, wanted.confidence);
    EXPECT_EQ(item.probabilities, wanted.probabilities);
    EXPECT_EQ(item.exit, model_->engine().exit_name(0, wanted.exit));
    EXPECT_EQ(item.class_name, std::string(1, static_cast<char>('a' + item.label)));
    exits.insert(item.exit);
  }
  EXPECT_GT(exits.size(), 1U) << "the test says little where all leave at one exit";
  EXPECT_EQ(observer_.items, 40);
}

TEST_F(BatcherTest, QueriesWaitForCompanyWithinTheDelay) {
  Batcher batcher(options(1, 8, 300ms), slot_, {&observer_});
  std::vector<std::shared_ptr<Asked>> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(ask(CachedBackbone::inputs(2, 9)));
    ASSERT_EQ(batcher.submit(all.back()->query), Admission::kTaken);
  }
  // A full batch starts at once.
  for (const auto& asked : all) EXPECT_LT(asked->ended.get_future().get().milliseconds, 290);
  // One that is not full starts when the delay is over.
  const auto late = ask(CachedBackbone::inputs(3, 9));
  batcher.submit(late->query);
  EXPECT_GE(late->ended.get_future().get().milliseconds, 290);
  batcher.drain();
  EXPECT_THAT(observer_.sizes, testing::ElementsAre(8, 3));
}

TEST_F(BatcherTest, LargeQueriesAreSpreadOverBatches) {
  Batcher batcher(options(2, 16, 0ms), slot_, {&observer_});
  const auto asked = ask(CachedBackbone::inputs(50, 5));
  batcher.submit(asked->query);
  EXPECT_EQ(asked->ended.get_future().get().answered, 50);
  std::set<std::int64_t> indices;
  for (const ItemAnswer& item : asked->items) indices.insert(item.index);
  EXPECT_EQ(indices.size(), 50U);
  batcher.drain();
  EXPECT_EQ(*std::max_element(observer_.sizes.begin(), observer_.sizes.end()), 16);
}

TEST_F(BatcherTest, TheQueueIsBounded) {
  Batcher batcher(options(1, 64, 10s), slot_, {&observer_});
  const auto first = ask(CachedBackbone::inputs(60, 5), 60s);
  const auto second = ask(CachedBackbone::inputs(41, 5), 60s);
  EXPECT_EQ(batcher.submit(first->query), Admission::kTaken);
  EXPECT_EQ(batcher.queued(), 60);
  EXPECT_EQ(batcher.submit(second->query), Admission::kFull);
  EXPECT_EQ(batcher.queued(), 60);
  batcher.drain();
  EXPECT_EQ(first->ended.get_future().get().answered, 60);
  EXPECT_EQ(batcher.submit(second->query), Admission::kClosed);
}

TEST_F(BatcherTest, DeadlinesBoundTheWaiting) {
  // A long delay gives way to the deadline: the query still gets its answer.
  Batcher batcher(options(1, 64, 20s), slot_, {&observer_});
  const auto asked = ask(CachedBackbone::inputs(2, 5), 400ms);
  batcher.submit(asked->query);
  const QuerySummary summary = asked->ended.get_future().get();
  EXPECT_EQ(summary.answered, 2);
  EXPECT_LT(summary.milliseconds, 400);

  // What starts too late is given up.
  const auto late = ask(CachedBackbone::inputs(2, 5), -1ms);
  batcher.submit(late->query);
  EXPECT_EQ(late->ended.get_future().get().expired, 2);
  EXPECT_EQ(late->items[0].outcome, Outcome::kExpired);
}

TEST_F(BatcherTest, CancelledQueriesAreNotComputed) {
  Batcher batcher(options(1, 64, 100ms), slot_, {&observer_});
  const auto asked = ask(CachedBackbone::inputs(5, 5));
  batcher.submit(asked->query);
  asked->query->cancel();
  EXPECT_EQ(asked->ended.get_future().get().cancelled, 5);
  EXPECT_EQ(observer_.items, 0);
}

TEST_F(BatcherTest, WhatCantBeComputedCostsNoOtherQueryItsAnswer) {
  Batcher batcher(options(1, 64, 200ms), slot_, {&observer_});
  const auto good = ask(CachedBackbone::inputs(5, 5)), bad = ask(at::zeros({2, 1, 1, 1})),
             also_good = ask(CachedBackbone::inputs(3, 6));
  for (const auto& asked : {good, bad, also_good}) batcher.submit(asked->query);
  EXPECT_EQ(good->ended.get_future().get().answered, 5);
  EXPECT_EQ(bad->ended.get_future().get().failed, 2);
  EXPECT_EQ(also_good->ended.get_future().get().answered, 3);
}

TEST_F(BatcherTest, EndingAnswersWhatWaits) {
  std::shared_ptr<Asked> asked = ask(CachedBackbone::inputs(30, 5));
  {
    Batcher batcher(options(2, 8, 10s), slot_, {&observer_});
    batcher.submit(asked->query);
  }
  EXPECT_EQ(asked->ended.get_future().get().answered, 30);
}

TEST_F(BatcherTest, ABatchTakesTheModelInTheSlot) {
  const Served other({0.0, 0.0, 0.0});  // all leave at the first exit
  const auto before = ask(CachedBackbone::inputs(20, 5));
  const auto after = ask(CachedBackbone::inputs(20, 5));
  Batcher batcher(options(1, 64, 0ms), slot_, {&observer_});
  batcher.submit(before->query);
  EXPECT_GT(before->ended.get_future().get().exits.size(), 1U);
  slot_.set(other.load());
  batcher.submit(after->query);
  const QuerySummary summary = after->ended.get_future().get();
  EXPECT_THAT(summary.exits, testing::ElementsAre(std::make_pair(CachedBackbone::layers()[0], 20)));
}

}  // namespace
}  // namespace cachectl::serve
