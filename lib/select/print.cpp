#include "select/print.h"

#include <fmt/core.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/table.h"
#include "base/text.h"

namespace cachectl::select {
namespace {

using Json = nlohmann::ordered_json;

std::string percent(double share) {
  return fmt::format("{:.2f} %", 100 * share);
}
std::string batch_name(const artifact::Plan& plan) {
  return plan.batch == 0 ? "any" : std::to_string(plan.batch);
}

artifact::Emptiness emptiness_of(const artifact::Plan& plan) {
  return artifact::emptiness_of(plan.certificate ? &*plan.certificate : nullptr);
}

const artifact::TrainedCache& cache_of(const artifact::PlanFile& file, const artifact::Exit& exit) {
  return file.caches[static_cast<std::size_t>(exit.cache)];
}

Json json_of(const artifact::PlanFile& file, const artifact::Plan& plan) {
  Json json = {{"batch", plan.batch},
               {"predicted_saving", plan.predicted_saving},
               {"predicted_risk", plan.predicted_risk},
               {"exits", Json::array()}};
  if (plan.exits.empty()) json["empty"] = artifact::name_of(emptiness_of(plan));
  for (std::size_t e = 0; e < plan.exits.size(); ++e) {
    const auto& cache = cache_of(file, plan.exits[e]);
    json["exits"].push_back({{"layer", cache.layer},
                             {"architecture", cache.architecture},
                             {"threshold", plan.exits[e].threshold},
                             {"temperature", cache.calibration.temperature},
                             {"reach", plan.reach[e]},
                             {"hits", plan.hits[e]}});
  }
  if (plan.certificate) {
    const auto& made = *plan.certificate;
    json["certificate"] = {{"holds", made.holds},
                           {"epsilon", made.epsilon},
                           {"delta", made.delta},
                           {"samples", made.samples},
                           {"differing", made.differing},
                           {"p_value", made.p_value},
                           {"samples_needed", made.samples_needed},
                           {"precision", made.precision},
                           {"storage", made.storage},
                           {"list_size", made.list_size},
                           {"list_tested", made.list_tested},
                           {"list_certified", made.list_certified},
                           {"list_hash", made.list_hash}};
  }
  for (const auto& runner : plan.runners_up) {
    json["runners_up"].push_back({{"layers", runner.layers},
                                  {"thresholds", runner.thresholds},
                                  {"predicted_saving", runner.predicted_saving},
                                  {"predicted_risk", runner.predicted_risk}});
  }
  for (const auto& loss : plan.classes) {
    json["classes"].push_back({{"class", loss.label},
                               {"samples", loss.samples},
                               {"hits", loss.hits},
                               {"differing", loss.differing}});
  }
  return json;
}

void print_exits(const artifact::PlanFile& file, const artifact::Plan& plan) {
  if (plan.exits.empty()) return;
  Table table({"exit", "architecture", "threshold", "reach", "hits"});
  for (std::size_t e = 0; e < plan.exits.size(); ++e) {
    const auto& cache = cache_of(file, plan.exits[e]);
    table.add({cache.layer, cache.architecture, fmt::format("{:.4f}", plan.exits[e].threshold),
               std::to_string(plan.reach[e]), std::to_string(plan.hits[e])});
  }
  table.print(std::cout);
}

void print_runners_up(const artifact::Plan& plan) {
  if (plan.runners_up.empty()) return;
  std::cout << "runners-up:\n";
  Table table({"subset", "saves", "differ"});
  for (const auto& runner : plan.runners_up) {
    table.add({text::join(runner.layers, " "), percent(runner.predicted_saving),
               percent(runner.predicted_risk)});
  }
  table.print(std::cout);
}

void print_classes(const artifact::PlanFile& file, const artifact::Plan& plan) {
  Table table({"class", "samples", "leave early", "differ"});
  for (const auto& loss : plan.classes) {
    const auto label = static_cast<std::size_t>(loss.label);
    table.add(
        {label < file.class_names.size() ? file.class_names[label] : std::to_string(loss.label),
         std::to_string(loss.samples), std::to_string(loss.hits), std::to_string(loss.differing)});
  }
  table.print(std::cout);
}

std::string why_empty(const artifact::Plan& plan) {
  switch (emptiness_of(plan)) {
    case artifact::Emptiness::kNothingPays:
      return "caching does not pay here: no subset of the cache models costs less than the "
             "backbone alone";
    case artifact::Emptiness::kNoCertifiedPays:
      return "no certified plan costs less than the backbone alone";
    case artifact::Emptiness::kNothingCertified:
      break;
  }
  const artifact::Certificate& certificate = *plan.certificate;
  return fmt::format(
      "nothing is certified at epsilon {:g} % with {} samples, {} of which differ under the safest "
      "plan; {}",
      100 * certificate.epsilon, certificate.samples, certificate.differing,
      certificate.samples_needed > 0
          ? fmt::format("at this rate {} samples would be needed", certificate.samples_needed)
          : "no number of samples would help: the safest plan differs as often as that");
}

}  // namespace

std::string sentence(const artifact::Plan& plan) {
  std::string text = "batch " + batch_name(plan) + ": ";
  if (plan.exits.empty()) return text + why_empty(plan) + "; the plan is empty";
  const auto& certificate = plan.certificate;
  text +=
      fmt::format("{} exits, predicted to save {} and to differ on {} of the samples",
                  plan.exits.size(), percent(plan.predicted_saving), percent(plan.predicted_risk));
  if (certificate && certificate->holds) {
    text += fmt::format(
        "; certified: at most {:g} % differ, with probability {:g} % ({} of {} did, p = {:.3g})",
        100 * certificate->epsilon, 100 * (1 - certificate->delta), certificate->differing,
        certificate->samples, certificate->p_value);
  }
  return text;
}

void print_plans(const artifact::PlanFile& file, const std::vector<ListedPlan>& list,
                 const Certified& certified, bool per_class, bool json) {
  if (json) {
    Json all = {{"cost", file.cost_kind}, {"budget", file.budget}, {"tolerance", file.tolerance}};
    for (const auto& plan : file.plans) all["plans"].push_back(json_of(file, plan));
    const auto samples = static_cast<double>(file.validation_ids.size());
    for (std::size_t j = 0; j < list.size(); ++j) {
      Json listed = {{"exits", list[j].exits.size()},
                     {"estimated_risk", list[j].estimated_risk},
                     {"predicted_risk", static_cast<double>(list[j].differing) / samples},
                     {"costs", list[j].costs}};
      if (j < certified.p_values.size()) {
        listed["differing"] = certified.differing[j];
        listed["p_value"] = certified.p_values[j];
        listed["certified"] = j < certified.plans;
      }
      all["list"].push_back(std::move(listed));
    }
    std::cout << all.dump(2) << '\n';
    return;
  }
  for (const auto& plan : file.plans) {
    std::cout << sentence(plan) << '\n';
    print_exits(file, plan);
    print_runners_up(plan);
    if (per_class) print_classes(file, plan);
  }
}

}  // namespace cachectl::select
