#include "select/subset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "decision/outcome.h"
#include "synthetic.h"

namespace cachectl::select {
namespace {

using decision::Exits;

struct Case {
  decision::Records records;
  std::vector<decision::Curve> curves;
  decision::CostModel cost;
};

Case random_case(std::uint64_t seed, bool latency = false) {
  Rng rng(derive_seed(seed, "case"));
  const std::size_t samples = 5 + rng.below(120), candidates = 1 + rng.below(8);
  const int ties = rng.below(3) == 0 ? 6 : 0;
  auto records = synthetic_records(samples, candidates, seed, 4, ties);
  auto curves = decision::make_curves(records);
  if (!latency) return {records, curves, synthetic_cost(samples, candidates, seed)};
  std::vector<decision::Timing> segments, look_ups;
  for (std::size_t d = 0; d <= 2 * candidates; ++d) {
    const double base = rng.uniform(0, 1), slope = rng.uniform(0.01, 0.3);
    auto& stages = d <= candidates ? segments : look_ups;
    const double scale = d <= candidates ? 1 : 0.1;
    stages.push_back({{1, 8}, {scale * (base + slope), scale * (base + 8 * slope)}});
  }
  return {records, curves, decision::latency_cost(samples, 8, segments, look_ups)};
}

// The definition, word for word: K(S) from hits and misses among the samples that reach.
double saved_by_definition(const Case& c, const std::vector<double>& fallback,
                           const std::vector<double>& look_up, const Exits& exits) {
  std::vector<bool> gone(c.records.samples());
  double score = 0;
  for (const auto& exit : exits) {
    for (std::size_t i = 0; i < gone.size(); ++i) {
      if (gone[i]) continue;
      const bool hit = c.records.exits[exit.candidate].confidence[i] >= exit.threshold;
      score += hit ? fallback[exit.candidate] - look_up[exit.candidate] : -look_up[exit.candidate];
      gone[i] = hit;
    }
  }
  return score;
}

// Every subset, thresholds found by trying every confidence, costs by applying it.
std::vector<Choice> by_brute_force(const Case& c, double tolerance, Budget budget,
                                   const Limits& limits) {
  const std::size_t candidates = c.records.candidates();
  const auto samples = static_cast<double>(c.records.samples());
  std::vector<Choice> all;
  for (unsigned mask = 1; mask < (1u << candidates); ++mask) {
    const auto size = static_cast<double>(__builtin_popcount(mask));
    Exits exits;
    for (std::size_t d = 0; d < candidates; ++d) {
      if (!(mask >> d & 1)) continue;
      const double n = static_cast<double>(exits.size()) + 1;
      const double share =
          budget == Budget::kHalving ? tolerance / std::pow(2, n) : tolerance / size;
      float best = 2;
      for (const float theta : c.records.exits[d].confidence) {
        int wrong = 0;
        for (std::size_t i = 0; i < c.records.samples(); ++i) {
          wrong += c.records.exits[d].confidence[i] >= theta && c.records.is_wrong(d, i);
        }
        if (wrong / samples <= share + 1e-12) best = std::min(best, theta);
      }
      exits.push_back({d, best});
    }
    if (!limits.allows(exits)) continue;
    const auto outcome = decision::run_over(c.records, exits);
    bool idle = false;  // an exit nobody takes, kept only when required or for the next one
    for (std::size_t e = 0; e < exits.size(); ++e) {
      const std::size_t candidate = exits[e].candidate;
      const bool needed = limits.is_required(candidate) ||
                          (e + 1 < exits.size() && limits.takes(exits[e + 1].candidate, candidate));
      idle |= outcome.hits[e] == 0 && !needed;
    }
    const double cost = decision::cost_of(exits, outcome, c.cost);
    if (!idle && cost < c.cost.plain()) all.push_back({exits, cost, outcome.differing});
  }
  std::sort(all.begin(), all.end(),
            [](const Choice& a, const Choice& b) { return a.cost < b.cost; });
  return all;
}

void expect_same(const Case& c, double tolerance, Budget budget, const Limits& limits,
                 std::uint64_t seed) {
  const auto expected = by_brute_force(c, tolerance, budget, limits);
  const auto found = best_subsets(c.records, c.curves, c.cost, tolerance, budget, limits, 10);
  ASSERT_EQ(found.size(), std::min<std::size_t>(10, expected.size())) << "case " << seed;
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].cost, expected[i].cost, 1e-9 * c.cost.plain()) << "case " << seed;
    EXPECT_TRUE(limits.allows(found[i].exits));
    EXPECT_LE(found[i].differing, tolerance * static_cast<double>(c.records.samples()) + 1e-9);
  }
}

