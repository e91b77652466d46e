#include "select/joint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <functional>
#include <string>

#include "base/cancel.h"
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

// The same costs as tables of their own, bent: to the power of `power` in the count.
decision::CostModel as_tables(const decision::CostModel& cost, double power) {
  const auto bent = [&](double per_sample) {
    std::vector<double> table;
    for (std::size_t count = 0; count <= cost.samples(); ++count) {
      table.push_back(per_sample * std::pow(static_cast<double>(count), power));
    }
    return table;
  };
  std::vector<std::vector<double>> segments, look_ups;
  for (std::size_t d = 0; d <= cost.candidates(); ++d) {
    segments.push_back(bent(cost.segments(d, d + 1, 1)));
    if (d < cost.candidates()) look_ups.push_back(bent(cost.look_up(d, 1)));
  }
  return decision::CostModel("seconds", segments, look_ups);
}

Case small_case(std::uint64_t seed) {
  Rng rng(derive_seed(seed, "joint case"));
  const std::size_t samples = 8 + rng.below(17), candidates = 1 + rng.below(3);
  auto records = synthetic_records(samples, candidates, seed, 4, rng.below(3) == 0 ? 8 : 0);
  auto curves = decision::make_curves(records);
  const auto cost = synthetic_cost(samples, candidates, seed);
  return {records, curves, seed % 2 == 0 ? cost : as_tables(cost, 0.8)};
}

// Every threshold of every candidate, "off" included, and in a cascade "never hits".
void try_all(const Case& c, std::size_t candidate, Exits& exits, std::int64_t allowed,
             const Limits& limits, double& best) {
  if (candidate == c.records.candidates()) {
    const auto outcome = decision::run_over(c.records, exits);
    if (outcome.differing > allowed || !limits.allows(exits)) return;
    best = std::min(best, decision::cost_of(exits, outcome, c.cost));
    return;
  }
  try_all(c, candidate + 1, exits, allowed, limits, best);
  for (const float threshold : c.curves[candidate].threshold) {
    exits.push_back({candidate, threshold});
    try_all(c, candidate + 1, exits, allowed, limits, best);
    exits.pop_back();
  }
  if (limits.prior.empty()) return;
  exits.push_back({candidate, decision::kNeverHits});
  try_all(c, candidate + 1, exits, allowed, limits, best);
  exits.pop_back();
}

using LimitsOf = std::function<Limits(std::uint64_t seed, std::size_t candidates)>;
void expect_close_to_brute_force(const LimitsOf& limits_of) {
  int cases = 0, optimal = 0;
  double saved = 0, could_save = 0, worst = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Case c = small_case(seed);
    const Limits limits = limits_of(seed, c.records.candidates());
    JointSearch search(c.records, c.curves, c.cost, limits);
    for (const std::int64_t allowed : {0, 1, 2, 3}) {
      double best = c.cost.plain();
      Exits exits;
      try_all(c, 0, exits, allowed, limits, best);
      const Choice found = search.solve(allowed, {});
      const auto outcome = decision::run_over(c.records, found.exits);
      ASSERT_LE(outcome.differing, allowed);
      ASSERT_EQ(outcome.differing, found.differing);
      ASSERT_TRUE(limits.allows(found.exits));
      ASSERT_NEAR(decision::cost_of(found.exits, outcome, c.cost), found.cost, 1e-6);
      ASSERT_GE(found.cost, best - 1e-6);
      ++cases;
      optimal += found.cost <= best + 1e-6;
      saved += c.cost.plain() - found.cost;
      could_save += c.cost.plain() - best;
      worst = std::max(worst, (found.cost - best) / c.cost.plain());
    }
  }
  EXPECT_GE(optimal, 0.99 * cases);
  EXPECT_GE(saved, 0.999 * could_save);
  EXPECT_LE(worst, 0.05);
  testing::Test::RecordProperty("optimal_of_cases",
                                std::to_string(optimal) + "/" + std::to_string(cases));
  testing::Test::RecordProperty("saved_of_possible", std::to_string(saved / could_save));
  testing::Test::RecordProperty("worst", std::to_string(worst));
}

TEST(JointThresholds, ComeCloseToBruteForceOnSmallCases) {
  expect_close_to_brute_force([](std::uint64_t seed, std::size_t) {
    Limits limits;
    if (seed % 3 == 0) limits.max_exits = 1 + seed % 2;
    return limits;
  });
}

TEST(JointThresholds, ComeCloseToBruteForceInCascades) {
  expect_close_to_brute_force([](std::uint64_t seed, std::size_t candidates) {
    Limits limits;
    Rng rng(derive_seed(seed, "cascade"));
    if (seed % 3 == 0) limits.max_exits = 1 + seed % 2;
    for (std::size_t d = 0; d < candidates; ++d) {
      const bool some = d == 0 || (seed % 2 == 1 && rng.below(2) == 0);
      limits.prior.push_back(some ? Limits::kNoPrior : static_cast<std::ptrdiff_t>(d) - 1);
    }
    return limits;
  });
}

