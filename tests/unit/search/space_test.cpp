#include "search/space.h"

#include <gtest/gtest.h>

#include <set>

#include "support/expect_error.h"

namespace cachectl::search {
namespace {

using model::Architecture;

TEST(Space, DrawsWhatFitsTheLayerAndItsCost) {
  Space wide;
  wide.name = "wide";
  const double behind = 2e8;
  for (const model::Sizes& shape : {model::Sizes{16, 32, 32}, {64, 3, 3}, {197, 64}, {512}}) {
    const LayerSpace space(wide, shape, 10, behind);
    Rng rng(1);
    std::set<std::string> seen;
    for (int i = 0; i < 200; ++i) {
      const auto architecture = space.draw(rng);
      EXPECT_TRUE(space.contains(architecture)) << architecture.text();
      EXPECT_LE(model::head_cost(architecture, shape, 10).flops(), 0.1 * behind);
      seen.insert(architecture.text());
    }
    EXPECT_GT(seen.size(), 10U) << shape.size();
  }
}

// One of 700 draws fits, and 2,000 are tried for each: some find nothing.
TEST(Space, GivesWhatIsKnownToFitWhereDrawsFindNothing) {
  Space narrow;
  narrow.max_linear = 1;
  narrow.max_macs = 900;
  for (std::int64_t unit = 1000; unit < 1349; ++unit) narrow.units.push_back(unit);
  narrow.units.push_back(1);
  const LayerSpace space(narrow, {512}, 10, 1e12);
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed);
    EXPECT_EQ(space.draw(rng).text(), "fc1");
  }
}

TEST(Space, ThePapersHasUpToTwoConvolutionsAndTwoLinearLayers) {
  const LayerSpace space(Space(), {16, 32, 32}, 10, 1e12);
  Rng rng(2);
  std::set<std::int64_t> kernels, strides, channels, units;
  for (int i = 0; i < 2000; ++i) {
    std::size_t convolutions = 0, linear = 0;
    for (const auto& layer : space.draw(rng).layers) {
      if (layer.kind == model::HeadLayer::Kind::kConvolution) {
        ++convolutions;
        kernels.insert(layer.kernel);
        strides.insert(layer.stride);
        channels.insert(layer.width);
      } else {
        ASSERT_EQ(layer.kind, model::HeadLayer::Kind::kLinear);
        ++linear;
        units.insert(layer.width);
      }
    }
    EXPECT_LE(convolutions, 2U);
    EXPECT_LE(linear, 2U);
  }
  EXPECT_EQ(kernels, (std::set<std::int64_t>{1, 3, 5}));
  EXPECT_EQ(strides, (std::set<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(channels, (std::set<std::int64_t>{32, 64}));
  EXPECT_EQ(units, (std::set<std::int64_t>{32, 64, 128, 256, 512, 1024, 2048}));
}

TEST(Space, AMutationDiffersFromItsParentAndStaysInside) {
  Space wide;
  wide.name = "wide";
  const LayerSpace space(wide, {32, 16, 16}, 10, 2e8);
  Rng rng(4);
  Architecture parent;
  for (int i = 0; i < 300; ++i) {
    const auto child = space.mutate(parent, rng);
    EXPECT_NE(child, parent);
    EXPECT_TRUE(space.contains(child)) << child.text();
    parent = child;
  }
}

TEST(Space, LeavesOutFirstArchitecturesThatDontFitAndSaysWhy) {
  Space space;
  space.first = {{"a", "conv3x3-64, pool2"}, {"b", "pool4"}, {"c", "fc32"}};
  const LayerSpace small(space, {64, 2, 2}, 10, 1e6);
  ASSERT_EQ(small.first().size(), 1U);
  EXPECT_EQ(small.first()[0].text(), "fc32");
  ASSERT_EQ(small.refused().size(), 2U);
  EXPECT_NE(small.refused()[0].find("FLOPs, at most"), std::string::npos);
  EXPECT_NE(small.refused()[1].find("only 2x2"), std::string::npos);
}

TEST(Space, ALayerMayHaveALimitOfItsOwn) {
  Space space;
  space.max_macs = 5000000;
  space.layer_max_macs = {{"layer2", "1000000"}, {"layer3", "0"}, {"layer4", "1e6"}};
  EXPECT_EQ(space_of(space, "layer1").max_macs, 5000000);
  EXPECT_EQ(space_of(space, "layer2").max_macs, 1000000);
  EXPECT_EQ(space_of(space, "layer3").max_macs, 0);
  EXPECT_THROW(space_of(space, "layer4"), Error);
  const LayerSpace narrow(space_of(space, "layer2"), {16, 32, 32}, 10, 1e12);
  Rng rng(1);
  for (int i = 0; i < 50; ++i) {
    EXPECT_LE(model::head_cost(narrow.draw(rng), {16, 32, 32}, 10).macs, 1000000);
  }
}

TEST(Space, RefusesWhatCantBe) {
  Space space;
  space.kernels = {4};
  expect_error([&] { LayerSpace(space, {4, 8, 8}, 10, 1e9); }, ExitCode::kUsage, "4 is even");
  space = {};
  space.pools = {"fc3"};
  expect_error([&] { LayerSpace(space, {4, 8, 8}, 10, 1e9); }, ExitCode::kUsage, "'fc3'");
  space = {};
  space.first = {{"a", "conv3x3-"}};
  expect_error([&] { LayerSpace(space, {4, 8, 8}, 10, 1e9); }, ExitCode::kUsage, "'conv3x3-'");
  space = {};
  expect_error(
      [&] {
        LayerSpace(space, {4, 8, 8}, 10, 10);
      },
      ExitCode::kNothingProcessed, "raise search.max_cost");
  space.max_macs = 5;
  expect_error(
      [&] {
        LayerSpace(space, {4, 8, 8}, 10, 1e9);
      },
      ExitCode::kNothingProcessed, "raise search.max_macs or layer_max_macs");
}

}  // namespace
}  // namespace cachectl::search