TEST(Subsets, EqualBruteForceOnRandomCases) {
  int paying = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const Case c = random_case(seed);
    const double tolerance = 0.15 * Rng(seed).uniform();
    for (const Budget budget : {Budget::kHalving, Budget::kEqual}) {
      expect_same(c, tolerance, budget, {}, seed);
    }
    paying +=
        !best_subsets(c.records, c.curves, c.cost, tolerance, Budget::kHalving, {}, 1).empty();
  }
  EXPECT_GT(paying, 100);
}

TEST(Subsets, EqualBruteForceWhenTheCostIsTheLatencyOfShrinkingBatches) {
  for (std::uint64_t seed = 1000; seed < 1150; ++seed) {
    const Case c = random_case(seed, true);
    for (const Budget budget : {Budget::kHalving, Budget::kEqual}) {
      expect_same(c, 0.1, budget, {}, seed);
    }
  }
}

TEST(Subsets, EqualBruteForceUnderLimits) {
  for (std::uint64_t seed = 2000; seed < 2200; ++seed) {
    const Case c = random_case(seed);
    Rng rng(derive_seed(seed, "limits"));
    Limits limits;
    limits.max_exits = 1 + rng.below(4);
    limits.max_bytes = rng.uniform(1, 4);
    for (std::size_t d = 0; d < c.records.candidates(); ++d) {
      limits.bytes.push_back(rng.uniform(0.2, 2));
      limits.required.push_back(rng.below(6) == 0);
      limits.forbidden.push_back(!limits.required.back() && rng.below(4) == 0);
    }
    for (const Budget budget : {Budget::kHalving, Budget::kEqual}) {
      expect_same(c, 0.1, budget, limits, seed);
    }
  }
}

TEST(Subsets, EqualBruteForceOnCascades) {
  int paying = 0, with_idle = 0;
  for (std::uint64_t seed = 3000; seed < 3400; ++seed) {
    const Case c = random_case(seed);
    Rng rng(derive_seed(seed, "cascade"));
    const bool whole = seed % 2 == 0;  // else some take no logits, or those of any in front
    Limits limits;
    if (seed % 5 == 0) limits.max_exits = 1 + rng.below(4);
    for (std::size_t d = 0; d < c.records.candidates(); ++d) {
      const auto before = static_cast<std::ptrdiff_t>(d) - 1;
      limits.prior.push_back(whole || d == 0     ? before
                             : rng.below(2) == 0 ? Limits::kNoPrior
                                                 : static_cast<std::ptrdiff_t>(rng.below(d)));
      limits.required.push_back(rng.below(12) == 0);
      limits.forbidden.push_back(!limits.required.back() && rng.below(10) == 0);
    }
    // Zero: the first exits may hit nothing and still be there for the next one.
    const double tolerance = seed % 3 == 0 ? 0.0 : 0.1;
    for (const Budget budget : {Budget::kHalving, Budget::kEqual}) {
      expect_same(c, tolerance, budget, limits, seed);
      const auto best = best_subsets(c.records, c.curves, c.cost, tolerance, budget, limits, 1);
      if (best.empty()) continue;
      ++paying;
      for (const auto hits : decision::run_over(c.records, best[0].exits).hits) {
        with_idle += hits == 0;
      }
    }
  }
  EXPECT_GT(paying, 100);
  EXPECT_GT(with_idle, 0);
}