TEST(JointThresholds, SaveAtLeastWhatTheBudgetsDo) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const auto records = synthetic_records(600, 9, seed);
    const auto curves = decision::make_curves(records);
    const auto cost = synthetic_cost(600, 9, seed);
    const Limits limits;
    JointSearch search(records, curves, cost, limits);
    for (const double tolerance : {0.005, 0.02, 0.05}) {
      std::vector<Exits> starts;
      double best = cost.plain();
      for (const Budget budget : {Budget::kHalving, Budget::kEqual}) {
        for (const auto& choice :
             best_subsets(records, curves, cost, tolerance, budget, limits, 1)) {
          starts.push_back(choice.exits);
          best = std::min(best, choice.cost);
        }
      }
      const Choice alone = search.solve(decision::allowed_wrong(tolerance, 600), {});
      const Choice joint = search.solve(decision::allowed_wrong(tolerance, 600), starts);
      EXPECT_LE(joint.cost, best + 1e-6);
      EXPECT_LE(joint.cost, alone.cost + 0.002 * cost.plain());
      EXPECT_LE(alone.cost, best + 0.002 * cost.plain()) << "seed " << seed;
    }
  }
}

// Costs in proportion to counts are summed by another way than those of tables.
TEST(JointThresholds, AreTheSameOnAnyThreadsAndByTables) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const auto records = synthetic_records(500, 7, seed);
    const auto curves = decision::make_curves(records);
    const auto cost = synthetic_cost(500, 7, seed), tables = as_tables(cost, 1);
    ASSERT_TRUE(cost.is_proportional() && !tables.is_proportional());
    const Limits limits;
    JointSearch alone(records, curves, cost, limits, 1), threads(records, curves, cost, limits, 3),
        by_tables(records, curves, tables, limits, 2);
    for (const std::int64_t allowed : {0, 5, 20}) {
      const Choice choice = alone.solve(allowed, {});
      EXPECT_EQ(threads.solve(allowed, {}).exits, choice.exits);
      // Of plans that cost the same, rounding decides.
      EXPECT_NEAR(by_tables.solve(allowed, {}).cost, choice.cost, 1e-9 * choice.cost);
    }
  }
}

TEST(JointThresholds, EndAtASignalAndBeginAnewAfterIt) {
  const auto records = synthetic_records(300, 6, 2);
  const auto curves = decision::make_curves(records);
  const auto cost = synthetic_cost(300, 6, 2);
  const Limits limits;
  JointSearch cut(records, curves, cost, limits, 2), whole(records, curves, cost, limits, 2);
  for (int round = 0; round < 2; ++round) {  // before the price path, and behind it
    cancel::request(SIGINT);
    EXPECT_THROW(cut.solve(5, {}), cancel::Cancelled);
    cancel::request(0);
    EXPECT_EQ(cut.solve(5, {}).exits, whole.solve(5, {}).exits);
  }
}

TEST(JointThresholds, OfExitsThatAnswerNobodyAnswerNobodyElsewhere) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto records = synthetic_records(200, 4, seed);
    const auto curves = decision::make_curves(records);
    const auto cost = as_tables(synthetic_cost(200, 4, seed), 0.9);
    Limits limits;
    limits.required = {false, true, true, true};
    JointSearch search(records, curves, cost, limits);
    for (const auto& choice : search.path()) {
      const auto outcome = decision::run_over(records, choice.exits);
      for (std::size_t e = 0; e < choice.exits.size(); ++e) {
        if (outcome.hits[e] > 0) continue;
        EXPECT_EQ(choice.exits[e].threshold, decision::kNeverHits) << "seed " << seed;
      }
    }
  }
}

TEST(JointThresholds, SaveMoreTheMoreMayDiffer) {
  const auto records = synthetic_records(500, 6, 3);
  const auto curves = decision::make_curves(records);
  const auto cost = synthetic_cost(500, 6, 3);
  const Limits limits;
  JointSearch search(records, curves, cost, limits);
  double last = cost.plain();
  Exits before;
  for (std::int64_t allowed = 0; allowed < 40; ++allowed) {
    const Choice choice = search.solve(allowed, {before});
    EXPECT_LE(choice.cost, last + 1e-9);
    last = choice.cost;
    before = choice.exits;
  }
  EXPECT_LT(last, 0.7 * cost.plain());
}

TEST(JointThresholds, KeepRequiredAndLeaveForbiddenCandidates) {
  const auto records = synthetic_records(400, 5, 4);
  const auto curves = decision::make_curves(records);
  const auto cost = synthetic_cost(400, 5, 4);
  Limits limits;
  limits.required = {true, false, false, false, false};
  limits.forbidden = {false, false, true, false, false};
  limits.max_exits = 2;
  JointSearch search(records, curves, cost, limits);
  const Choice choice = search.solve(8, {});
  ASSERT_FALSE(choice.exits.empty());
  EXPECT_TRUE(limits.allows(choice.exits));
}

TEST(JointThresholds, GiveTheEmptyPlanWhereNothingPays) {
  const auto records = synthetic_records(100, 3, 5);
  const auto curves = decision::make_curves(records);
  const auto cost = decision::flops_cost(100, {20, 50, 80}, 100, {99, 99, 99});
  const Limits limits;
  JointSearch search(records, curves, cost, limits);
  EXPECT_TRUE(search.solve(5, {}).exits.empty());
}

}  // namespace
}  // namespace cachectl::select
