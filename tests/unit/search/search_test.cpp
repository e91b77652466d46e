#include "search/search.h"

#include <gtest/gtest.h>

#include "support/bytes.h"
#include "support/expect_error.h"
#include "support/interrupt.h"
#include "support/quietly.h"
#include "support/tiny_chain.h"

namespace cachectl::search {
namespace {

class Search : public testing::Test {
 protected:
  static TinyChain& chain() {
    static TinyChain chain(600);
    return chain;
  }
  static const std::string& easy() {
    static const std::string path = chain().with_an_easy_middle();
    return path;
  }
  Options options(const std::string& out) {
    Options options;
    options.common = TinyChain::common();
    options.common.threads = 2;
    options.medial = easy();
    options.profile = chain().profile_path;
    options.out = scratch_.path(out);
    options.layers = {"middle", "late"};
    options.rung_epochs = {1, 2};
    options.rung_shares = {0.5, 1};
    options.strategy.trials = 8;
    options.strategy.group = 4;
    options.strategy.population = 4;
    options.strategy.tolerance = 0.05;
    options.recipe.batch_size = 25;
    options.space.channels = {4, 8};
    options.space.units = {16, 32};
    return options;
  }
  static std::string quietly(Options options) {
    return output_of([&] { run(options); });
  }
  const Scratch scratch_;
};

TEST_F(Search, ChoosesAnArchitectureForEachLayer) {
  const std::string table = quietly(options("s.h5"));
  EXPECT_NE(table.find("chosen"), std::string::npos);
  const auto study = artifact::read_study(scratch_.path("s.h5"));
  EXPECT_TRUE(study.complete());
  ASSERT_EQ(study.layers.size(), 2U);
  EXPECT_EQ(study.layers[0].layer, "middle");
  EXPECT_EQ(study.layers[0].trials.size(), 8U);
  for (const auto& choice : artifact::choose(study)) EXPECT_NE(choice.trial, nullptr);
  EXPECT_FALSE(std::filesystem::exists(io::partial_path(scratch_.path("s.h5"))));
}

TEST_F(Search, EndedBySignalAndResumedGivesTheBytesOfOneRun) {
  auto whole = options("whole.h5"), cut = options("cut.h5");
  whole.strategy.trials = cut.strategy.trials = 24;
  quietly(whole);
  const auto partial = io::partial_path(cut.out).string();
  const auto has_trials = [&] {
    if (!std::filesystem::exists(partial)) return false;
    try {
      const auto study = artifact::read_study(partial);
      return !study.layers.empty() && study.layers[0].trials.size() >= 4;
    } catch (const Error&) {
      return false;
    }
  };
  ASSERT_TRUE(interrupted([&] { quietly(cut); }, has_trials));
  EXPECT_FALSE(std::filesystem::exists(cut.out));
  cut.common.force = false;
  expect_error([&] { quietly(cut); }, ExitCode::kCannotOpen, "--resume");
  cut.common.resume = true;
  auto other = cut;
  other.strategy.trials = 8;
  expect_error([&] { quietly(other); }, ExitCode::kIncompatible, "begun with other settings");
  // The same samples in another file.
  auto elsewhere = cut;
  elsewhere.medial = chain().medial_path;
  expect_error([&] { quietly(elsewhere); }, ExitCode::kIncompatible, "settings or files");
  other.common.force = true;
  other.out = scratch_.path("anew.h5");
  std::filesystem::copy_file(partial, io::partial_path(other.out));
  quietly(other);
  EXPECT_EQ(artifact::read_study(other.out).layers[0].trials.size(), 8U);
  quietly(cut);
  EXPECT_EQ(bytes_of(whole.out), bytes_of(cut.out));
}

TEST_F(Search, LeavesOutALayerWhereNothingFitsBeforeTheFirstTrial) {
  auto some = options("some.h5");
  some.space.layer_max_macs = {{"early", "1"}, {"nowhere", "5"}};
  quietly(some);
  for (const auto& layer : artifact::read_study(some.out).layers) {
    EXPECT_NE(layer.layer, "early");
  }
  some.space.max_macs = 1;
  some.space.layer_max_macs = {};
  expect_error([&] { quietly(some); }, ExitCode::kNothingProcessed, "no layer is left");
}

TEST_F(Search, ShardsMergeIntoTheStudyOfOneRun) {
  auto whole = options("whole.h5");
  whole.brackets = 2;
  quietly(whole);
  std::vector<std::string> parts;
  for (const char* shard : {"1/3", "2/3", "3/3"}) {
    auto part = whole;
    part.shard = shard;
    part.out = scratch_.path(std::string("part") + shard[0] + ".h5");
    quietly(part);
    parts.push_back(part.out);
  }
  auto joined = options("joined.h5");
  joined.merge = {parts[2], parts[0], parts[1]};
  quietly(joined);
  EXPECT_EQ(io::ArtifactReader(whole.out, "study").provenance().content_hash,
            io::ArtifactReader(joined.out, "study").provenance().content_hash);
}

TEST_F(Search, GoesOnWithItsOwnShardAlone) {
  auto cut = options("cut.h5");
  cut.brackets = 2;
  cut.shard = "1/2";
  quietly(cut);
  std::filesystem::rename(cut.out, io::partial_path(cut.out));
  cut.common.force = false;
  cut.common.resume = true;
  cut.shard = "2/2";
  expect_error([&] { quietly(cut); }, ExitCode::kIncompatible, "another --shard");
  cut.shard = "1/2";
  quietly(cut);
}

TEST_F(Search, DiscardsALayerOfNoise) {
  auto noisy = chain().medial;
  noisy.activations[1] = at::randn_like(noisy.activations[1]);
  auto some = options("some.h5");
  some.medial = chain().rewrite(noisy, "noise.h5");
  quietly(some);
  const auto study = artifact::read_study(some.out);
  const auto choices = artifact::choose(study);
  EXPECT_EQ(choices[0].trial, nullptr);
  EXPECT_NE(choices[1].trial, nullptr);
}

TEST_F(Search, ReadsNoPartButTrainAndValidation) {
  auto plain = options("plain.h5");
  plain.medial = chain().medial_path;
  quietly(plain);
  auto changed = options("changed.h5");
  changed.medial = chain().with_other_contents(data::Part::kTest, "changed-medial.h5");
  quietly(changed);
  const auto a = artifact::read_study(plain.out), b = artifact::read_study(changed.out);
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    for (std::size_t k = 0; k < a.layers[i].trials.size(); ++k) {
      EXPECT_EQ(a.layers[i].trials[k].last()->score, b.layers[i].trials[k].last()->score);
    }
  }
}

TEST_F(Search, StopsOnTheClockWithAChoice) {
  auto timed = options("timed.h5");
  timed.strategy.trials = 100000;
  timed.minutes = 0.01;
  quietly(timed);
  const auto study = artifact::read_study(timed.out);
  for (const auto& layer : study.layers) {
    EXPECT_GE(layer.trials.size(), 4U);
    EXPECT_LT(layer.trials.size(), 100000U);
  }
}

TEST_F(Search, SaysWhatIsMissingOrCantBe) {
  auto bad = options("bad.h5");
  bad.profile.clear();
  expect_error([&] { quietly(bad); }, ExitCode::kUsage, "--profile");
  bad = options("bad.h5");
  bad.shard = "3/2";
  expect_error([&] { quietly(bad); }, ExitCode::kUsage, "--shard 3/2");
  bad = options("bad.h5");
  bad.shard = "9/9";
  expect_error([&] { quietly(bad); }, ExitCode::kNothingProcessed, "--shard 9/9");
  bad = options("bad.h5");
  bad.layers = {"mddle"};
  expect_error([&] { quietly(bad); }, ExitCode::kIncompatible, "middle");
  bad = options("bad.h5");
  bad.rung_shares = {1};
  expect_error([&] { quietly(bad); }, ExitCode::kUsage, "one each");
}

}  // namespace
}  // namespace cachectl::search
