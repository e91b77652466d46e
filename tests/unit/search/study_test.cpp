#include "artifact/study.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "search/search.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "support/tiny_study.h"

namespace cachectl::search {
namespace {

using artifact::LayerStudy;
using artifact::Study;
using artifact::TrialState;
using artifact::test::layer_study;
using artifact::test::study_of;

CommonOptions common() {
  CommonOptions common;
  common.no_provenance = true;
  return common;
}

TEST(StudyFile, ComesBackAsWritten) {
  const Scratch scratch;
  const Study written = study_of({layer_study("layer1", 1e5), layer_study("layer2", 2e5)});
  artifact::write_study(scratch.path("s.h5"), written, common(), {});
  const Study read = artifact::read_study(scratch.path("s.h5"));
  ASSERT_EQ(read.layers.size(), 2U);
  EXPECT_EQ(read.settings, written.settings);
  const auto& trials = read.layers[1].trials;
  ASSERT_EQ(trials.size(), 5U);
  EXPECT_EQ(trials[1].architecture, "conv3x3/2-8, pool2");
  EXPECT_EQ(trials[1].rungs.size(), 2U);
  EXPECT_EQ(trials[1].rungs[1].epochs, 6);
  EXPECT_EQ(trials[3].rungs.size(), 1U);
  EXPECT_EQ(trials[4].state, TrialState::kFailed);
  EXPECT_TRUE(read.complete());
}

TEST(StudyFile, RefusesATrialThatIsNotWhatItSays) {
  const Scratch scratch;
  Study study = study_of({layer_study("layer1", 1e5)});
  study.layers[0].trials[0].flops += 1;
  artifact::write_study(scratch.path("s.h5"), study, common(), {});
  expect_error([&] { artifact::read_study(scratch.path("s.h5")); }, ExitCode::kCorrupt,
               "trial 0 (fc32)");
  study = study_of({layer_study("layer1", 1e5)});
  study.layers[0].trials[2].architecture = "fc";
  artifact::write_study(scratch.path("s.h5"), study, common(), {});
  expect_error([&] { artifact::read_study(scratch.path("s.h5")); }, ExitCode::kCorrupt, "'fc'");
}

TEST(Choice, IsTheMostUsefulOfThoseThatReachedTheTop) {
  const Study study = study_of({layer_study("layer1", 1e5), layer_study("layer1", 1e5, 1)});
  const auto choices = artifact::choose(study);
  ASSERT_EQ(choices.size(), 1U);
  ASSERT_NE(choices[0].trial, nullptr);
  EXPECT_EQ(choices[0].trial->architecture, "conv3x3/2-8, pool2");
}

TEST(Choice, DiscardsALayerWhereNothingBeatsChance) {
  Study study = study_of({layer_study("layer1", 1e5)});
  for (auto& one : study.layers[0].trials) {
    for (auto& rung : one.rungs) rung.agreement = 0.12;
  }
  const auto choices = artifact::choose(study);
  EXPECT_EQ(choices[0].trial, nullptr);
  EXPECT_NE(choices[0].reason.find("nothing beats chance"), std::string::npos);
}

TEST(ParetoFront, HoldsWhatNoCheaperTrialReaches) {
  const LayerStudy one = layer_study("layer1", 1e5);
  const auto front = artifact::pareto_front({&one});
  // Brute force over pairs.
  for (const auto& candidate : one.trials) {
    if (candidate.rungs.size() != 2) continue;
    bool beaten = false;
    for (const auto& other : one.trials) {
      if (other.rungs.size() != 2 || &other == &candidate) continue;
      beaten = beaten || (other.flops <= candidate.flops &&
                          other.last()->utility >= candidate.last()->utility);
    }
    const bool listed = std::find(front.begin(), front.end(), &candidate) != front.end();
    EXPECT_EQ(listed, !beaten) << candidate.architecture;
  }
}

TEST(Merge, OfShardsIsTheStudyOfOneRun) {
  const Scratch scratch;
  const Study whole =
      study_of({layer_study("a", 1e5, 0), layer_study("a", 1e5, 1), layer_study("b", 2e5, 0)});
  artifact::write_study(scratch.path("whole.h5"), whole, common(), {});
  artifact::write_study(scratch.path("1.h5"), study_of({whole.layers[2], whole.layers[1]}),
                        common(), {});
  artifact::write_study(scratch.path("2.h5"), study_of({whole.layers[0]}), common(), {});
  const Study merged = merge({scratch.path("1.h5"), scratch.path("2.h5")});
  artifact::write_study(scratch.path("merged.h5"), merged, common(), merged.provenance.inputs);
  const auto bytes = [&](const char* name) {
    std::ifstream file(scratch.path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_EQ(bytes("merged.h5"), bytes("whole.h5"));
}

TEST(Merge, RefusesWhatDoesNotBelongTogether) {
  const Scratch scratch;
  const auto write = [&](const char* name, const Study& study) {
    artifact::write_study(scratch.path(name), study, common(), {});
  };
  write("1.h5", study_of({layer_study("a", 1e5)}));
  write("2.h5", study_of({layer_study("a", 1e5)}));
  expect_error(
      [&] {
        merge({scratch.path("1.h5"), scratch.path("2.h5")});
      },
      ExitCode::kIncompatible, "layer a, bracket 0 is in an earlier file");
  Study other = study_of({layer_study("b", 2e5)});
  other.settings = "search.trials: 5\n";
  write("3.h5", other);
  expect_error(
      [&] {
        merge({scratch.path("1.h5"), scratch.path("3.h5")});
      },
      ExitCode::kIncompatible, "search.trials: 5");
  other = study_of({layer_study("b", 2e5)});
  other.train_ids_hash = "other";
  write("4.h5", other);
  expect_error(
      [&] {
        merge({scratch.path("1.h5"), scratch.path("4.h5")});
      },
      ExitCode::kIncompatible, "different samples");
}

TEST(Status, ReadsThePartialFileWhileAStudyGrows) {
  const Scratch scratch;
  Study study = study_of({layer_study("a", 1e5)});
  study.layers[0].complete = false;
  artifact::write_study(scratch.path("s.h5.partial"), study, common(), {});
  EXPECT_FALSE(read_latest(scratch.path("s.h5")).complete());
  expect_error([&] { read_latest(scratch.path("other.h5")); }, ExitCode::kCannotOpen,
               "no such study");
}

}  // namespace
}  // namespace cachectl::search
