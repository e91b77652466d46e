#include <gtest/gtest.h>

#include "artifact/study.h"
#include "search/search.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "support/tiny_study.h"

namespace cachectl::search {
namespace {

using artifact::Study;
using artifact::test::layer_study;
using artifact::test::study_of;

// Shards of layers a and b, two brackets each.
class MergeOfShards : public testing::Test {
 protected:
  std::string shard(const char* name, std::vector<artifact::LayerStudy> layers,
                    bool says_what_was_asked = true) {
    Study study = study_of(std::move(layers));
    if (says_what_was_asked) study.asked = artifact::units_of({"a", "b"}, 2);
    CommonOptions common;
    common.no_provenance = true;
    artifact::write_study(scratch_.path(name), study, common, {});
    return scratch_.path(name);
  }
  const Scratch scratch_;
};

TEST_F(MergeOfShards, TakesAllOfThem) {
  const auto one = shard("1.h5", {layer_study("a", 1e5, 0), layer_study("b", 2e5, 1)}),
             two = shard("2.h5", {layer_study("a", 1e5, 1)}),
             three = shard("3.h5", {layer_study("b", 2e5, 0)});
  const Study merged = merge({three, one, two});
  EXPECT_EQ(merged.layers.size(), 4U);
  EXPECT_EQ(merged.asked, artifact::units_of({"a", "b"}, 2));
  EXPECT_TRUE(artifact::missing(merged).empty());
}

TEST_F(MergeOfShards, NamesWhatIsInNoneOfTheFiles) {
  const auto one = shard("1.h5", {layer_study("a", 1e5, 0), layer_study("b", 2e5, 1)}),
             two = shard("2.h5", {layer_study("a", 1e5, 1)});
  expect_error(
      [&] {
        merge({one, two});
      },
      ExitCode::kUsage,
      "1 of the 4 searches that were asked for are in none of the 2 files: b (bracket 0)");
  expect_error([&] { merge({two}); }, ExitCode::kUsage,
               "a (bracket 0), b (bracket 0), b (bracket 1)");
}

TEST_F(MergeOfShards, TakesFilesThatDoNotSayWhatWasAsked) {
  const auto one = shard("1.h5", {layer_study("a", 1e5, 0)}, false),
             two = shard("2.h5", {layer_study("b", 2e5, 0)}, false);
  EXPECT_EQ(merge({one, two}).layers.size(), 2U);
  const auto telling = shard("3.h5", {layer_study("b", 2e5, 1)});
  expect_error([&] { merge({one, two, telling}); }, ExitCode::kUsage, "a (bracket 1)");
}

}  // namespace
}  // namespace cachectl::search
