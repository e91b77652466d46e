#include "runtime/rows.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cachectl::runtime {
namespace {

Rows numbered(std::int64_t count, std::int64_t first) {
  const at::Tensor values = at::arange(first, first + count, at::kFloat);
  return rows_of(
      {values.view({count, 1}).expand({count, 4}).contiguous(), (values * 10).view({count, 1, 1})},
      first);
}

TEST(Rows, SurvivorsAreTheSameRowsOfAllLiveTensors) {
  Rows rows = numbered(5, 0);
  rows.mark_answered(0);
  rows.mark_answered(3);
  EXPECT_EQ(rows.waiting(), 3);
  EXPECT_EQ(rows.sample(3), 3);
  const Rows left = survivors(rows);
  EXPECT_THAT(left.samples, testing::ElementsAre(1, 2, 4));
  ASSERT_EQ(left.live.size(), 2u);
  EXPECT_TRUE(at::equal(left.live[0].select(1, 0), at::tensor({1.f, 2.f, 4.f})));
  EXPECT_TRUE(at::equal(left.live[1].flatten(), at::tensor({10.f, 20.f, 40.f})));
}

TEST(Rows, MergingKeepsSamplesAndLeavesOutTheAnswered) {
  Rows a = numbered(3, 0), b = numbered(2, 100);
  a.mark_answered(1);
  const Rows merged = merge({a, b});
  EXPECT_THAT(merged.samples, testing::ElementsAre(0, 2, 100, 101));
  EXPECT_TRUE(at::equal(merged.live[1].flatten(), at::tensor({0.f, 20.f, 1000.f, 1010.f})));
}

TEST(Rows, TakeThePriorAlong) {
  Rows a = numbered(3, 0), b = numbered(2, 100);
  a.prior = at::tensor({1.f, 2.f, 3.f}).unsqueeze(1);
  b.prior = at::tensor({4.f, 5.f}).unsqueeze(1);
  a.mark_answered(0);
  EXPECT_TRUE(at::equal(survivors(a).prior.flatten(), at::tensor({2.f, 3.f})));
  EXPECT_TRUE(at::equal(merge({a, b}).prior.flatten(), at::tensor({2.f, 3.f, 4.f, 5.f})));
}

TEST(Rows, MergingOnePartCopiesNothing) {
  const Rows a = numbered(3, 0);
  EXPECT_EQ(merge({a}).live[0].data_ptr<float>(), a.live[0].data_ptr<float>());
}

}  // namespace
}  // namespace cachectl::runtime
