#include "search/bracket.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "unit/learn/synthetic.h"

namespace cachectl::search {
namespace {

Strategy quick(const char* proposals) {
  Strategy strategy;
  strategy.proposals = proposals;
  strategy.rungs = {{1, 0.5}, {2, 1}};
  strategy.eta = 3;
  strategy.trials = 12;
  strategy.group = 4;
  strategy.population = 4;
  strategy.record_seconds = false;
  return strategy;
}

class Bracket : public testing::Test {
 protected:
  artifact::LayerStudy fresh() {
    artifact::LayerStudy study;
    study.layer = "shallow";
    study.shape = {6, 8, 8};
    study.flops_before = 1e6;
    study.flops_after = 1e7;
    return study;
  }
  Space space() {
    Space space;
    space.channels = {4, 8};
    space.units = {16, 32};
    space.first = {{"fixed", "conv3x3/2-8"}};
    return space;
  }
  void run(
      artifact::LayerStudy& study, const Strategy& strategy, std::size_t threads = 2,
      const std::function<void()>& save = [] {}) {
    auto source = learn::synthetic_source(200, 2.0);
    learn::Recipe recipe;
    recipe.batch_size = 25;
    model::Workers workers(threads);
    run_bracket(study, source, 0, LayerSpace(space(), study.shape, 4, study.flops_after), strategy,
                recipe, 7, {}, workers, save);
  }
  static std::string text(const artifact::LayerStudy& study) {
    std::string all;
    for (const auto& trial : study.trials) {
      all += trial.architecture + " | " + trial.origin + " | " + name_of(trial.state);
      for (const auto& rung : trial.rungs) {
        all += " " + std::to_string(rung.score) + "/" + std::to_string(rung.agreement);
      }
      all += "\n";
    }
    return all;
  }
};

TEST_F(Bracket, TriesAllAndTakesTheBestToTheTop) {
  auto study = fresh();
  run(study, quick("evolution"));
  EXPECT_TRUE(study.complete);
  ASSERT_EQ(study.trials.size(), 12U);
  EXPECT_EQ(study.trials[0].architecture, "conv3x3/2-8");
  EXPECT_EQ(study.trials[0].origin, "first");
  std::size_t finished = 0, mutations = 0;
  for (const auto& trial : study.trials) {
    finished += trial.state == artifact::TrialState::kFinished ? 1 : 0;
    mutations += trial.origin.rfind("mutation of ", 0) == 0 ? 1 : 0;
    EXPECT_FALSE(trial.rungs.empty());
  }
  EXPECT_GE(finished, 4U);
  EXPECT_LT(finished, 12U);
  EXPECT_EQ(mutations, 8U);
}

TEST_F(Bracket, SameSeedSameStudyOnAnyNumberOfThreads) {
  auto one = fresh(), other = fresh();
  run(one, quick("evolution"), 1);
  run(other, quick("evolution"), 3);
  EXPECT_EQ(text(one), text(other));
}

TEST_F(Bracket, CutShortAtAnyPassGoesOnAsIfItHadNotBeen) {
  auto whole = fresh();
  std::vector<artifact::LayerStudy> saved;
  run(whole, quick("evolution"), 2, [&] { saved.push_back(whole); });
  ASSERT_GT(saved.size(), 3U);
  for (const auto& state : saved) {
    auto study = state;
    run(study, quick("evolution"));
    EXPECT_EQ(text(study), text(whole));
  }
}

TEST_F(Bracket, RepeatsNoFinishedTrialAfterACut) {
  auto study = fresh();
  int passes = 0;
  EXPECT_THROW(run(study, quick("random"), 2,
                   [&] {
                     if (++passes == 2) throw std::runtime_error("killed");
                   }),
               std::runtime_error);
  ASSERT_EQ(study.trials.size(), 8U);
  const auto before = text(study);
  int later = 0;
  run(study, quick("random"), 2, [&] { ++later; });
  EXPECT_EQ(text(study).substr(0, 40), before.substr(0, 40));
  auto whole = fresh();
  int all = 0;
  run(whole, quick("random"), 2, [&] { ++all; });
  EXPECT_EQ(later + passes, all);
}

TEST_F(Bracket, ARandomTrialDoesNotDependOnTheOthers) {
  auto many = fresh(), few = fresh();
  auto strategy = quick("random");
  run(many, strategy);
  strategy.trials = 4;
  run(few, strategy);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(few.trials[i].architecture, many.trials[i].architecture);
    EXPECT_EQ(few.trials[i].rungs[0].score, many.trials[i].rungs[0].score);
  }
}

TEST_F(Bracket, StopsWithoutAGainAndOnTheClock) {
  auto study = fresh();
  auto strategy = quick("random");
  strategy.trials = 200;
  strategy.patience = 5;
  run(study, strategy);
  EXPECT_LT(study.trials.size(), 200U);
  EXPECT_TRUE(study.complete);

  auto timed = fresh();
  strategy.patience = 0;
  strategy.trials = 100000;
  auto source = learn::synthetic_source(200, 2.0);
  learn::Recipe recipe;
  recipe.batch_size = 25;
  model::Workers workers(1);
  run_bracket(timed, source, 0, LayerSpace(space(), timed.shape, 4, timed.flops_after), strategy,
              recipe, 7, {0.2, 1.0}, workers, [] {});
  EXPECT_TRUE(timed.complete);
  EXPECT_GE(timed.trials.size(), 4U);
  EXPECT_LT(timed.trials.size(), 100000U);
}

}  // namespace
}  // namespace cachectl::search
