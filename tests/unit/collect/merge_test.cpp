#include "artifact/medial_merge.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>

#include "artifact/medial.h"
#include "small_collection.h"
#include "support/expect_error.h"

namespace cachectl::collect {
namespace {

void expect_equal(const artifact::MedialReader& a, const artifact::MedialReader& b) {
  ASSERT_EQ(a.rows().size(), b.rows().size());
  EXPECT_EQ(a.rows().ids, b.rows().ids);
  EXPECT_EQ(a.rows().views, b.rows().views);
  EXPECT_EQ(a.rows().parts, b.rows().parts);
  EXPECT_EQ(a.rows().partners, b.rows().partners);
  EXPECT_EQ(a.blocks(), b.blocks());
  std::vector<std::int64_t> rows(std::size_t(a.rows().size()));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  EXPECT_TRUE(a.pd(rows).equal(b.pd(rows)));
  for (const auto& layer : a.layers()) {
    EXPECT_TRUE(a.stored(layer.name, rows).equal(b.stored(layer.name, rows))) << layer.name;
  }
}

class EveryLayout : public testing::TestWithParam<std::tuple<const char*, int>> {
 protected:
  void collect_shards(std::int64_t count) {
    std::tie(small.options.storage, small.options.deflate) = GetParam();
    small.options.views = 1;
    small.options.augment.mixup = 1;
    for (std::int64_t i = 1; i <= count; ++i) {
      small.options.shard = fmt::format("{}/{}", i, count);
      small.record_as(fmt::format("shard{}.h5", i));
    }
    small.options.shard = "";
  }
  SmallCollection small;
};

TEST_P(EveryLayout, ShardsMergedEqualOneRun) {
  collect_shards(3);
  small.record_as("one.h5");
  // In any order: their numbers tell.
  const auto made = artifact::merge_medial(
      small.path("merged.h5"),
      {small.path("shard3.h5"), small.path("shard1.h5"), small.path("shard2.h5")},
      small.options.common);
  const artifact::MedialReader one(small.path("one.h5")), merged(small.path("merged.h5"));
  expect_equal(one, merged);
  // Also through HDF5's own virtual data sets, and with one digest.
  const io::ArtifactReader a(small.path("one.h5"), "medial"), b(small.path("merged.h5"), "medial");
  EXPECT_NO_THROW(io::verify_contents(b.root(), made.content_hash));
  for (const auto& layer : one.layers()) {
    const auto object = "layers/" + layer.name;
    EXPECT_EQ(a.root().dataset(object).text("digest"), b.root().dataset(object).text("digest"));
    EXPECT_TRUE(b.root().dataset(object).is_virtual());
  }
}

INSTANTIATE_TEST_SUITE_P(Merge, EveryLayout,
                         testing::Values(std::tuple("float16", 0), std::tuple("int8", 0),
                                         std::tuple("bfloat16", 3)));

TEST(Merge, JoinsWhatWasAppendedAndKeepsGenerationsApart) {
  SmallCollection small;
  small.record_as("old.h5");
  small.options.append = small.path("old.h5");
  small.options.data.synthetic_seed = 1;
  small.record_as("new.h5");
  artifact::merge_medial(small.path("all.h5"), {small.path("old.h5"), small.path("new.h5")},
                         small.options.common);
  const artifact::MedialReader all(small.path("all.h5"));
  EXPECT_EQ(all.rows().size(), 400);
  EXPECT_EQ(all.rows_of(data::Part::kTrain).size(), 200u);
  EXPECT_EQ(all.rows_of(data::Part::kTrain, false, 1).size(), 100u);
  EXPECT_EQ(all.sources().size(), 2u);

  // A third generation beside the merged file, which stands for its parts.
  small.options.append = small.path("all.h5");
  small.options.data.synthetic_seed = 2;
  small.record_as("newer.h5");
  artifact::merge_medial(small.path("more.h5"), {small.path("all.h5"), small.path("newer.h5")},
                         small.options.common);
  const artifact::MedialReader more(small.path("more.h5"));
  EXPECT_EQ(more.rows().size(), 600);
  EXPECT_EQ(more.sources().size(), 3u);
  EXPECT_EQ(more.rows_of(data::Part::kTest, false, 2).size(), 60u);
}

TEST(Merge, RefusesMissingShardsAndRepeatedSamples) {
  SmallCollection small;
  small.options.shard = "1/2";
  small.record_as("a.h5");
  small.options.shard = "";
  small.record_as("b.h5");
  small.record_as("c.h5");
  const auto& common = small.options.common;
  expect_error(
      [&] {
        artifact::merge_medial(small.path("m.h5"), {small.path("a.h5"), small.path("b.h5")},
                               common);
      },
      ExitCode::kUsage, "shard 2/2 is missing");
  expect_error(
      [&] {
        artifact::merge_medial(small.path("m.h5"), {small.path("b.h5"), small.path("c.h5")},
                               common);
      },
      ExitCode::kIncompatible, "collect later samples with --append");
  small.options.storage = "float32";
  small.options.data.synthetic_seed = 1;
  small.record_as("d.h5");
  expect_error(
      [&] {
        artifact::merge_medial(small.path("m.h5"), {small.path("b.h5"), small.path("d.h5")},
                               common);
      },
      ExitCode::kIncompatible, "only equal layers can be merged");
  small.options.storage = "float16";
  small.options.data.mean = {0.25};
  small.options.data.std = {0.5};
  small.record_as("e.h5");
  expect_error(
      [&] {
        artifact::merge_medial(small.path("m.h5"), {small.path("b.h5"), small.path("e.h5")},
                               common);
      },
      ExitCode::kIncompatible, "transformed by");
  small.options.data.synthetic_seed = 2;
  small.options.append = small.path("b.h5");
  expect_error([&] { small.record_as("f.h5"); }, ExitCode::kIncompatible, "transformed by");
  EXPECT_FALSE(std::filesystem::exists(small.path("m.h5")));
}

TEST(Merge, RefusesShardsOfDifferentCollections) {
  SmallCollection small;
  small.options.shard = "1/2";
  small.record_as("a.h5");
  const auto refused = [&](const char* name) {
    small.options.shard = "2/2";
    small.record_as(name);
    expect_error(
        [&] {
          artifact::merge_medial(small.path("m.h5"), {small.path("a.h5"), small.path(name)},
                                 small.options.common);
        },
        ExitCode::kIncompatible, "of different collections");
  };
  small.options.data.samples += 64;  // the folder has grown in between
  refused("grown.h5");
  small.options.data.samples -= 64;
  small.options.common.seed += 1;
  refused("other-seed.h5");
  small.options.common.seed -= 1;
  small.options.batch_size = 50;  // the shards would leave rows out
  refused("other-blocks.h5");
  small.options.batch_size = 32;
  small.options.views = 1;
  refused("other-views.h5");
  small.options.views = 0;
  small.options.split.validation += small.options.split.test / 2;
  small.options.split.test /= 2;
  refused("other-split.h5");
}

// As `seq -w` writes them.
TEST(Merge, TakesNumbersWithZerosInFront) {
  SmallCollection small;
  for (const char* shard : {"01/2", "02/2"}) {
    small.options.shard = shard;
    small.record_as(std::string("part") + shard[1] + ".h5");
  }
  artifact::merge_medial(small.path("m.h5"), {small.path("part2.h5"), small.path("part1.h5")},
                         small.options.common);
  EXPECT_EQ(artifact::MedialReader(small.path("m.h5")).rows().size(), 200);
}

TEST(Merge, JoinsWhatWasAppendedInAsManyShards) {
  SmallCollection small;
  const auto in_shards = [&](const std::string& name) {
    std::vector<std::string> parts;
    for (const char* shard : {"1/2", "2/2"}) {
      small.options.shard = shard;
      parts.push_back(small.path(name + shard[0] + ".h5"));
      small.record_as(name + shard[0] + ".h5");
    }
    small.options.shard = "";
    return parts;
  };
  const auto old = in_shards("old");
  artifact::merge_medial(small.path("base.h5"), old, small.options.common);
  small.options.append = small.path("base.h5");
  small.options.data.synthetic_seed = 1;
  const auto later = in_shards("new");
  artifact::merge_medial(small.path("all.h5"), {small.path("base.h5"), later[1], later[0]},
                         small.options.common);
  const artifact::MedialReader all(small.path("all.h5"));
  EXPECT_EQ(all.rows().size(), 400);
  EXPECT_EQ(all.rows_of(data::Part::kTrain, false, 1).size(), 100u);
  EXPECT_EQ(all.sources(), (std::vector<std::string>{old[0], old[1], later[0], later[1]}));
}

// A collection may be appended to for years.
TEST(Merge, ProvenanceGrowsByWhatWasAppendedAlone) {
  SmallCollection small;
  small.options.data.samples = 40;
  small.record_as("all0.h5");
  std::vector<std::size_t> sizes;
  for (int i = 1; i <= 18; ++i) {
    const auto before = small.path(fmt::format("all{}.h5", i - 1));
    small.options.append = before;
    small.options.data.synthetic_seed = i;
    small.record_as(fmt::format("new{}.h5", i));
    const auto made = artifact::merge_medial(small.path(fmt::format("all{}.h5", i)),
                                             {before, small.path(fmt::format("new{}.h5", i))},
                                             small.options.common);
    sizes.push_back(made.json().size());
  }
  EXPECT_LT(sizes.back() - sizes[8], 1.2 * static_cast<double>(sizes[9] - sizes[0]));
}

TEST(Merge, SaysWhenASourceIsGoneOrChanged) {
  SmallCollection small;
  for (const char* shard : {"1/2", "2/2"}) {
    small.options.shard = shard;
    small.record_as(std::string("part") + shard[0] + ".h5");
  }
  artifact::merge_medial(small.path("m.h5"), {small.path("part1.h5"), small.path("part2.h5")},
                         small.options.common);
  small.options.shard = "2/2";
  small.options.common.force = true;
  small.options.common.seed = 5;
  small.record_as("part2.h5");
  expect_error([&] { artifact::MedialReader(small.path("m.h5")); }, ExitCode::kIncompatible,
               "merge anew");
  std::filesystem::remove(small.path("part2.h5"));
  expect_error([&] { artifact::MedialReader(small.path("m.h5")); }, ExitCode::kCannotOpen,
               "which is not there");
}

}  // namespace
}  // namespace cachectl::collect
