#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "decision/fixed_sequence.h"
#include "decision/outcome.h"
#include "select/joint.h"
#include "select/losses.h"
#include "select/plan_list.h"
#include "synthetic.h"

namespace cachectl::select {
namespace {

// A draw with replacement from a population: independent samples of known risk.
decision::Records draw(const decision::Records& population, std::size_t samples, Rng& rng) {
  decision::Records drawn;
  drawn.exits.resize(population.candidates());
  for (std::size_t n = 0; n < samples; ++n) {
    const auto i = static_cast<std::size_t>(rng.below(population.samples()));
    drawn.backbone.push_back(population.backbone[i]);
    for (std::size_t d = 0; d < population.candidates(); ++d) {
      drawn.exits[d].prediction.push_back(population.exits[d].prediction[i]);
      drawn.exits[d].confidence.push_back(population.exits[d].confidence[i]);
    }
  }
  return drawn;
}

struct Quiet {
  Quiet() { log::start("select_test", log::Level::kWarning); }
  ~Quiet() { log::start("select_test", log::Level::kInfo); }
};

// The population is finite and known, so that a plan's risk is, too.
TEST(Certificate, HoldsAsOftenAsItPromisesWherePickingByTheEstimateDoesNot) {
  constexpr int kDraws = 200;
  constexpr double kEpsilon = 0.03, kDelta = 0.1;
  const auto population = synthetic_records(100000, 4, 11);
  int broken = 0, plug_in_broken = 0, certified = 0;
  double saved = 0;
  const Quiet quiet;  // or each list tells of its progress
  for (int round = 0; round < kDraws; ++round) {
    Rng rng(derive_seed(17, "draw", static_cast<std::uint64_t>(round)));
    const auto validation = draw(population, 400, rng);
    const auto certifying = draw(population, 400, rng);
    const auto curves = decision::make_curves(validation);
    const auto cost = synthetic_cost(400, 4, 11);
    const Limits limits;
    const auto list = plan_list(validation, curves, {cost}, limits, {2 * kEpsilon, 24});
    const auto result = certify(list, certifying, kEpsilon, kDelta);
    if (!result.cheapest.empty() && result.cheapest[0] >= 0) {
      ++certified;
      const auto& plan = list[static_cast<std::size_t>(result.cheapest[0])];
      saved += 1 - plan.costs[0] / cost.plain();
      broken += decision::run_over(population, plan.exits).risk() > kEpsilon;
    }
    JointSearch search(validation, curves, cost, limits);
    const auto plug_in = search.solve(decision::allowed_wrong(kEpsilon, 400), {}, 0);
    plug_in_broken +=
        decision::run_over(population, decision::settled(curves, plug_in.exits)).risk() > kEpsilon;
  }
  RecordProperty("certificates_broken", broken);
  RecordProperty("plug_in_broken", plug_in_broken);
  // Were the true rate delta, more than this many would be seen once in a thousand runs.
  std::int64_t margin = 0;
  while (decision::binomial_cdf(margin, kDraws, kDelta) < 0.999) ++margin;
  EXPECT_LE(broken, margin);
  EXPECT_LE(broken, kDelta * kDraws);
  EXPECT_GE(plug_in_broken, 3 * kDelta * kDraws);
  EXPECT_GE(certified, 0.9 * kDraws);  // or the promise would be kept by promising nothing
  EXPECT_GE(saved / certified, 0.1);
}

TEST(PlanList, RunsFromTheSafestToTheBoldestAndOnlyGetsCheaper) {
  const auto records = synthetic_records(800, 6, 2);
  const auto curves = decision::make_curves(records);
  const auto cost = synthetic_cost(800, 6, 2);
  const auto list = plan_list(records, curves, {cost}, {}, {0.04, 64});
  ASSERT_GT(list.size(), 10u);
  EXPECT_EQ(hash_of(plan_list(records, curves, {cost}, {}, {0.04, 64, 3})),
            hash_of(list));  // threads
  for (std::size_t j = 0; j < list.size(); ++j) {
    const auto outcome = decision::run_over(records, list[j].exits);
    EXPECT_EQ(outcome.differing, list[j].differing);
    EXPECT_NEAR(decision::cost_of(list[j].exits, outcome, cost), list[j].costs[0], 1e-6);
    EXPECT_LE(list[j].estimated_risk, 0.04);
    EXPECT_LT(list[j].costs[0], cost.plain());
    if (j > 0) {
      EXPECT_GT(list[j].estimated_risk, list[j - 1].estimated_risk);
      EXPECT_LT(list[j].costs[0], list[j - 1].costs[0]);
    }
  }
}

TEST(PlanList, KeepsThePlansOnTheFrontOfAnyCostModel) {
  const auto records = synthetic_records(500, 4, 3);
  const auto curves = decision::make_curves(records);
  const auto even = decision::flops_cost(500, {20, 40, 60, 80}, 100, {1, 1, 1, 1});
  const auto late = decision::flops_cost(500, {70, 80, 90, 95}, 100, {4, 3, 0.5, 0.1});
  const auto list = plan_list(records, curves, {even, late}, {}, {0.04, 32});
  double least_even = 1e300, least_late = 1e300;
  for (const auto& plan : list) {
    least_even = std::min(least_even, plan.costs[0]);
    least_late = std::min(least_late, plan.costs[1]);
  }
  for (std::size_t model : {0u, 1u}) {
    const auto alone = plan_list(records, curves, {model == 0 ? even : late}, {}, {0.04, 32});
    const double least = alone.back().costs[0];
    EXPECT_LE((model == 0 ? least_even : least_late), least + 1e-9);
  }
}

// Samples whose answers differ as often as their confidence says.
TEST(SmoothedLosses, TellTheTrueRiskOfPlansBetterThanCounting) {
  const auto population = synthetic_records(50000, 2, 21);
  double smoothed_error = 0, counted_error = 0;
  for (int round = 0; round < 40; ++round) {
    Rng rng(derive_seed(22, "draw", static_cast<std::uint64_t>(round)));
    const auto drawn = draw(population, 500, rng);
    const Losses smoothed = smoothed_losses(drawn);
    const float threshold = 0.95f;
    const auto truth = decision::run_over(population, {{1, threshold}}).risk();
    double lost = 0, wrong = 0;
    for (std::size_t i = 0; i < drawn.samples(); ++i) {
      if (drawn.exits[1].confidence[i] < threshold) continue;
      lost += smoothed.of[1][i];
      wrong += drawn.is_wrong(1, i);
    }
    smoothed_error += std::pow(lost / smoothed.one / 500 - truth, 2);
    counted_error += std::pow(wrong / 500 - truth, 2);
  }
  EXPECT_LT(smoothed_error, 0.8 * counted_error);
}

TEST(SmoothedLosses, FallWithConfidenceAndBearAgreementThroughout) {
  decision::Records records;
  records.exits.resize(1);
  for (int i = 1; i <= 100; ++i) {
    records.backbone.push_back(0);
    records.exits[0].prediction.push_back(0);
    records.exits[0].confidence.push_back(static_cast<float>(i) / 100);
  }
  const Losses losses = smoothed_losses(records);
  for (std::size_t i = 1; i < 100; ++i) EXPECT_LE(losses.of[0][i], losses.of[0][i - 1]);
  EXPECT_LT(losses.of[0][99], losses.one / 100);
}

// Sure answers that differ more often than unsure ones: what is told is the share of all.
TEST(SmoothedLosses, KeepTheShareWhereConfidenceMisleads) {
  decision::Records records;
  records.exits.resize(1);
  for (int i = 0; i < 1000; ++i) {
    const bool sure = i < 100;
    const bool differs = sure ? i % 10 < 3 : i % 20 == 0;
    records.backbone.push_back(0);
    records.exits[0].prediction.push_back(differs ? 1 : 0);
    records.exits[0].confidence.push_back(sure ? 0.99f : 0.7f);
  }
  const Losses losses = smoothed_losses(records);
  double sum = 0;
  for (const auto loss : losses.of[0]) sum += static_cast<double>(loss);
  EXPECT_NEAR(sum / static_cast<double>(losses.one) / 1000, 0.075, 0.003);
}

TEST(PlanList, HasAHashThatTellsItsOrder) {
  std::vector<ListedPlan> list = {{{{0, 0.9f}}, 0, 0, {1}}, {{{1, 0.5f}}, 0, 3, {0.5}}};
  const std::string hash = hash_of(list);
  std::swap(list[0], list[1]);
  EXPECT_NE(hash_of(list), hash);
  std::swap(list[0], list[1]);
  EXPECT_EQ(hash_of(list), hash);
  list[0].exits[0].threshold = 0.91f;
  EXPECT_NE(hash_of(list), hash);
}

// One exit that loses exactly `losses` of `samples`.
decision::Records losing(std::int64_t losses, std::size_t samples) {
  decision::Records records;
  records.backbone.assign(samples, 0);
  records.exits.push_back({std::vector<std::int32_t>(samples, 0), std::vector<float>(samples, 1)});
  for (std::int64_t i = 0; i < losses; ++i) records.exits[0].prediction[i] = 1;
  return records;
}

TEST(Certificate, TurnsBetweenTheLastAllowedLossAndTheNext) {
  const std::vector<ListedPlan> list = {{{{0, 0.5f}}, 0, 0, {1}}};
  EXPECT_EQ(certify(list, losing(12, 1000), 0.02, 0.05).plans, 1u);
  EXPECT_EQ(certify(list, losing(13, 1000), 0.02, 0.05).plans, 0u);
}

TEST(Certificate, TellsTheSamplesNeededWhenThereAreTooFew) {
  const std::vector<ListedPlan> list = {{{{0, 0.5f}}, 0, 0, {1}}};
  const auto few = certify(list, losing(0, 298), 0.01, 0.05);
  EXPECT_EQ(few.plans, 0u);
  EXPECT_EQ(few.cheapest[0], -1);
  EXPECT_EQ(few.samples_needed, 299);
  const auto losing_some = certify(list, losing(4, 500), 0.01, 0.05);
  EXPECT_EQ(losing_some.plans, 0u);
  EXPECT_GT(losing_some.samples_needed, 1000);
  const auto n = losing_some.samples_needed;
  EXPECT_LE(decision::p_value((4 * n + 250) / 500, n, 0.01), 0.05);
  EXPECT_EQ(certify(list, losing(30, 500), 0.01, 0.05).samples_needed, 0);
}

TEST(Certificate, TakesTheCheapestOfTheCertifiedForEachCostModel) {
  auto records = losing(0, 1000);
  records.exits.push_back(losing(50, 1000).exits[0]);
  const std::vector<ListedPlan> list = {
      {{{0, 0.5f}}, 0, 0, {5, 3}}, {{{0, 0.4f}}, 0, 1, {4, 9}}, {{{1, 0.5f}}, 0, 2, {1, 1}}};
  const auto result = certify(list, records, 0.01, 0.05);
  EXPECT_EQ(result.plans, 2u);
  EXPECT_THAT(result.cheapest, testing::ElementsAre(1, 0));
  EXPECT_THAT(result.differing, testing::ElementsAre(0, 0, 50));
}

}  // namespace
}  // namespace cachectl::select
