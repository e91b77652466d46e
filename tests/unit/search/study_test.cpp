#include "artifact/study.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "model/architecture.h"
#include "search/search.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace cachectl::search {
namespace {

using artifact::LayerStudy;
using artifact::Study;
using artifact::Trial;
using artifact::TrialState;

Trial trial(std::int64_t number, const char* text, double utility, double agreement,
            std::int64_t rungs = 2) {
  Trial trial;
  trial.number = number;
  trial.architecture = text;
  trial.origin = "random";
  const auto cost = model::head_cost(model::Architecture::parse(text), {4, 8, 8}, 10);
  trial.flops = cost.flops();
  trial.parameters = cost.parameters;
  trial.weight_bytes = cost.weight_bytes;
  trial.state = rungs == 2 ? TrialState::kFinished : TrialState::kStopped;
  for (std::int64_t r = 0; r < rungs; ++r) {
    artifact::RungResult rung;
    rung.rung = r;
    rung.epochs = 3 * (r + 1);
    rung.score = rung.utility = utility;
    rung.agreement = agreement;
    trial.rungs.push_back(rung);
  }
  return trial;
}

LayerStudy layer(const char* name, double before, std::int64_t bracket = 0) {
  LayerStudy layer;
  layer.layer = name;
  layer.shape = {4, 8, 8};
  layer.flops_before = before;
  layer.flops_after = 1e6 - before;
  layer.chance = 0.1;
  layer.bracket = bracket;
  layer.complete = true;
  layer.trials = {trial(0, "fc32", 50, 0.6), trial(1, "conv3x3/2-8, pool2", 90, 0.7),
                  trial(2, "fc64", 40, 0.65), trial(3, "linear", 500, 0.5, 1)};
  layer.trials.push_back(trial(4, "conv3x3-8", 0, 0, 0));
  layer.trials.back().state = TrialState::kFailed;
  return layer;
}

Study study_of(std::vector<LayerStudy> layers) {
  Study study;
  study.classes = 10;
  study.validation_samples = 1000;
  study.tolerance = 0.01;
  study.objective = "utility";
  study.settings = "search.trials: 4\n";
  study.train_ids_hash = "t";
  study.validation_ids_hash = "v";
  study.layers = std::move(layers);
  return study;
}

CommonOptions common() {
  CommonOptions common;
  common.no_provenance = true;
  return common;
}

TEST(StudyFile, ComesBackAsWritten) {
  const Scratch scratch;
  const Study written = study_of({layer("layer1", 1e5), layer("layer2", 2e5)});
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
  Study study = study_of({layer("layer1", 1e5)});
  study.layers[0].trials[0].flops += 1;
  artifact::write_study(scratch.path("s.h5"), study, common(), {});
  expect_error([&] { artifact::read_study(scratch.path("s.h5")); }, ExitCode::kCorrupt,
               "trial 0 (fc32)");
  study = study_of({layer("layer1", 1e5)});
  study.layers[0].trials[2].architecture = "fc";
  artifact::write_study(scratch.path("s.h5"), study, common(), {});
  expect_error([&] { artifact::read_study(scratch.path("s.h5")); }, ExitCode::kCorrupt, "'fc'");
}

TEST(Choice, IsTheMostUsefulOfThoseThatReachedTheTop) {
  const Study study = study_of({layer("layer1", 1e5), layer("layer1", 1e5, 1)});
  const auto choices = artifact::choose(study);
  ASSERT_EQ(choices.size(), 1U);
  ASSERT_NE(choices[0].trial, nullptr);
  EXPECT_EQ(choices[0].trial->architecture, "conv3x3/2-8, pool2");
}

TEST(Choice, DiscardsALayerWhereNothingBeatsChance) {
  Study study = study_of({layer("layer1", 1e5)});
  for (auto& one : study.layers[0].trials) {
    for (auto& rung : one.rungs) rung.agreement = 0.12;
  }
  const auto choices = artifact::choose(study);
  EXPECT_EQ(choices[0].trial, nullptr);
  EXPECT_NE(choices[0].reason.find("nothing beats chance"), std::string::npos);
}

TEST(ParetoFront, HoldsWhatNoCheaperTrialReaches) {
  const LayerStudy one = layer("layer1", 1e5);
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
  const Study whole = study_of({layer("a", 1e5, 0), layer("a", 1e5, 1), layer("b", 2e5, 0)});
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
  write("1.h5", study_of({layer("a", 1e5)}));
  write("2.h5", study_of({layer("a", 1e5)}));
  expect_error(
      [&] {
        merge({scratch.path("1.h5"), scratch.path("2.h5")});
      },
      ExitCode::kIncompatible, "layer a, bracket 0 is in an earlier file");
  Study other = study_of({layer("b", 2e5)});
  other.settings = "search.trials: 5\n";
  write("3.h5", other);
  expect_error(
      [&] {
        merge({scratch.path("1.h5"), scratch.path("3.h5")});
      },
      ExitCode::kIncompatible, "search.trials: 5");
  other = study_of({layer("b", 2e5)});
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
  Study study = study_of({layer("a", 1e5)});
  study.layers[0].complete = false;
  artifact::write_study(scratch.path("s.h5.partial"), study, common(), {});
  EXPECT_FALSE(read_latest(scratch.path("s.h5")).complete());
  expect_error([&] { read_latest(scratch.path("other.h5")); }, ExitCode::kCannotOpen,
               "no such study");
}

}  // namespace
}  // namespace cachectl::search
