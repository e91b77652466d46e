#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "fixtures.h"
#include "model/backbone.h"
#include "model/counting.h"

namespace cachectl::model {
namespace {

double macs_of(const std::function<at::Tensor()>& work) {
  return count_work([&] { work(); }).macs;
}

// Multiply-accumulates of a convolution by walking over all outputs, as the definition goes.
double by_walking(std::int64_t rows, std::int64_t in, std::int64_t out, std::int64_t size,
                  std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                  std::int64_t dilation, std::int64_t groups) {
  const std::int64_t side = (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
  double count = 0;
  for (std::int64_t n = 0; n < rows; ++n) {
    for (std::int64_t o = 0; o < out; ++o) {
      for (std::int64_t place = 0; place < side * side; ++place) {
        for (std::int64_t i = 0; i < in / groups; ++i)
          count += static_cast<double>(kernel * kernel);
      }
    }
  }
  return count;
}

TEST(Cost, OfConvolutionsIsThatOfTheDefinition) {
  struct Case {
    std::int64_t in, out, kernel, stride, padding, dilation, groups;
  };
  for (const Case& c :
       {Case{3, 8, 3, 1, 1, 1, 1}, Case{8, 8, 3, 2, 1, 1, 8}, Case{8, 12, 5, 1, 2, 1, 4},
        Case{4, 6, 3, 1, 2, 2, 2}, Case{6, 4, 1, 1, 0, 1, 1}}) {
    const at::Tensor x = at::randn({2, c.in, 9, 9});
    const at::Tensor w = at::randn({c.out, c.in / c.groups, c.kernel, c.kernel});
    EXPECT_EQ(
        macs_of([&] { return at::conv2d(x, w, {}, c.stride, c.padding, c.dilation, c.groups); }),
        by_walking(2, c.in, c.out, 9, c.kernel, c.stride, c.padding, c.dilation, c.groups));
  }
  // Transposed: each of the 2*6*5*5 inputs goes to 4/2 channels of its group, 3x3 places.
  EXPECT_EQ(macs_of([] {
              return at::conv_transpose2d(at::randn({2, 6, 5, 5}), at::randn({6, 2, 3, 3}), {}, 2,
                                          0, 0, 2);
            }),
            2 * 6 * 25 * 2 * 9);
}

TEST(Cost, OfProductsIsRowsTimesColumnsTimesInner) {
  const at::Tensor a = at::randn({5, 7}), b = at::randn({7, 3}), s = at::randn({4, 5, 7});
  EXPECT_EQ(macs_of([&] { return at::mm(a, b); }), 5 * 7 * 3);
  EXPECT_EQ(macs_of([&] { return at::matmul(s, b); }), 4 * 5 * 7 * 3);
  EXPECT_EQ(macs_of([&] { return at::bmm(s, s.transpose(1, 2)); }), 4 * 5 * 7 * 5);
  const at::Tensor square = at::randn({5, 5});
  EXPECT_EQ(macs_of([&] { return at::addbmm(square, s, s.transpose(1, 2)); }), 4 * 5 * 7 * 5);
  EXPECT_EQ(macs_of([&] { return at::baddbmm(square, s, s.transpose(1, 2)); }), 4 * 5 * 7 * 5);
  EXPECT_EQ(macs_of([&] { return at::linear(s, b.t(), at::randn({3})); }), 4 * 5 * 7 * 3);
  EXPECT_EQ(macs_of([&] { return at::addmm(at::randn({3}), a, b); }), 5 * 7 * 3);
  EXPECT_EQ(macs_of([&] { return at::einsum("bij,jk->bik", {s, b}); }), 4 * 5 * 7 * 3);
}

TEST(Cost, OfElementOpsIsWhatTheyRead) {
  const at::Tensor x = at::randn({2, 4, 6, 6});
  const SegmentCost cost = count_work([&] { at::relu(x); });
  EXPECT_EQ(cost.macs, 0);
  EXPECT_EQ(cost.element_ops, 2 * 4 * 36);
  EXPECT_TRUE(cost.uncounted.empty());
}

TEST(Cost, ListsOpsWithoutARule) {
  const at::Tensor x = at::randn({4, 4});
  const SegmentCost cost = count_work([&] { at::linalg_det(at::matmul(x, x)); });
  EXPECT_EQ(cost.macs, 64);
  EXPECT_FALSE(cost.uncounted.empty());
}

TEST(Cost, LiveBytesAreTheMostAtOnce) {
  const SegmentCost cost = count_work(
      [] {
        at::Tensor a = at::empty({1000}, at::kFloat);
        a = at::Tensor();
        at::Tensor b = at::empty({500}, at::kFloat), c = at::empty({700}, at::kFloat);
      },
      100);
  EXPECT_EQ(cost.live_bytes, 1200 * 4 + 100);
}

TEST(Cost, OfABackboneIsThatOfItsLayers) {
  const auto file = fixtures::residual_net();
  auto options = fixtures::options_for(file);
  options.min_share_left = 0;
  const auto backbone = Backbone::load(options, {fixtures::images(2)});
  const double block = 2 * 64 * 9 * 16 * 16;
  ASSERT_EQ(backbone->costs().size(), 6u);
  EXPECT_EQ(backbone->costs()[0].macs, 64 * 9 * 3 * 16);
  for (std::size_t i = 1; i < 5; ++i) EXPECT_EQ(backbone->costs()[i].macs, block) << i;
  EXPECT_EQ(backbone->costs()[5].macs, 160);
  EXPECT_EQ(backbone->costs()[1].parameters, 2 * 9 * 16 * 16);
  EXPECT_EQ(backbone->costs()[1].weight_bytes, 4 * 2 * 9 * 16 * 16);
  EXPECT_GE(backbone->costs()[1].live_bytes, 2 * 16 * 64 * 4);
  EXPECT_TRUE(backbone->uncounted_ops().empty());
  const Candidate& stem = backbone->candidates()[0];
  EXPECT_EQ(stem.flops_before, 2 * 64 * 9 * 3 * 16);
  EXPECT_EQ(stem.flops_after, 2 * (4 * block + 160));
}

}  // namespace
}  // namespace cachectl::model
