#include "data/synthetic.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "data/figure.h"

namespace cachectl::data {
namespace {

Options drawn(const std::string& part, std::int64_t samples) {
  Options options;
  options.part = part;
  options.samples = samples;
  return options;
}

TEST(Synthetic, IsTheSameAtEveryReadingAndOfAnyLength) {
  const Synthetic some(drawn("train", 20)), more(drawn("train", 200));
  ASSERT_EQ(more.size(), 200);
  for (std::int64_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(some.read(i).equal(more.read(i)));
    EXPECT_TRUE(some.read(i).equal(some.read(i)));
    EXPECT_EQ(some.id(i), more.id(i));
  }
  EXPECT_EQ(some.read(0).scalar_type(), at::kByte);
  EXPECT_EQ(some.read(0).sizes().vec(), (std::vector<std::int64_t>{3, 32, 32}));
}

TEST(Synthetic, PartsAndSeedsShareNoSample) {
  Options other_seed = drawn("train", 3000);
  other_seed.synthetic_seed = 7;
  std::set<std::uint64_t> ids;
  for (const auto& options : {drawn("train", 3000), drawn("inference", 3000), other_seed}) {
    const Synthetic set(options);
    ids.insert(set.ids().begin(), set.ids().end());
  }
  EXPECT_EQ(ids.size(), 9000U);
  EXPECT_FALSE(
      Synthetic(drawn("train", 1)).read(0).equal(Synthetic(drawn("inference", 1)).read(0)));
}

TEST(Synthetic, OptionsThatChangeTheImagesChangeTheHash) {
  Options options = drawn("train", 5);
  const std::string hash = Synthetic(options).content_hash();
  EXPECT_EQ(Synthetic(options).content_hash(), hash);
  options.image_size = 48;
  EXPECT_NE(Synthetic(options).content_hash(), hash);
  options.image_size = 32;
  options.difficulty = 0.5;
  EXPECT_NE(Synthetic(options).content_hash(), hash);
}

TEST(Synthetic, ClassesAreEvenlyDrawn) {
  const Options options = drawn("inference", 20000);
  std::vector<int> counts(10);
  for (std::int64_t i = 0; i < options.samples; ++i) {
    ++counts.at(static_cast<std::size_t>(synthetic_class(options, i)));
  }
  for (const int count : counts) EXPECT_NEAR(count, 2000, 5 * 43);  // five standard deviations
}

TEST(Synthetic, DifficultyFillsItsRangeAndScales) {
  Options options = drawn("inference", 5000);
  double least = 1, most = 0;
  for (std::int64_t i = 0; i < options.samples; ++i) {
    least = std::min(least, synthetic_difficulty(options, i));
    most = std::max(most, synthetic_difficulty(options, i));
  }
  EXPECT_LT(least, 0.01);
  EXPECT_GT(most, 0.99);
  EXPECT_LE(most, 1);
  const double one = synthetic_difficulty(options, 3);
  options.difficulty = 2;
  EXPECT_DOUBLE_EQ(synthetic_difficulty(options, 3), 2 * one);
}

// The clean figures of one class look alike in outline, and unlike those of the others: the
// nearest mean outline tells most of them apart, though no colour does.
TEST(Synthetic, EasySamplesShowTheirClass) {
  Options options = drawn("train", 3000);
  options.difficulty = 0;
  const Synthetic set(options);
  const auto outline = [&](std::int64_t i) {
    const at::Tensor image = set.read(i).to(at::kFloat);
    // The distance of each pixel from the corner's colour, scaled to 0..1.
    const at::Tensor away = (image - image.narrow(1, 0, 1).narrow(2, 0, 1)).norm(2, {0});
    return away / away.max().clamp_min(1);
  };
  std::vector<at::Tensor> means;
  for (int i = 0; i < 10; ++i) means.push_back(at::zeros({32, 32}));
  for (std::int64_t i = 0; i < 2500; ++i) {
    means[static_cast<std::size_t>(synthetic_class(options, i))] += outline(i) / 250;
  }
  int right = 0;
  for (std::int64_t i = 2500; i < 3000; ++i) {
    const at::Tensor own = outline(i);
    const auto nearest = std::min_element(means.begin(), means.end(), [&](auto& a, auto& b) {
      return (a - own).norm().template item<float>() < (b - own).norm().template item<float>();
    });
    right += nearest - means.begin() == synthetic_class(options, i);
  }
  EXPECT_GT(right, 425);  // of 500
}

TEST(Synthetic, DrawsAtEverySizeAndDifficulty) {
  for (const std::int64_t size : {16, 33, 128}) {
    for (const double difficulty : {0.0, 1.0, 2.0}) {
      Options options = drawn("train", 30);
      options.image_size = size;
      options.difficulty = difficulty;
      const Synthetic set(options);
      for (std::int64_t i = 0; i < 30; ++i) {
        const at::Tensor image = set.read(i);
        ASSERT_EQ(image.sizes().vec(), (std::vector<std::int64_t>{3, size, size}));
        EXPECT_GT(image.to(at::kFloat).std().item<float>(), 2) << "a flat image";
      }
    }
  }
}

// Areas by their formulas, against the sum of the pixels' coverage.
TEST(Figures, CoverTheirArea) {
  const auto area = [](FigureKind kind, float angle) {
    const Coverage coverage({kind, 64, 64, 40, angle, 1});
    double sum = 0;
    for (int y = 0; y < 128; ++y) {
      for (int x = 0; x < 128; ++x) {
        sum += coverage(static_cast<float>(x), static_cast<float>(y));
      }
    }
    return sum / (40.0 * 40.0);
  };
  for (const float angle : {0.0F, 0.4F}) {
    EXPECT_NEAR(area(FigureKind::kDisc, angle), 3.14159 * 0.95 * 0.95, 0.02);
    EXPECT_NEAR(area(FigureKind::kRing, angle), 3.14159 * (1 - 0.25), 0.02);
    EXPECT_NEAR(area(FigureKind::kSquare, angle), 1.7 * 1.7, 0.02);
    EXPECT_NEAR(area(FigureKind::kTriangle, angle), 3 * 1.7320508 * 0.55 * 0.55, 0.02);
    EXPECT_NEAR(area(FigureKind::kCross, angle), 2 * (2 * 0.64) - 0.64 * 0.64, 0.02);
    EXPECT_NEAR(area(FigureKind::kSpots, angle), 3.14159 * 0.22 * 0.22 * 9,
                0.1);  // 3 x 3 in the disc
  }
}

}  // namespace
}  // namespace cachectl::data
