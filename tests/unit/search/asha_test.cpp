#include "search/asha.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace cachectl::search {
namespace {

// The rule of the paper, written anew: a trial of rung r is promotable when fewer than
// n / eta of the n that finished r (failures included) score better, and it is not
// further up yet.
std::vector<std::size_t> promotable_by_hand(const std::vector<Standing>& trials, std::size_t rung,
                                            std::size_t eta) {
  std::size_t finished = 0;
  for (const auto& trial : trials) {
    finished += trial.scores.size() > rung || (trial.failed && trial.scores.size() == rung) ? 1 : 0;
  }
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (trials[i].scores.size() != rung + 1 || trials[i].failed) continue;
    std::size_t better = 0;
    for (std::size_t k = 0; k < trials.size(); ++k) {
      if (trials[k].scores.size() <= rung) continue;
      const double a = trials[k].scores[rung], b = trials[i].scores[rung];
      better += a > b || (a == b && k < i) ? 1 : 0;
    }
    if (better < finished / eta) result.push_back(i);
  }
  return result;
}

TEST(Asha, PromotesWhatTheRuleOfThePaperPromotes) {
  Rng rng(3);
  for (int repeat = 0; repeat < 300; ++repeat) {
    std::vector<Standing> trials(1 + rng.below(30));
    for (auto& trial : trials) {
      const std::size_t rungs = rng.below(4);
      for (std::size_t r = 0; r < rungs; ++r) trial.scores.push_back(double(rng.below(8)));
      trial.failed = rungs < 3 && rng.uniform() < 0.2;
    }
    for (std::size_t rung = 0; rung < 3; ++rung) {
      auto given = promotable(trials, rung, 3, 0);
      std::sort(given.begin(), given.end());
      EXPECT_EQ(given, promotable_by_hand(trials, rung, 3));
    }
  }
}

// Runs a whole search in which every trial has one true score.
std::vector<Standing> play(std::size_t count, std::size_t rungs, std::size_t eta, std::size_t group,
                           const std::vector<double>& truth,
                           std::vector<std::size_t>* passes = nullptr) {
  std::vector<Standing> trials;
  while (true) {
    const Work work = next_work(trials, rungs, eta, count - trials.size(), group);
    if (work.empty()) return trials;
    EXPECT_LE(work.promoted.size() + work.fresh, group);
    if (passes != nullptr) passes->push_back(work.rung);
    for (const auto i : work.promoted) {
      EXPECT_EQ(trials[i].scores.size(), work.rung);
      trials[i].scores.push_back(truth[i]);
    }
    for (std::size_t k = 0; k < work.fresh; ++k) {
      Standing standing;
      standing.scores = {truth[trials.size()]};
      trials.push_back(standing);
    }
  }
}

TEST(Asha, TakesTheBestToTheTopAndFewOthers) {
  Rng rng(9);
  for (int repeat = 0; repeat < 20; ++repeat) {
    std::vector<double> truth;
    for (int i = 0; i < 64; ++i) truth.push_back(rng.uniform());
    const auto trials = play(64, 3, 4, 8, truth);
    ASSERT_EQ(trials.size(), 64U);
    std::size_t middle = 0, top = 0;
    for (const auto& trial : trials) {
      middle += trial.scores.size() >= 2 ? 1 : 0;
      top += trial.scores.size() == 3 ? 1 : 0;
    }
    const auto best =
        static_cast<std::size_t>(std::max_element(truth.begin(), truth.end()) - truth.begin());
    EXPECT_EQ(trials[best].scores.size(), 3U);
    EXPECT_GE(middle, 16U);
    EXPECT_LE(middle, 28U);
    EXPECT_GE(top, 4U);
    EXPECT_LE(top, 10U);
  }
}

TEST(Asha, PromotesFromAFullRungBeforeAllNewTrialsAreOut) {
  std::vector<double> truth(64);
  for (std::size_t i = 0; i < truth.size(); ++i) truth[i] = double(i % 7) + 0.01 * double(i);
  std::vector<std::size_t> passes;
  play(64, 3, 4, 4, truth, &passes);
  const auto promotion = std::find(passes.begin(), passes.end(), 1U);
  const auto last_fresh = std::find(passes.rbegin(), passes.rend(), 0U);
  EXPECT_LT(promotion - passes.begin(), passes.rend() - last_fresh);
}

TEST(Asha, FewTrialsStillReachTheTop) {
  const auto trials = play(2, 3, 4, 8, {0.3, 0.7});
  EXPECT_EQ(trials[1].scores.size(), 3U);
  EXPECT_EQ(trials[0].scores.size(), 1U);
}

TEST(Asha, AFailedTrialIsNeverPromotedAndEndsNothing) {
  std::vector<Standing> trials(8);
  for (std::size_t i = 0; i < 8; ++i) {
    trials[i].failed = i != 5;
    if (i == 5) trials[i].scores = {1.0};
  }
  const Work work = next_work(trials, 2, 4, 0, 4);
  EXPECT_EQ(work.promoted, (std::vector<std::size_t>{5}));
  for (auto& trial : trials) trial = {{}, true};
  EXPECT_TRUE(next_work(trials, 2, 4, 0, 4).empty());
}

}  // namespace
}  // namespace cachectl::search