TEST(Subsets, OfAWholeCascadeAreItsBeginnings) {
  const auto records = synthetic_records(500, 6, 3);
  Limits limits;
  for (std::ptrdiff_t d = 0; d < 6; ++d) limits.prior.push_back(d - 1);
  const auto best = best_subsets(records, decision::make_curves(records), synthetic_cost(500, 6, 3),
                                 0.05, Budget::kHalving, limits, 20);
  ASSERT_GT(best.size(), 2U);
  for (const auto& choice : best) {
    for (std::size_t e = 0; e < choice.exits.size(); ++e) EXPECT_EQ(choice.exits[e].candidate, e);
  }
}

TEST(Subsets, ScoreIsTheSumOverHitsAndMissesOfTheSpecification) {
  const std::vector<double> before = {10, 30, 60}, look_up = {1, 2, 3}, fallback = {90, 70, 40};
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto records = synthetic_records(200, 3, seed);
    const Case c{records, decision::make_curves(records),
                 decision::flops_cost(200, before, 100, look_up)};
    const auto best = best_subsets(c.records, c.curves, c.cost, 0.05, Budget::kHalving, {}, 1);
    if (best.empty()) continue;
    EXPECT_NEAR(c.cost.plain() - best[0].cost,
                saved_by_definition(c, fallback, look_up, best[0].exits), 1e-6);
  }
}

TEST(Subsets, OfFewBranchesAreNoBetterAndOfEnoughTheSame) {
  for (const std::size_t candidates : {16, 20}) {
    const auto records = synthetic_records(1000, candidates, 8);
    const auto curves = decision::make_curves(records);
    const auto cost = synthetic_cost(1000, candidates, 8);
    for (const Budget budget : {Budget::kHalving, Budget::kEqual}) {
      const auto best = [&](std::uint64_t branches) {
        const auto found = best_subsets(records, curves, cost, 0.02, budget, {}, 1, branches);
        return found.empty() ? cost.plain() : found.front().cost;
      };
      EXPECT_EQ(best(0), cost.plain());
      double last = cost.plain();
      for (const std::uint64_t branches : {2, 10, 100, 1000}) {
        EXPECT_LE(best(branches), last);
        last = best(branches);
      }
      EXPECT_LT(last, cost.plain());
      EXPECT_EQ(best(kBranchesToBegin), best(kAllBranches)) << candidates;
    }
  }
}

TEST(Subsets, SpendNoBranchWhereWhatIsRequiredDoesNotFit) {
  const auto records = synthetic_records(300, 40, 9);
  const auto curves = decision::make_curves(records);
  const auto cost = synthetic_cost(300, 40, 9);
  Limits limits;
  limits.required.assign(40, false);
  for (std::size_t d = 32; d < 40; ++d) limits.required[d] = true;
  limits.max_exits = 9;
  for (const Budget budget : {Budget::kHalving, Budget::kEqual}) {
    const auto found =
        best_subsets(records, curves, cost, 0.05, budget, limits, 1, kBranchesToBegin);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_TRUE(limits.allows(found.front().exits));
  }
}

TEST(Subsets, AreNoneWhereLookingUpCostsMoreThanItSaves) {
  const auto records = synthetic_records(300, 4, 1);
  const auto cost = decision::flops_cost(300, {20, 40, 60, 80}, 100, {90, 90, 90, 90});
  EXPECT_THAT(
      best_subsets(records, decision::make_curves(records), cost, 0.05, Budget::kHalving, {}, 10),
      testing::IsEmpty());
}

TEST(Subsets, OfTwentyCandidatesOverTenThousandSamplesTakeUnderASecond) {
  const auto records = synthetic_records(10000, 20, 7);
  const auto curves = decision::make_curves(records);
  const auto cost = synthetic_cost(10000, 20, 7);
  const std::clock_t start = std::clock();  // of this process alone, whatever else runs
  const auto best = best_subsets(records, curves, cost, 0.02, Budget::kHalving, {}, 10);
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_THAT(best, testing::SizeIs(10));
  EXPECT_LT(seconds, 1.0);
}

}  // namespace
}  // namespace cachectl::select
