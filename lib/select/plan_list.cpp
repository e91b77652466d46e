#include "select/plan_list.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/cancel.h"
#include "base/hash.h"
#include "base/progress.h"
#include "decision/fixed_sequence.h"
#include "decision/outcome.h"
#include "select/joint.h"
#include "select/losses.h"

namespace cachectl::select {

using decision::Exits;

namespace {

// Marks the plans that no other beats in both risk and cost; those dearer than the
// backbone are beaten by the empty plan.
void mark_front(const std::vector<ListedPlan>& plans, std::size_t model, double plain,
                std::vector<bool>& keep) {
  std::vector<std::size_t> order(plans.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (plans[a].estimated_risk != plans[b].estimated_risk) {
      return plans[a].estimated_risk < plans[b].estimated_risk;
    }
    return plans[a].costs[model] < plans[b].costs[model];
  });
  double cheapest = plain;
  for (const std::size_t i : order) {
    if (plans[i].costs[model] >= cheapest) continue;
    cheapest = plans[i].costs[model];
    keep[i] = true;
  }
}

// The plans that one cost model suggests, over all allowances.
void suggest(const decision::Records& validation, const std::vector<decision::Curve>& curves,
             const decision::CostModel& cost, const Limits& limits, const Losses& losses,
             const ListOptions& options, Progress& progress, std::vector<Exits>& suggested) {
  JointSearch search(validation, curves, cost, limits, losses, options.threads);
  const auto samples = static_cast<double>(validation.samples());
  Exits before;
  for (std::size_t step = 0; step <= options.steps; ++step) {
    cancel::throw_if_requested();
    // Closer together where they are small: safe plans are what the testing begins with.
    const double share =
        std::pow(static_cast<double>(step) / static_cast<double>(options.steps), 1.5);
    const double risk = share * options.greatest_risk;
    std::vector<Exits> starts = {before};
    // The best subsets at a few of the allowances; in between, the search goes on
    // from its neighbour.
    if (step % 8 == 0 || step == options.steps) {
      for (const Budget budget : {Budget::kHalving, Budget::kEqual}) {
        for (const auto& choice :
             best_subsets(validation, curves, cost, risk, budget, limits, 1, kBranchesToBegin)) {
          starts.push_back(choice.exits);
          suggested.push_back(choice.exits);
        }
      }
    }
    const auto allowed = static_cast<std::int64_t>(risk * samples * losses.one);
    const Choice choice = search.solve(allowed, starts, 1);
    before = choice.exits;
    if (!choice.exits.empty()) suggested.push_back(choice.exits);
    progress.advance();
  }
  for (const auto& choice : search.path()) suggested.push_back(choice.exits);
}

double smoothed_risk(const Losses& losses, const Exits& exits, const decision::Outcome& outcome) {
  double lost = 0;
  for (std::size_t i = 0; i < outcome.left_at.size(); ++i) {
    const auto e = static_cast<std::size_t>(outcome.left_at[i]);
    if (e < exits.size()) lost += losses.of[exits[e].candidate][i];
  }
  return lost / losses.one / static_cast<double>(outcome.samples);
}

}  // namespace

std::vector<ListedPlan> plan_list(const decision::Records& validation,
                                  const std::vector<decision::Curve>& curves,
                                  const std::vector<decision::CostModel>& costs,
                                  const Limits& limits, const ListOptions& options) {
  const Losses losses = smoothed_losses(validation);
  std::vector<Exits> suggested;
  Progress progress("list plans", static_cast<std::int64_t>(costs.size() * (options.steps + 1)),
                    "allowances");
  for (const auto& cost : costs) {
    suggest(validation, curves, cost, limits, losses, options, progress, suggested);
  }
  progress.finish();
  std::vector<ListedPlan> plans;
  for (const Exits& exits : suggested) {
    const auto outcome = decision::run_over(validation, exits);
    ListedPlan plan;
    plan.exits = decision::settled(curves, exits);
    plan.differing = outcome.differing;
    plan.estimated_risk = smoothed_risk(losses, exits, outcome);
    if (plan.estimated_risk > options.greatest_risk) continue;
    for (const auto& cost : costs) plan.costs.push_back(decision::cost_of(exits, outcome, cost));
    plans.push_back(std::move(plan));
  }
  std::vector<bool> keep(plans.size(), false);
  for (std::size_t model = 0; model < costs.size(); ++model) {
    mark_front(plans, model, costs[model].plain(), keep);
  }
  std::vector<ListedPlan> list;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (!keep[i]) continue;
    const bool known = std::any_of(list.begin(), list.end(), [&](const ListedPlan& other) {
      return other.exits == plans[i].exits;
    });
    if (!known) list.push_back(std::move(plans[i]));
  }
  // Safest first; of equally safe ones the dearest, which answers the fewest early.
  std::stable_sort(list.begin(), list.end(), [](const ListedPlan& a, const ListedPlan& b) {
    if (a.estimated_risk != b.estimated_risk) return a.estimated_risk < b.estimated_risk;
    return a.costs.front() > b.costs.front();
  });
  return list;
}

std::string hash_of(const std::vector<ListedPlan>& list) {
  Sha256 hash;
  for (const auto& plan : list) {
    hash.update(std::uint64_t{plan.exits.size()});
    for (const auto& exit : plan.exits) {
      std::uint32_t bits;
      static_assert(sizeof(bits) == sizeof(exit.threshold));
      std::memcpy(&bits, &exit.threshold, sizeof(bits));
      hash.update(std::uint64_t{exit.candidate}).update(std::uint64_t{bits});
    }
  }
  return hash.hex();
}

Certified certify(const std::vector<ListedPlan>& list, const decision::Records& certifying,
                  double epsilon, double delta) {
  Certified result;
  result.samples = static_cast<std::int64_t>(certifying.samples());
  const auto sequence = decision::test_in_sequence(
      list.size(), result.samples, epsilon, delta,
      [&](std::size_t j) { return decision::run_over(certifying, list[j].exits).differing; });
  for (const auto& test : sequence.tests) {
    result.differing.push_back(test.losses);
    result.p_values.push_back(test.p);
  }
  result.plans = sequence.certified;
  const std::size_t models = list.empty() ? 0 : list.front().costs.size();
  result.cheapest.assign(models, -1);
  for (std::size_t model = 0; model < models; ++model) {
    for (std::size_t j = 0; j < result.plans; ++j) {
      const auto best = result.cheapest[model];
      if (best < 0 || list[j].costs[model] < list[static_cast<std::size_t>(best)].costs[model]) {
        result.cheapest[model] = static_cast<std::int64_t>(j);
      }
    }
  }
  if (result.plans == 0) {
    const std::int64_t lost = result.differing.empty() ? 0 : result.differing.front();
    result.samples_needed = decision::samples_needed(lost, epsilon, delta);
    // At the rate seen: n samples with rate * n losses. No number helps at epsilon or above.
    const double rate =
        result.samples == 0 ? 0 : static_cast<double>(lost) / static_cast<double>(result.samples);
    if (lost > 0 && rate < epsilon) {
      std::int64_t n = result.samples_needed;
      while (decision::p_value(std::llround(rate * static_cast<double>(n)), n, epsilon) > delta) {
        n += n / 20 + 1;
      }
      result.samples_needed = n;
    } else if (lost > 0) {
      result.samples_needed = 0;
    }
  }
  return result;
}

}  // namespace cachectl::select
