#include "data/augment.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "files.h"

namespace cachectl::data {
namespace {

AugmentDraw shifted(std::int64_t down, std::int64_t right, bool flip = false) {
  AugmentDraw draw;
  draw.down = down;
  draw.right = right;
  draw.flip = flip;
  return draw;
}

TEST(Augment, FlipMirrorsLeftAndRight) {
  const at::Tensor image = at::arange(12, at::kFloat).reshape({1, 1, 3, 4});
  EXPECT_TRUE(flip_and_shift(image, {shifted(0, 0, true)}).equal(image.flip({3})));
}

// Against ATen's own reflection padding: a shift is a window of the padded image.
TEST(Augment, ShiftsWithReflectedBorders) {
  const at::Tensor image = at::arange(2 * 5 * 6, at::kFloat).reshape({1, 2, 5, 6});
  const at::Tensor padded = at::reflection_pad2d(image, {3, 3, 3, 3});
  for (int down = -3; down <= 3; ++down) {
    for (int right = -3; right <= 3; ++right) {
      const at::Tensor window = padded.narrow(2, 3 - down, 5).narrow(3, 3 - right, 6);
      EXPECT_TRUE(flip_and_shift(image, {shifted(down, right)}).equal(window)) << down << right;
      const at::Tensor flipped = at::reflection_pad2d(image.flip({3}), {3, 3, 3, 3})
                                     .narrow(2, 3 - down, 5)
                                     .narrow(3, 3 - right, 6);
      EXPECT_TRUE(flip_and_shift(image, {shifted(down, right, true)}).equal(flipped));
    }
  }
}

TEST(Augment, MixesByWeight) {
  const at::Tensor a = at::rand({3, 2, 4}), b = at::rand({3, 2, 4});
  const at::Tensor mixed = mix(a, b, {1, 0, 0.25});
  EXPECT_TRUE(mixed[0].equal(a[0]));
  EXPECT_TRUE(mixed[1].equal(b[1]));
  EXPECT_TRUE(at::allclose(mixed[2], 0.25 * a[2] + 0.75 * b[2]));
}

TEST(Augment, DrawsDependOnSeedViewAndSampleAlone) {
  AugmentOptions options;
  options.flip = true;
  options.shift = 4;
  options.mixup = 0.4;
  const AugmentDraw first = draw_augmentation(options, 1, 2, 3, 100);
  const AugmentDraw again = draw_augmentation(options, 1, 2, 3, 100);
  EXPECT_EQ(first.down, again.down);
  EXPECT_EQ(first.weight, again.weight);
  options.mixup = 0;  // leaves flip and shift as they were
  const AugmentDraw without = draw_augmentation(options, 1, 2, 3, 100);
  EXPECT_EQ(first.flip, without.flip);
  EXPECT_EQ(first.down, without.down);
  EXPECT_EQ(first.right, without.right);
  EXPECT_EQ(without.partner, -1);
  EXPECT_EQ(without.weight, 1);
}

TEST(Augment, DrawsCoverTheirRangesEvenly) {
  AugmentOptions options;
  options.flip = true;
  options.shift = 2;
  options.mixup = 0.3;
  options.mixup_share = 0.5;
  constexpr int kDraws = 20000;
  int flips = 0, mixed = 0;
  std::vector<int> down(5), partners(7);
  double sum = 0, squares = 0;
  for (std::uint64_t id = 0; id < kDraws; ++id) {
    const AugmentDraw draw = draw_augmentation(options, 9, 0, id, 7);
    flips += draw.flip;
    ++down.at(static_cast<std::size_t>(draw.down + 2));
    ASSERT_LE(std::abs(draw.right), 2);
    if (draw.partner < 0) continue;
    ++mixed;
    ++partners.at(static_cast<std::size_t>(draw.partner));
    ASSERT_GE(draw.weight, 0);
    ASSERT_LE(draw.weight, 1);
    sum += draw.weight;
    squares += draw.weight * draw.weight;
  }
  // Five standard deviations of a binomial count.
  EXPECT_NEAR(flips, kDraws / 2, 5 * std::sqrt(kDraws * 0.25));
  EXPECT_NEAR(mixed, kDraws / 2, 5 * std::sqrt(kDraws * 0.25));
  for (const int count : down) EXPECT_NEAR(count, kDraws / 5, 5 * std::sqrt(kDraws * 0.16));
  for (const int count : partners) EXPECT_NEAR(count, mixed / 7.0, 5 * std::sqrt(mixed / 7.0));
  // Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)).
  const double mean = sum / mixed;
  EXPECT_NEAR(mean, 0.5, 0.02);
  EXPECT_NEAR(squares / mixed - mean * mean, 1 / (4 * (2 * 0.3 + 1)), 0.01);
}

TEST(Augment, APatchComesFromThePartner) {
  const at::Tensor own = at::zeros({2, 8, 10}), other = at::ones({2, 8, 10});
  const at::Tensor pasted = paste(own, other, {0.25, 0.75, 0.5, 1});
  EXPECT_EQ(pasted.sum().item<float>(), 2 * 4 * 5);
  EXPECT_EQ(pasted.narrow(1, 2, 4).narrow(2, 5, 5).min().item<float>(), 1);
  EXPECT_EQ(own.sum().item<float>(), 0) << "the input itself stays";
  EXPECT_TRUE(paste(own, other, {0.3, 0.3, 0, 1}).equal(own));
  EXPECT_TRUE(paste(own, other, {0, 1, 0, 1}).equal(other));
  EXPECT_NE(test::failure([&] {
              paste(own[0], other[0], {0, 1, 0, 1});
            }).find("cutmix asks for"),
            std::string::npos);
}

TEST(Augment, PatchesLieInTheImageAndLeaveOtherDrawsAsTheyWere) {
  AugmentOptions options;
  options.shift = 3;
  options.mixup = 1;
  options.mixup_share = 0.5;
  AugmentOptions cut = options;
  cut.cutmix = 0.4;
  constexpr int kDraws = 20000;
  int patches = 0, mixed = 0;
  double area = 0;
  for (std::uint64_t id = 0; id < kDraws; ++id) {
    const AugmentDraw before = draw_augmentation(options, 9, 0, id, 7);
    const AugmentDraw draw = draw_augmentation(cut, 9, 0, id, 7);
    ASSERT_EQ(draw.down, before.down);
    ASSERT_EQ(draw.right, before.right);
    if (!draw.patch) {
      mixed += draw.partner >= 0 ? 1 : 0;
      ASSERT_EQ(draw.partner, before.partner);
      ASSERT_EQ(draw.weight, before.weight);
      continue;
    }
    ++patches;
    ASSERT_GE(draw.patch->top, 0);
    ASSERT_LE(draw.patch->top, draw.patch->bottom);
    ASSERT_LE(draw.patch->bottom, 1);
    ASSERT_GE(draw.patch->left, 0);
    ASSERT_LE(draw.patch->left, draw.patch->right);
    ASSERT_LE(draw.patch->right, 1);
    ASSERT_EQ(draw.weight, 1 - draw.patch->area());
    area += draw.patch->area();
  }
  EXPECT_NEAR(patches, 0.4 * kDraws, 5 * std::sqrt(kDraws * 0.24));
  EXPECT_NEAR(mixed, 0.3 * kDraws, 5 * std::sqrt(kDraws * 0.21));
  // A side of s has s - s^2 / 4 inside on average; both sides' product, over a uniform s^2.
  EXPECT_NEAR(area / patches, 1.0 / 2 - (2.0 / 5) / 2 + (1.0 / 3) / 16, 0.02);
}

TEST(Augment, RefusesWhatIsNoImageOrTooSmall) {
  EXPECT_NE(test::failure([] {
              flip_and_shift(at::zeros({2, 5}), {{}, {}});
            }).find("ask for images"),
            std::string::npos);
  EXPECT_NE(test::failure([] {
              flip_and_shift(at::zeros({1, 1, 3, 3}), {shifted(3, 0)});
            }).find("a shift by 3 pixels in an image of 3x3"),
            std::string::npos);
}

}  // namespace
}  // namespace cachectl::data
