#include "model/architecture.h"

#include <gtest/gtest.h>

#include <unordered_set>

#include "support/expect_error.h"

namespace cachectl::model {
namespace {

TEST(Architecture, PrintsWhatItParses) {
  for (const char* text :
       {"linear", "conv3x3/2-64, pool2, fc128", "dwconv5x5-32, mean", "res3x3, maxpool3, attention",
        "conv1x1-16, conv3x3/3-128, fc32, fc2048"}) {
    EXPECT_EQ(Architecture::parse(text).text(), text);
  }
  EXPECT_EQ(Architecture::parse("  conv3x3/2-64,pool2 ,fc 128 ").text(),
            "conv3x3/2-64, pool2, fc128");
  EXPECT_EQ(Architecture::parse("conv3x3/1-64").text(), "conv3x3-64");
}

TEST(Architecture, IsAValueThatHashesByContent) {
  const auto a = Architecture::parse("conv3x3/2-64, fc128");
  EXPECT_EQ(a, Architecture::parse("conv3x3/2-64,fc128"));
  std::unordered_set<Architecture> seen;
  for (const char* text : {"conv3x3/2-64, fc128", "conv3x3/2-64, fc64", "fc128, conv3x3/2-64",
                           "conv3x3-64, fc128", "linear", "conv3x3/2-64,fc128"}) {
    seen.insert(Architecture::parse(text));
  }
  EXPECT_EQ(seen.size(), 5U);
}

TEST(Architecture, RefusesWhatIsNoLayerAndNamesTheWord) {
  const auto refuses = [](const char* text, const char* part) {
    expect_error([&] { Architecture::parse(text); }, ExitCode::kUsage, part);
  };
  refuses("conv3x3-64, pol2", "'pol2'");
  refuses("conv4x4-64", "must be odd");
  refuses("conv3x5-64", "square");
  refuses("conv3x3-0", "number of channels is 0");
  refuses("conv3x3/-64", "'conv3x3/-64'");
  refuses("conv3x3/2", "'conv3x3/2'");
  refuses("pool1", "window is 1");
  refuses("fc", "'fc'");
  refuses("fc99999999999999999999", "'fc99999999999999999999'");
  refuses("fc128x", "'fc128x'");
  refuses("fc128,,fc2", "empty layer");
  refuses("", "empty layer");
}

TEST(Architecture, RefusesShapesItCannotBeBuiltOn) {
  const auto refuses = [](const char* text, const Sizes& shape, const char* part) {
    expect_error([&] { layer_sizes(Architecture::parse(text), shape); }, ExitCode::kUsage, part);
  };
  refuses("fc128, conv3x3-64", {16, 8, 8}, "conv3x3-64: needs a map");
  refuses("conv3x3-64", {197, 192}, "197x192");
  refuses("conv3x3/2-8, pool4", {16, 6, 6}, "only 3x3");
  refuses("mean, mean", {16, 6, 6}, "nothing to average");
  refuses("linear", {1, 2, 3, 4}, "1x2x3x4");
  refuses("linear", {}, "scalar");
}

TEST(Architecture, SizesFollowEachLayer) {
  const auto sizes = layer_sizes(Architecture::parse("conv3x3/2-64, pool2, fc128"), {16, 31, 32});
  EXPECT_EQ(sizes, (std::vector<Sizes>{{16, 31, 32}, {64, 16, 16}, {64, 8, 8}, {128}, {128}}));
  EXPECT_EQ(layer_sizes(Architecture::parse("attention"), {197, 192}).back(), (Sizes{192}));
  EXPECT_EQ(layer_sizes(Architecture::parse("mean"), {64, 7, 5}).back(), (Sizes{64}));
}

// Multiply-accumulates counted one by one, from the definition of each operation; those
// that fall on a convolution's padding count too, as is usual.
std::int64_t count_macs(const Architecture& architecture, Sizes shape, std::int64_t classes) {
  std::int64_t macs = 0;
  const auto windows = [&](std::int64_t outs, std::int64_t ins, std::int64_t kernel,
                           std::int64_t stride) {
    std::int64_t high = 0, wide = 0;
    const std::int64_t pad = kernel / 2;
    for (std::int64_t y = -pad; y + kernel <= shape[1] + pad; y += stride) {
      ++high;
      wide = 0;
      for (std::int64_t x = -pad; x + kernel <= shape[2] + pad; x += stride) {
        ++wide;
        for (std::int64_t o = 0; o < outs; ++o) {
          for (std::int64_t i = 0; i < ins; ++i) macs += kernel * kernel;
        }
      }
    }
    shape = {shape[0], high, wide};
  };
  const auto flat = [&] {
    std::int64_t count = 1;
    for (const auto size : shape) count *= size;
    return count;
  };
  for (const auto& layer : architecture.layers) {
    switch (layer.kind) {
      case HeadLayer::Kind::kConvolution:
        windows(layer.width, shape[0], layer.kernel, layer.stride);
        shape[0] = layer.width;
        break;
      case HeadLayer::Kind::kResidual:
        windows(shape[0], shape[0], layer.kernel, 1);
        break;
      case HeadLayer::Kind::kDepthwise:
        windows(shape[0], 1, layer.kernel, layer.stride);
        windows(layer.width, shape[0], 1, 1);
        shape[0] = layer.width;
        break;
      case HeadLayer::Kind::kPool:
      case HeadLayer::Kind::kMaxPool:
        shape = {shape[0], shape[1] / layer.kernel, shape[2] / layer.kernel};
        break;
      case HeadLayer::Kind::kMean:
        shape = {shape.size() == 3 ? shape[0] : shape[1]};
        break;
      case HeadLayer::Kind::kAttention:
        macs += 2 * flat();
        shape = {shape.size() == 3 ? shape[0] : shape[1]};
        break;
      case HeadLayer::Kind::kLinear:
        for (std::int64_t unit = 0; unit < layer.width; ++unit) macs += flat();
        shape = {layer.width};
        break;
    }
  }
  return macs + flat() * classes;
}

TEST(Architecture, MacsAreThoseOfACountOneByOne) {
  for (const char* text : {"linear", "conv3x3/2-64, pool2, fc128", "conv5x5/3-32, conv1x1/2-8",
                           "dwconv5x5/2-32, res3x3, mean", "maxpool3, attention, fc32"}) {
    for (const Sizes& shape : {Sizes{16, 32, 32}, Sizes{24, 13, 9}}) {
      const auto architecture = Architecture::parse(text);
      EXPECT_EQ(head_cost(architecture, shape, 10).macs,
                static_cast<double>(count_macs(architecture, shape, 10)))
          << text;
    }
  }
  const auto tokens = Architecture::parse("attention, fc64");
  EXPECT_EQ(head_cost(tokens, {197, 192}, 100).macs,
            static_cast<double>(count_macs(tokens, {197, 192}, 100)));
}

TEST(Architecture, MatchesThePublishedCostOfTheFixedHead) {
  // The prototype on ResNet-56: 5.9 M multiply-accumulates after block 5, 2.1 M after
  // block 12, 0.6 M after block 21.
  const auto two = Architecture::parse("conv3x3/2-64, conv3x3/2-96, pool2");
  EXPECT_NEAR(head_cost(two, {16, 32, 32}, 10).macs, 5.9e6, 5e4);
  EXPECT_NEAR(head_cost(two, {32, 16, 16}, 10).macs, 2.1e6, 5e4);
  const auto one = Architecture::parse("conv3x3/2-64, pool2");
  EXPECT_NEAR(head_cost(one, {64, 8, 8}, 10).macs, 0.6e6, 5e4);
}

}  // namespace
}  // namespace cachectl::model
