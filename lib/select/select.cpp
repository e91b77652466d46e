#include "select/select.h"

#include <limits>
#include <set>

#include "artifact/medial.h"
#include "artifact/plan.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "model/workers.h"
#include "runtime/recorded_answers.h"
#include "select/make_plan.h"
#include "select/plan_list.h"
#include "select/print.h"
#include "select/problem.h"
#include "select/self_test.h"
#include "select/verify.h"

namespace cachectl::select {
namespace {

// What the cache models answer on the certify part. Called when the list is frozen.
decision::Records certify_records(const Problem& problem, const artifact::MedialReader& medial,
                                  const std::vector<ListedPlan>& list,
                                  const std::vector<std::int64_t>& rows) {
  decision::Records records;
  records.backbone = runtime::backbone_classes(medial, rows);
  const auto& caches = problem.caches;
  std::vector<bool> used(caches.caches.size(), false);
  for (const auto& plan : list) {
    for (const auto& exit : plan.exits) used[exit.candidate] = true;
  }
  records.exits.resize(used.size());
  runtime::logits_on(caches.caches, used, caches.classes, medial, rows,
                     [&](std::size_t d, const std::vector<float>& logits) {
                       records.exits[d] = runtime::answers_of(
                           logits, caches.classes, caches.caches[d].calibration.temperature);
                     });
  return records;
}

// How the activations are kept that the listed plans read: "float16", "float16, int8".
std::string storage_of(const Problem& problem, const artifact::MedialReader& medial,
                       const std::vector<ListedPlan>& list) {
  std::set<std::string> kept;
  for (const auto& plan : list) {
    for (const auto& exit : plan.exits) {
      const std::string& layer = problem.caches.caches[exit.candidate].layer;
      kept.insert(io::name_of(medial.layer(layer).stored));
    }
  }
  return text::join({kept.begin(), kept.end()}, ", ");
}

struct Outcome {
  std::vector<MadePlan> plans;
  std::vector<ListedPlan> list;
  Certified certified;
};

Outcome with_certificate(const Options& options, const Problem& problem,
                         const artifact::MedialReader& medial) {
  const auto rows = medial.rows_of(data::Part::kCertify);
  if (rows.empty()) {
    fail(ExitCode::kNothingProcessed,
         "{}: has no certify part, and --epsilon asks for a certificate: collect with a share of "
         "split.certify",
         options.medial);
  }
  Outcome outcome;
  // Plans estimated at twice epsilon have no chance left; below, the test decides.
  outcome.list = plan_list(problem.validation, problem.curves, problem.costs, problem.limits,
                           {2 * options.epsilon, static_cast<std::size_t>(options.list_steps),
                            model::thread_count(options.common.threads)});
  log::info("{} plans listed on {} validation samples, {:.12}; certifying on {} samples",
            outcome.list.size(), problem.validation.samples(), hash_of(outcome.list), rows.size());
  outcome.certified = certify(outcome.list, certify_records(problem, medial, outcome.list, rows),
                              options.epsilon, options.delta);
  outcome.plans = plans_certified(
      problem, outcome.list, outcome.certified, options,
      {medial.ids_hash(data::Part::kCertify), storage_of(problem, medial, outcome.list),
       artifact::precision_of_collection(medial.provenance())});
  return outcome;
}

}  // namespace

void describe(OptionTable& table, Options& options) {
  table.section("select");
  table.input("medial", options.medial, "activations and the backbone's answers").required();
  table.input("caches", options.caches, "calibrated cache models");
  table.input("profile", options.profile, "what the backbone's layers cost");
  table.output("out", options.out, "the plan");
  table.input("verify", options.verify, "test this plan's certificate on --medial instead");
  table.value("part", &options.part, "of --medial, with --verify")
      .choices({"all", "train", "validation", "certify", "test"})
      .only_flag();
  table
      .value("verify_epsilon", &options.verify_epsilon,
             "test this with --verify; 0: what the plan's certificate promises")
      .range(0, 0.999999)
      .only_flag();
  table
      .value("tolerance", &options.tolerance,
             "of the accuracy drop estimated on validation; without --epsilon")
      .range(0, 1);
  table.value("budget", &options.budget, "how the tolerance is shared among the exits")
      .choices({"halving", "equal", "joint"});
  table
      .value("epsilon", &options.epsilon,
             "certify that at most this share differs from the backbone; 0: no certificate")
      .range(0, 0.999999);
  table.value("delta", &options.delta, "the certificate holds with probability 1 - delta")
      .range(1e-12, 0.999999);
  table
      .value("list_steps", &options.list_steps,
             "allowances tried for the list of plans that is certified")
      .range(1, 100000);
  table.value("cost", &options.cost, "what is saved").choices({"flops", "latency"});
  table.value("batch", &options.batch, "with --cost latency: a plan for each of these sizes")
      .range(1, 65536);
  table.value("top", &options.top, "runners-up kept and shown").range(0, 1000);
  table.value("max_caches", &options.max_caches, "in a plan; 0: any number").range(0, 1000000);
  table.value("max_model_mib", &options.max_model_mib, "weights of its cache models; 0: any size")
      .range(0, std::numeric_limits<double>::infinity());
  table.value("require", &options.require, "layers whose cache models must be in the plan");
  table.value("forbid", &options.forbid, "layers whose cache models must not");
  table.value("per_class", &options.per_class, "show which classes lose what");
  table.value("self_test", &options.self_test, "samples kept in the plan, replayed at load")
      .range(0, 4096);
  data::describe(table, options.data);
  // For --cost latency only.
  const std::size_t before = table.options().size();
  model::describe(table, options.backbone);
  for (std::size_t i = before; i < table.options().size(); ++i) {
    table.options()[i].is_required = false;
  }
}

void run(Options& options) {
  if (!options.verify.empty()) return verify(options);
  if (options.caches.empty() || options.profile.empty() || options.out.empty()) {
    fail(ExitCode::kUsage,
         "--caches, --profile and --out are required; --help tells what they are");
  }
  const artifact::MedialReader medial(options.medial);
  const Problem problem = read_problem(options, medial);
  Outcome outcome;
  if (options.epsilon > 0) {
    outcome = with_certificate(options, problem, medial);
  } else {
    outcome.plans = plans_within(problem, options.tolerance, options.budget,
                                 static_cast<std::size_t>(options.top),
                                 model::thread_count(options.common.threads));
    log::info(
        "no certificate: the drop is an estimate on {} validation samples; --epsilon asks "
        "for a bound that holds",
        problem.validation.samples());
  }

  artifact::PlanFile file;
  file.backbone_hash = problem.profile.backbone_hash;
  file.classes = problem.caches.classes;
  file.cost_kind = options.cost;
  file.tolerance = options.epsilon > 0 ? options.epsilon : options.tolerance;
  file.budget = options.epsilon > 0 ? "certified" : options.budget;
  file.train_ids = runtime::ids_of(medial, medial.rows_of(data::Part::kTrain));
  file.validation_ids = runtime::ids_of(medial, medial.rows_of(data::Part::kValidation));
  if (options.epsilon > 0) {
    file.certify_ids = runtime::ids_of(medial, medial.rows_of(data::Part::kCertify));
  }
  assemble(problem, outcome.plans, file);
  std::vector<decision::Exits> exits;
  for (const auto& made : outcome.plans) exits.push_back(made.exits);
  add_self_test(options, problem, exits, file);
  if (!file.transform.empty()) artifact::require_same_transform(medial, file.transform);
  artifact::write_plan(options.out, file, options.common,
                       {{"caches", problem.caches.provenance},
                        {"medial", medial.provenance()},
                        {"profile", problem.profile.provenance}});
  log::info("{}: {} plan(s)", options.out, file.plans.size());
  print_plans(file, outcome.list, outcome.certified, options.per_class, options.common.json);
}

}  // namespace cachectl::select
