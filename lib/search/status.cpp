#include <fmt/core.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/table.h"
#include "base/text.h"
#include "search/search.h"

namespace cachectl::search {
namespace {

using Json = nlohmann::ordered_json;

std::vector<const artifact::LayerStudy*> brackets_of(const artifact::Study& study,
                                                     const std::string& layer) {
  std::vector<const artifact::LayerStudy*> brackets;
  for (const auto& one : study.layers) {
    if (one.layer == layer) brackets.push_back(&one);
  }
  return brackets;
}

std::size_t trials_in(const std::vector<const artifact::LayerStudy*>& brackets) {
  std::size_t count = 0;
  for (const auto* bracket : brackets) count += bracket->trials.size();
  return count;
}

Json json_of(const artifact::Trial& trial) {
  Json json = {{"number", trial.number},  {"architecture", trial.architecture},
               {"origin", trial.origin},  {"state", name_of(trial.state)},
               {"macs", trial.flops / 2}, {"parameters", trial.parameters}};
  if (const auto* last = trial.last()) {
    json["rung"] = last->rung;
    json["epochs"] = last->epochs;
    json["utility_flops"] = last->utility;
    json["agreement"] = last->agreement;
    json["hit_rate"] = last->hit_rate;
    json["cache_accuracy"] = last->cache_accuracy;
    json["seconds"] = last->seconds;
  }
  return json;
}

void print_json(const artifact::Study& study) {
  Json layers = Json::array();
  for (const auto& choice : artifact::choose(study)) {
    const auto brackets = brackets_of(study, choice.layer);
    Json layer = {{"layer", choice.layer},
                  {"shape", brackets.front()->shape},
                  {"flops_after", brackets.front()->flops_after},
                  {"chance", brackets.front()->chance},
                  {"trials", trials_in(brackets)}};
    layer["chosen"] = choice.trial == nullptr ? Json(nullptr) : json_of(*choice.trial);
    if (!choice.reason.empty()) layer["reason"] = choice.reason;
    layer["front"] = Json::array();
    for (const auto* trial : artifact::pareto_front(brackets)) {
      layer["front"].push_back(json_of(*trial));
    }
    layers.push_back(std::move(layer));
  }
  std::cout << Json{{"complete", study.complete()},
                    {"tolerance", study.tolerance},
                    {"objective", study.objective},
                    {"layers", layers}}
                   .dump(2)
            << '\n';
}

std::string percent(double share) {
  return fmt::format("{:.2f} %", 100 * share);
}

}  // namespace

void print(const artifact::Study& study, bool json) {
  if (json) {
    print_json(study);
    return;
  }
  Table table({"layer", "shape", "trials", "", "architecture", "MACs", "agrees", "hits", "saves",
               "epochs"});
  for (const auto& choice : artifact::choose(study)) {
    const auto brackets = brackets_of(study, choice.layer);
    const auto& first = *brackets.front();
    const double plain = first.flops_before + first.flops_after;
    const auto add = [&](const artifact::Trial& trial, const char* mark, bool named) {
      const auto* last = trial.last();
      table.add({named ? choice.layer : "", named ? text::shape(first.shape) : "",
                 named ? std::to_string(trials_in(brackets)) : "", mark, trial.architecture,
                 text::count(trial.flops / 2), percent(last->agreement), percent(last->hit_rate),
                 percent(last->utility / plain), std::to_string(last->epochs)});
    };
    bool named = true;
    if (choice.trial == nullptr) {
      table.add({choice.layer, text::shape(first.shape), std::to_string(trials_in(brackets)), "",
                 "none", "", "", "", "", ""});
      named = false;
    } else {
      add(*choice.trial, "chosen", true);
      named = false;
    }
    for (const auto* trial : artifact::pareto_front(brackets)) {
      if (trial != choice.trial && trial->last() != nullptr) add(*trial, "front", named);
    }
  }
  table.print(std::cout);
  if (!study.complete()) std::cout << "The search goes on.\n";
}

artifact::Study read_latest(const std::string& path) {
  const auto partial = io::partial_path(path);
  const bool grows = std::filesystem::exists(partial);
  if (!grows && !std::filesystem::exists(path)) {
    fail(ExitCode::kCannotOpen, "{}: no such study, and no {} beside it", path, partial.string());
  }
  return artifact::read_study(grows ? partial.string() : path);
}

}  // namespace cachectl::search
