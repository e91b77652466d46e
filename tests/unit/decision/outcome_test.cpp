#include "decision/outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cachectl::decision {
namespace {

using testing::ElementsAre;

Records two_exits() {
  Records records;
  records.backbone = {0, 0, 1, 1, 2};
  records.exits.resize(2);
  records.exits[0] = {{0, 1, 1, 0, 2}, {0.9f, 0.8f, 0.3f, 0.2f, 0.1f}};
  records.exits[1] = {{1, 1, 1, 1, 0}, {0.9f, 0.9f, 0.9f, 0.6f, 0.2f}};
  return records;
}

TEST(Outcome, CountsOnlyTheSamplesThatReachAnExit) {
  const Exits exits = {{0, 0.8f}, {1, 0.6f}};
  const Outcome outcome = run_over(two_exits(), exits);
  EXPECT_THAT(outcome.reach, ElementsAre(5, 3));
  EXPECT_THAT(outcome.hits, ElementsAre(2, 2));
  EXPECT_THAT(outcome.wrong, ElementsAre(1, 0));
  EXPECT_THAT(outcome.left_at, ElementsAre(0, 0, 1, 1, 2));
  EXPECT_EQ(outcome.differing, 1);
  EXPECT_DOUBLE_EQ(outcome.risk(), 0.2);
  EXPECT_THAT(answers(two_exits(), exits, outcome), ElementsAre(0, 1, 1, 1, 2));
}

TEST(Outcome, CostsWhatEachSampleRanThrough) {
  const Exits exits = {{0, 0.8f}, {1, 0.6f}};
  const CostModel cost = flops_cost(5, {30, 60}, 100, {1, 2});
  // 2 samples: 30 + 1; 2 samples: 60 + 1 + 2; 1 sample: 100 + 1 + 2.
  EXPECT_DOUBLE_EQ(cost_of(exits, run_over(two_exits(), exits), cost), 2 * 31 + 2 * 63 + 103);
  EXPECT_DOUBLE_EQ(cost_of({}, run_over(two_exits(), {}), cost), cost.plain());
}

TEST(Outcome, TellsWhichClassesLoseWhat) {
  const auto losses = loss_by_class(two_exits(), {{0, 0.8f}, {1, 0.6f}});
  ASSERT_THAT(losses, testing::SizeIs(3));
  EXPECT_EQ(losses[0].label, 0);
  EXPECT_EQ(losses[0].samples, 2);
  EXPECT_EQ(losses[0].differing, 1);
  EXPECT_EQ(losses[1].hits, 2);
  EXPECT_EQ(losses[2].hits, 0);
}

}  // namespace
}  // namespace cachectl::decision
