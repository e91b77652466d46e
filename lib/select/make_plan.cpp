#include "select/make_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "decision/outcome.h"
#include "select/joint.h"

namespace cachectl::select {
namespace {

MadePlan describe_exits(const Problem& problem, std::size_t model, const decision::Exits& exits) {
  MadePlan made{exits, {}};
  const auto outcome = decision::run_over(problem.validation, exits);
  const auto& cost = problem.costs[model];
  made.plan.batch = problem.batches[model];
  made.plan.predicted_saving =
      exits.empty() ? 0 : 1 - decision::cost_of(exits, outcome, cost) / cost.plain();
  made.plan.predicted_risk = outcome.risk();
  made.plan.reach = outcome.reach;
  made.plan.hits = outcome.hits;
  for (const auto& exit : exits) {
    made.plan.exits.push_back({static_cast<std::int64_t>(exit.candidate), exit.threshold});
  }
  for (const auto& loss : decision::loss_by_class(problem.validation, exits)) {
    made.plan.classes.push_back({loss.label, loss.samples, loss.hits, loss.differing});
  }
  return made;
}

artifact::RunnerUp runner_up(const Problem& problem, const decision::Exits& exits, double cost,
                             double plain, std::int64_t differing) {
  artifact::RunnerUp runner;
  for (const auto& exit : exits) {
    runner.layers.push_back(problem.caches.caches[exit.candidate].layer);
    runner.thresholds.push_back(exit.threshold);
  }
  runner.predicted_saving = 1 - cost / plain;
  runner.predicted_risk =
      static_cast<double>(differing) / static_cast<double>(problem.validation.samples());
  return runner;
}

std::vector<std::size_t> subset_of(const decision::Exits& exits) {
  std::vector<std::size_t> subset;
  for (const auto& exit : exits) subset.push_back(exit.candidate);
  return subset;
}

// Cheapest first, of each subset the cheapest plan alone.
std::vector<Choice> best_by_subset(std::vector<Choice> choices) {
  std::stable_sort(choices.begin(), choices.end(),
                   [](const Choice& a, const Choice& b) { return a.cost < b.cost; });
  std::set<std::vector<std::size_t>> seen;
  std::vector<Choice> kept;
  for (auto& choice : choices) {
    if (!choice.exits.empty() && seen.insert(subset_of(choice.exits)).second) {
      kept.push_back(std::move(choice));
    }
  }
  return kept;
}

std::vector<Choice> choices_within(const Problem& problem, std::size_t model, double tolerance,
                                   const std::string& budget, std::size_t top,
                                   std::size_t threads) {
  const auto by_budget = [&](Budget which) {
    return best_subsets(problem.validation, problem.curves, problem.costs[model], tolerance, which,
                        problem.limits, top + 1,
                        budget == "joint" ? kBranchesToBegin : kAllBranches);
  };
  if (budget == "halving") return by_budget(Budget::kHalving);
  if (budget == "equal") return by_budget(Budget::kEqual);
  // Joint: from the best of both; their own subsets are runners-up.
  std::vector<Choice> all = by_budget(Budget::kHalving);
  for (auto& choice : by_budget(Budget::kEqual)) all.push_back(std::move(choice));
  std::vector<decision::Exits> starts;
  starts.reserve(all.size());
  for (const auto& choice : all) starts.push_back(choice.exits);
  JointSearch search(problem.validation, problem.curves, problem.costs[model], problem.limits,
                     threads);
  const auto allowed =
      decision::allowed_wrong(tolerance, static_cast<std::int64_t>(problem.validation.samples()));
  all.push_back(search.solve(allowed, starts));
  for (auto& choice : search.path()) {
    if (choice.differing <= allowed) all.push_back(std::move(choice));
  }
  return best_by_subset(std::move(all));
}

}  // namespace

std::vector<MadePlan> plans_within(const Problem& problem, double tolerance,
                                   const std::string& budget, std::size_t top,
                                   std::size_t threads) {
  std::vector<MadePlan> plans;
  for (std::size_t model = 0; model < problem.costs.size(); ++model) {
    const auto choices = choices_within(problem, model, tolerance, budget, top, threads);
    const decision::Exits best = choices.empty()
                                     ? decision::Exits{}
                                     : decision::settled(problem.curves, choices.front().exits);
    MadePlan made = describe_exits(problem, model, best);
    for (std::size_t i = 1; i < choices.size() && made.plan.runners_up.size() < top; ++i) {
      made.plan.runners_up.push_back(runner_up(problem, choices[i].exits, choices[i].cost,
                                               problem.costs[model].plain(), choices[i].differing));
    }
    plans.push_back(std::move(made));
  }
  return plans;
}

std::vector<MadePlan> plans_certified(const Problem& problem, const std::vector<ListedPlan>& list,
                                      const Certified& certified, const Options& options,
                                      const CertifyPart& part) {
  artifact::Certificate certificate;
  certificate.epsilon = options.epsilon;
  certificate.delta = options.delta;
  certificate.samples = certified.samples;
  certificate.certify_ids_hash = part.ids_hash;
  certificate.storage = part.storage;
  certificate.backbone_precision = part.backbone_precision;
  certificate.list_hash = hash_of(list);
  certificate.list_size = static_cast<std::int64_t>(list.size());
  certificate.list_tested = static_cast<std::int64_t>(certified.p_values.size());
  certificate.list_certified = static_cast<std::int64_t>(certified.plans);
  certificate.samples_needed = certified.samples_needed;
  std::vector<MadePlan> plans;
  for (std::size_t model = 0; model < problem.costs.size(); ++model) {
    const double plain = problem.costs[model].plain();
    const std::int64_t place = certified.cheapest.empty() ? -1 : certified.cheapest[model];
    const bool found = place >= 0 && list[static_cast<std::size_t>(place)].costs[model] < plain;
    MadePlan made = describe_exits(
        problem, model, found ? list[static_cast<std::size_t>(place)].exits : decision::Exits{});
    certificate.holds = found;
    // Without a certified plan: what became of the safest one.
    const auto shown = static_cast<std::size_t>(found ? place : 0);
    if (shown < certified.p_values.size()) {
      certificate.differing = certified.differing[shown];
      certificate.p_value = certified.p_values[shown];
    }
    made.plan.certificate = certificate;
    std::vector<Choice> others;
    for (std::size_t j = 0; j < certified.plans; ++j) {
      if (static_cast<std::int64_t>(j) == place || list[j].costs[model] >= plain) continue;
      others.push_back({list[j].exits, list[j].costs[model], list[j].differing});
    }
    for (const auto& other : best_by_subset(std::move(others))) {
      if (made.plan.runners_up.size() == static_cast<std::size_t>(options.top)) break;
      if (subset_of(other.exits) == subset_of(made.exits)) continue;
      made.plan.runners_up.push_back(
          runner_up(problem, other.exits, other.cost, plain, other.differing));
    }
    plans.push_back(std::move(made));
  }
  return plans;
}

void assemble(const Problem& problem, const std::vector<MadePlan>& plans,
              artifact::PlanFile& file) {
  std::map<std::int64_t, std::int64_t> number;  // candidate -> place in the file
  for (const auto& made : plans) {
    for (const auto& exit : made.plan.exits) number[exit.cache] = 0;
  }
  for (auto& [candidate, place] : number) {
    place = static_cast<std::int64_t>(file.caches.size());
    file.caches.push_back(problem.caches.caches[static_cast<std::size_t>(candidate)]);
  }
  for (const auto& made : plans) {
    file.plans.push_back(made.plan);
    for (auto& exit : file.plans.back().exits) exit.cache = number[exit.cache];
  }
}

}  // namespace cachectl::select
