#include "select/verify.h"

#include <fmt/core.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "artifact/medial.h"
#include "artifact/plan.h"
#include "base/error.h"
#include "base/table.h"
#include "decision/fixed_sequence.h"
#include "decision/outcome.h"
#include "runtime/recorded_answers.h"

namespace cachectl::select {
namespace {

std::vector<std::int64_t> rows_of(const artifact::MedialReader& medial, const std::string& part) {
  std::vector<std::int64_t> rows;
  for (const data::Part one : data::kParts) {
    if (part != "all" && part != data::part_name(one)) continue;
    const auto more = medial.rows_of(one);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

void require_fresh(const Options& options, const artifact::PlanFile& plan,
                   const std::vector<std::uint64_t>& ids) {
  const struct {
    const std::vector<std::uint64_t>& ids;
    const char* use;
  } uses[] = {{plan.train_ids, "its cache models learnt from"},
              {plan.validation_ids, "it was chosen by"},
              {plan.certify_ids, "it was certified by"}};
  for (const auto& use : uses) {
    const std::set<std::uint64_t> used(use.ids.begin(), use.ids.end());
    std::size_t shared = 0;
    for (const auto id : ids) shared += used.count(id);
    if (shared == 0) continue;
    fail(ExitCode::kIncompatible,
         "{}: {} of its {} samples are among those that {} ({}); a plan is verified on samples it "
         "has not met: collect fresh ones, or take a part that is (--part test)",
         options.medial, shared, ids.size(), use.use, options.verify);
  }
}

// Other inputs or answers than the plan is about say nothing of it.
void require_made_alike(const Options& options, const artifact::PlanFile& plan,
                        const artifact::MedialReader& medial) {
  if (!plan.transform.empty()) artifact::require_same_transform(medial, plan.transform);
  const std::string precision = artifact::precision_of_collection(medial.provenance());
  for (const artifact::Plan& one : plan.plans) {
    if (!one.certificate || one.certificate->backbone_precision == precision) continue;
    fail(ExitCode::kIncompatible,
         "{}: the backbone answered at {}, the certificate of {} is about its answers at {}: "
         "collect "
         "with --precision {}",
         options.medial, precision, options.verify, one.certificate->backbone_precision,
         one.certificate->backbone_precision);
  }
}

struct Verdict {
  std::int64_t batch = 0, samples = 0, differing = 0;
  double epsilon = 0, delta = 0, risk = 0, upper = 1, p_value = 1;
  std::string text;
  std::vector<decision::ClassLoss> classes;
};

Verdict judge(const decision::Records& records, const artifact::Plan& plan,
              const Options& options) {
  decision::Exits exits;
  for (const auto& exit : plan.exits) {
    exits.push_back({static_cast<std::size_t>(exit.cache), static_cast<float>(exit.threshold)});
  }
  const auto outcome = decision::run_over(records, exits);
  Verdict verdict;
  verdict.batch = plan.batch;
  verdict.samples = outcome.samples;
  verdict.differing = outcome.differing;
  verdict.risk = outcome.risk();
  verdict.classes = decision::loss_by_class(records, exits);
  // The promise is the plan's, whatever epsilon a configuration asks of new ones.
  verdict.epsilon = plan.certificate ? plan.certificate->epsilon : options.epsilon;
  verdict.delta = plan.certificate ? plan.certificate->delta : options.delta;
  if (options.verify_epsilon > 0) verdict.epsilon = options.verify_epsilon;
  verdict.upper = decision::upper_bound(verdict.differing, verdict.samples, verdict.delta);
  if (exits.empty()) {
    verdict.text = "confirmed: the backbone alone";
    verdict.p_value = 0;
    verdict.upper = 0;
    return verdict;
  }
  if (verdict.epsilon <= 0) {
    verdict.text = "no certificate: give --verify-epsilon to test one";
    return verdict;
  }
  const auto n = verdict.samples, k = verdict.differing;
  verdict.p_value = decision::p_value(k, n, verdict.epsilon);
  const double as_many = 1 - decision::binomial_cdf(k - 1, n, verdict.epsilon);
  verdict.text = verdict.p_value <= verdict.delta ? "confirmed"
                 : as_many <= verdict.delta       ? "refuted"
                                                  : "undecided";
  return verdict;
}

nlohmann::ordered_json json_of(const Verdict& verdict) {
  nlohmann::ordered_json json = {
      {"batch", verdict.batch},         {"verdict", verdict.text}, {"samples", verdict.samples},
      {"differing", verdict.differing}, {"risk", verdict.risk},    {"upper_bound", verdict.upper},
      {"epsilon", verdict.epsilon},     {"delta", verdict.delta},  {"p_value", verdict.p_value}};
  for (const auto& loss : verdict.classes) {
    json["classes"].push_back({{"class", loss.label},
                               {"samples", loss.samples},
                               {"hits", loss.hits},
                               {"differing", loss.differing}});
  }
  return json;
}

void print(const std::vector<Verdict>& verdicts, const Options& options) {
  if (options.common.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const auto& verdict : verdicts) all.push_back(json_of(verdict));
    std::cout << all.dump(2) << '\n';
    return;
  }
  Table table(
      {"batch", "samples", "differ", "risk", "at most", "epsilon", "delta", "p", "verdict"});
  for (const auto& verdict : verdicts) {
    table.add(
        {verdict.batch == 0 ? "any" : std::to_string(verdict.batch),
         std::to_string(verdict.samples), std::to_string(verdict.differing),
         fmt::format("{:.2f} %", 100 * verdict.risk), fmt::format("{:.2f} %", 100 * verdict.upper),
         fmt::format("{:g} %", 100 * verdict.epsilon), fmt::format("{:g} %", 100 * verdict.delta),
         fmt::format("{:.3g}", verdict.p_value), verdict.text});
  }
  table.print(std::cout);
  if (!options.per_class) return;
  for (const auto& verdict : verdicts) {
    std::cout << '\n';
    Table classes({"class", "samples", "leave early", "differ"});
    for (const auto& loss : verdict.classes) {
      classes.add({std::to_string(loss.label), std::to_string(loss.samples),
                   std::to_string(loss.hits), std::to_string(loss.differing)});
    }
    classes.print(std::cout);
  }
}

}  // namespace

void verify(const Options& options) {
  const artifact::PlanFile plan = artifact::read_plan(options.verify);
  const artifact::MedialReader medial(options.medial);
  io::require_same_input("backbone", options.verify, plan.provenance, options.medial,
                         medial.provenance());
  require_made_alike(options, plan, medial);
  const auto rows = rows_of(medial, options.part);
  if (rows.empty()) {
    fail(ExitCode::kNothingProcessed, "{}: has no samples in part '{}'", options.medial,
         options.part);
  }
  require_fresh(options, plan, runtime::ids_of(medial, rows));
  decision::Records records;
  records.backbone = runtime::backbone_classes(medial, rows);
  const std::vector<bool> all(plan.caches.size(), true);
  runtime::logits_on(plan.caches, all, plan.classes, medial, rows,
                     [&](std::size_t d, const std::vector<float>& logits) {
                       records.exits.push_back(runtime::answers_of(
                           logits, plan.classes, plan.caches[d].calibration.temperature));
                     });
  std::vector<Verdict> verdicts;
  for (const auto& one : plan.plans) verdicts.push_back(judge(records, one, options));
  print(verdicts, options);
}

}  // namespace cachectl::select
