#include "data/transform.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "base/random.h"
#include "files.h"

namespace cachectl::data {
namespace {

using test::failure;
using testing::HasSubstr;

at::Tensor pattern(std::int64_t height, std::int64_t width) {
  at::Tensor image = at::empty({1, height, width}, at::kByte);
  for (std::int64_t i = 0; i < height * width; ++i) {
    image.data_ptr<std::uint8_t>()[i] =
        static_cast<std::uint8_t>((i % width * 37 + i / width * 101 + 53) % 256);
  }
  return image;
}

std::vector<int> values(const at::Tensor& image) {
  std::vector<int> list;
  for (std::int64_t i = 0; i < image.numel(); ++i)
    list.push_back(image.data_ptr<std::uint8_t>()[i]);
  return list;
}

// The numbers are torchvision's Resize(antialias=True) of the same pattern in float32.
TEST(Resize, EqualsTorchvisionsAntialiasedBilinear) {
  const struct {
    std::int64_t height, width, to_height, to_width;
    std::vector<float> expected;
  } cases[] = {
      {5,
       7,
       3,
       4,
       {115.667F, 142.526F, 131.611F, 112.565F, 149.767F, 116.92F, 132.662F, 147.439F, 170.129F,
        117.646F, 134.526F, 109.558F}},
      {5,
       7,
       2,
       7,
       {142.364F, 121.182F, 158.182F, 90.455F, 127.455F, 152.818F, 108.364F, 169.818F, 148.636F,
        104.182F, 129.545F, 166.545F, 98.818F, 135.818F}},
      {4, 4, 6, 8, {53.0F,    62.25F,   80.75F,   99.25F,   117.75F,  136.25F,  154.75F, 164.0F,
                    103.5F,   112.75F,  131.25F,  149.75F,  168.25F,  154.75F,  109.25F, 86.5F,
                    170.833F, 169.417F, 166.583F, 174.417F, 192.917F, 158.083F, 69.917F, 25.833F,
                    238.167F, 194.083F, 105.917F, 71.083F,  89.583F,  97.417F,  94.583F, 93.167F,
                    177.5F,   154.75F,  109.25F,  95.75F,   114.25F,  132.75F,  151.25F, 160.5F,
                    100.0F,   109.25F,  127.75F,  146.25F,  164.75F,  183.25F,  201.75F, 211.0F}},
      {9, 9, 2, 2, {131.785F, 121.147F, 128.282F, 127.598F}},
  };
  for (const auto& [height, width, to_height, to_width, expected] : cases) {
    const at::Tensor image = pattern(height, width);
    const at::Tensor as_float = resize(image.to(at::kFloat), to_height, to_width);
    const at::Tensor as_bytes = resize(image, to_height, to_width);
    ASSERT_EQ(as_float.numel(), static_cast<std::int64_t>(expected.size()));
    ASSERT_EQ(as_bytes.scalar_type(), at::kByte);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(as_float.data_ptr<float>()[i], expected[i], 2e-3) << i;
      EXPECT_NEAR(as_bytes.data_ptr<std::uint8_t>()[i], expected[i], 0.5 + 2e-3) << i;
    }
  }
}

TEST(Resize, KeepsAFlatImageFlatAndTheMeanOfAShrunkOne) {
  EXPECT_TRUE(resize(at::full({3, 37, 23}, 200, at::kByte), 11, 50).eq(200).all().item<bool>());
  const at::Tensor noise = at::rand({2, 64, 96});
  EXPECT_NEAR(resize(noise, 8, 12).mean().item<float>(), noise.mean().item<float>(), 0.02);
}

// The numbers are torchvision's CenterCrop of the same patterns, padding included.
TEST(CenterCrop, EqualsTorchvisions) {
  EXPECT_EQ(values(center_crop(pattern(5, 6), 2, 3)),
            (std::vector<int>{73, 110, 147, 174, 211, 248}));
  EXPECT_EQ(values(center_crop(pattern(5, 6), 3, 3)),
            (std::vector<int>{228, 9, 46, 73, 110, 147, 174, 211, 248}));
  EXPECT_EQ(values(center_crop(pattern(2, 3), 4, 4)),
            (std::vector<int>{0, 0, 0, 0, 53, 90, 127, 0, 154, 191, 228, 0, 0, 0, 0, 0}));
  EXPECT_EQ(values(center_crop(pattern(2, 3), 5, 2)),
            (std::vector<int>{0, 0, 53, 90, 154, 191, 0, 0, 0, 0}));
}

TEST(Transform, BringsTheShorterSideToSizeAndKeepsTheRatio) {
  Options options;
  options.transform = {"resize 256"};
  const Transform shorter(options);
  EXPECT_EQ(shorter(at::zeros({3, 500, 375}, at::kByte)).sizes().vec(),
            (std::vector<std::int64_t>{3, 341, 256}));
  EXPECT_EQ(shorter(at::zeros({3, 333, 500}, at::kByte)).sizes().vec(),
            (std::vector<std::int64_t>{3, 256, 384}));
  options.transform = {"resize 40 30", "center_crop 20"};
  EXPECT_EQ(Transform(options)(at::zeros({3, 333, 500}, at::kByte)).sizes().vec(),
            (std::vector<std::int64_t>{3, 20, 20}));
}

TEST(Transform, ScalesBytesToOneAndNormalisesByChannel) {
  Options options;
  options.mean = {0.5, 0.25, 0};
  options.std = {0.5, 0.25, 2};
  const at::Tensor raw = at::tensor({0, 255, 51}, at::kByte).reshape({3, 1, 1});
  const at::Tensor input = Transform(options)(raw);
  EXPECT_FLOAT_EQ(input[0].item<float>(), -1);
  EXPECT_FLOAT_EQ(input[1].item<float>(), 3);
  EXPECT_FLOAT_EQ(input[2].item<float>(), 0.1F);
}

TEST(Transform, LeavesTheScaleOfOtherDtypes) {
  for (const auto dtype : {at::kFloat, at::kDouble, at::kHalf, at::kLong, at::kInt}) {
    const at::Tensor input = Transform()(at::tensor({3, -4, 250}, at::kInt).to(dtype));
    EXPECT_EQ(input.scalar_type(), at::kFloat);
    EXPECT_TRUE(input.equal(at::tensor({3, -4, 250}, at::kFloat)));
  }
}

TEST(Transform, KeepsTheStoredDtypeWhenAsked) {
  Options options;
  options.dtype = "stored";
  const at::Tensor tokens = at::tensor({3, 40000, 7}, at::kLong);
  const Transform transform(options);
  EXPECT_TRUE(transform(tokens).equal(tokens));
  EXPECT_TRUE(Transform::parse(transform.text())(tokens).equal(tokens));
  options.mean = {1};
  EXPECT_THAT(failure([&] { Transform{options}; }), HasSubstr("mean and std need float32"));
}

TEST(Transform, SurvivesTheWayThroughItsText) {
  Options options;
  options.transform = {"resize 8", "center_crop 5 6"};
  options.mean = {0.485, 0.456, 0.406};
  options.std = {0.229};
  const Transform transform(options), again = Transform::parse(transform.text());
  EXPECT_EQ(transform.text(), "resize 8, center_crop 5 6, mean 0.485 0.456 0.406, std 0.229");
  EXPECT_EQ(again.text(), transform.text());
  const at::Tensor raw = at::randint(0, 255, {3, 9, 12}).to(at::kByte);
  EXPECT_TRUE(again(raw).equal(transform(raw)));
  EXPECT_EQ(Transform::parse("").text(), "");
}

TEST(Transform, RefusesStepsThatCantBe) {
  const auto refusal = [](std::vector<std::string> steps) {
    Options options;
    options.transform = std::move(steps);
    return failure([&] { Transform transform(options); });
  };
  EXPECT_THAT(refusal({"resise 32"}), HasSubstr("did you mean 'resize'"));
  EXPECT_THAT(refusal({"resize"}), HasSubstr("expected 'resize SIDE'"));
  EXPECT_THAT(refusal({"resize 0"}), HasSubstr("'0': expected a side"));
  EXPECT_THAT(refusal({"resize 9999999"}), HasSubstr("expected a side in pixels from 1 to 16384"));
  EXPECT_THAT(refusal({"center_crop 3 4 5"}), HasSubstr("HEIGHT WIDTH"));
  EXPECT_THAT(refusal({"center_crop 3x"}), HasSubstr("'3x'"));
  EXPECT_EQ(refusal({"resize 4", "center_crop 3"}), "");
}

TEST(Transform, RefusesSamplesThatItDoesNotFit) {
  Options options;
  options.mean = {0.1, 0.2};
  EXPECT_THAT(failure([&] {
                Transform{options}(at::zeros({3, 2, 2}, at::kByte));
              }),
              HasSubstr("data.mean: 2 values for samples of 3 channels"));
  Options other;
  other.transform = {"resize 4"};
  EXPECT_THAT(failure([&] { Transform{other}(at::zeros({7})); }),
              HasSubstr("resize asks for images [channels, height, width], the samples are 7"));
  other.transform = {"resize 16384"};
  EXPECT_THAT(failure([&] {
                Transform{other}(at::zeros({3, 2, 200}, at::kByte));
              }),
              HasSubstr("would make a 2x200 image"));
  other.std = {0.0};
  EXPECT_THAT(failure([&] { Transform transform(other); }), HasSubstr("data.std: 0"));
}

}  // namespace
}  // namespace cachectl::data
