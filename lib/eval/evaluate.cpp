#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <optional>
#include <set>

#include "artifact/caches.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "data/split.h"
#include "eval/beside.h"
#include "eval/eval.h"
#include "eval/outcome.h"
#include "eval/recording.h"
#include "eval/remarks.h"
#include "eval/test_part.h"
#include "eval/timing.h"
#include "eval/trade.h"

namespace cachectl::eval {

namespace {

constexpr std::int64_t kRecordingBatch = 64;

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.rfind("model name", 0) == 0) return text::trim(line.substr(line.find(':') + 1));
  }
  return "unknown";
}

// A model of --caches that takes the logits of a plan's needs the plan's to be the one it learnt
// with: a cache model of that layer from another training answers otherwise.
void require_same_priors(const std::vector<artifact::TrainedCache>& added,
                         const artifact::Caches& from, const artifact::PlanFile& plan,
                         const Options& options) {
  const auto of_layer = [](const std::vector<artifact::TrainedCache>& caches,
                           const std::string& layer) {
    return std::find_if(caches.begin(), caches.end(),
                        [&](const auto& cache) { return cache.layer == layer; });
  };
  for (const artifact::TrainedCache& cache : added) {
    if (cache.prior.empty()) continue;
    const auto in_plan = of_layer(plan.caches, cache.prior);
    if (in_plan == plan.caches.end()) continue;
    const auto learnt_with = of_layer(from.caches, cache.prior);
    const bool same =
        in_plan->architecture == learnt_with->architecture &&
        std::all_of(in_plan->weights.begin(), in_plan->weights.end(), [&](const auto& weight) {
          return at::equal(weight.second, learnt_with->weights.at(weight.first));
        });
    if (same) continue;
    fail(ExitCode::kIncompatible,
         "{}: the cache model of '{}' takes the logits of '{}', but {} holds another one for that "
         "layer; name the cache models that this plan was selected from",
         options.caches, cache.layer, cache.prior, options.plan);
  }
}

// An engine that asks every cache model about every sample: those of --caches and the plan's.
runtime::Engine engine_of_all(std::shared_ptr<const model::Backbone> backbone,
                              const artifact::PlanFile& plan, const Options& options) {
  std::vector<artifact::TrainedCache> caches = plan.caches;
  if (!options.caches.empty()) {
    const artifact::Caches more = artifact::read_caches(options.caches);
    std::set<std::string> known;
    for (const artifact::TrainedCache& cache : caches) known.insert(cache.layer);
    std::vector<artifact::TrainedCache> added;
    for (const artifact::TrainedCache& cache : more.caches) {
      if (known.count(cache.layer) == 0) added.push_back(cache);
    }
    require_same_priors(added, more, plan, options);
    caches.insert(caches.end(), added.begin(), added.end());
  }
  const auto& candidates = backbone->candidates();
  const auto depth_of = [&](const artifact::TrainedCache& cache) {
    const std::string& name = backbone->candidate(cache.layer).name;
    return std::find_if(candidates.begin(), candidates.end(),
                        [&](const auto& candidate) { return candidate.name == name; });
  };
  std::stable_sort(caches.begin(), caches.end(),
                   [&](const auto& a, const auto& b) { return depth_of(a) < depth_of(b); });
  runtime::EngineOptions ask_all = options.engine;
  ask_all.shrink = false;
  std::vector<runtime::EnginePlan> plans(1);
  for (const artifact::TrainedCache& cache : caches) {
    plans[0].exits.push_back({cache.layer,
                              runtime::predictor_of(cache, plan.classes, ask_all, options.plan), 2,
                              cache.calibration.temperature, cache.architecture, cache.prior});
  }
  return runtime::Engine(std::move(backbone), std::move(plans), ask_all);
}

// Share of the samples that the first plan answers as it does at float32.
double agreement_with_full_precision(const TestPart& part, const artifact::PlanFile& plan,
                                     const Recording& recording, const at::Tensor& input,
                                     const Options& options) {
  if (options.engine.backbone.precision == "float32" &&
      options.engine.cache_precision == "float32") {
    return 1;
  }
  runtime::EngineOptions full = options.engine;
  full.backbone.precision = full.cache_precision = "float32";
  const runtime::Engine engine(model::Backbone::load(full.backbone, {input}), plan, options.plan,
                               full);
  const runtime::Engine nothing(
      std::shared_ptr<const model::Backbone>(std::shared_ptr<void>(), &engine.backbone()), {},
      full);
  const Recording at_full = record(part, engine, nothing, kRecordingBatch, options);
  std::int64_t alike = 0;
  for (std::size_t i = 0; i < recording.plans[0].label.size(); ++i) {
    alike += recording.plans[0].label[i] == at_full.plans[0].label[i] ? 1 : 0;
  }
  return static_cast<double>(alike) / static_cast<double>(recording.size());
}

// Images that the first plan answers early, most confident first, and those it leaves to
// the backbone, least confident first.
std::vector<artifact::Example> examples_of(const TestPart& part, const Recording& recording,
                                           std::size_t last_exit, std::int64_t count) {
  const Recording::Answered& answered = recording.plans[0];
  std::vector<std::size_t> early, late;
  for (std::size_t i = 0; i < answered.exit.size(); ++i) {
    (answered.exit[i] < last_exit ? early : late).push_back(i);
  }
  const auto first = [&](std::vector<std::size_t>& samples, auto before) {
    std::stable_sort(samples.begin(), samples.end(), before);
    samples.resize(std::min(samples.size(), static_cast<std::size_t>(count)));
  };
  first(early, [&](std::size_t a, std::size_t b) {
    if (answered.exit[a] != answered.exit[b]) return answered.exit[a] < answered.exit[b];
    return answered.confidence[a] > answered.confidence[b];
  });
  first(late, [&](std::size_t a, std::size_t b) {
    return answered.confidence[a] < answered.confidence[b];
  });
  early.insert(early.end(), late.begin(), late.end());
  std::vector<artifact::Example> examples;
  for (const std::size_t i : early) {
    artifact::Example example;
    example.image = part.dataset->read(recording.indices[i]);
    const bool is_image = example.image.scalar_type() == at::kByte && example.image.dim() == 3 &&
                          (example.image.size(0) == 1 || example.image.size(0) == 3);
    if (!is_image) return {};
    example.id = recording.ids[i];
    example.exit = answered.exit[i];
    example.label = answered.label[i];
    example.backbone = recording.records.backbone[i];
    example.truth = recording.truth.empty() ? -1 : recording.truth[i];
    example.confidence = static_cast<double>(answered.confidence[i]);
    examples.push_back(std::move(example));
  }
  return examples;
}

void describe_subject(artifact::Report& report, const TestPart& part,
                      const artifact::PlanFile& plan, const model::Backbone& backbone,
                      const Recording& recording, const Options& options) {
  report.backbone_hash = backbone.hash();
  report.backbone_file = std::filesystem::path(backbone.options().path).filename();
  report.data_name = part.dataset->name();
  report.title = report.backbone_file + " on " + report.data_name;
  report.data_hash = part.dataset->content_hash();
  report.test_ids_hash = data::ids_hash(recording.ids);
  report.samples = recording.size();
  report.classes = backbone.num_classes();
  report.labelled = std::count_if(recording.truth.begin(), recording.truth.end(),
                                  [](std::int64_t truth) { return truth != labels::kUnknown; });
  report.class_names = plan.class_names.empty() ? part.dataset->class_names() : plan.class_names;
  report.output_kind = model::name_of(backbone.output_kind());
  report.cost_kind = plan.cost_kind;
  report.budget = plan.budget;
  report.tolerance = plan.tolerance;
  report.device = options.engine.backbone.device;
  report.processor = processor_name();
  report.precision = options.engine.backbone.precision;
  report.cache_precision = options.engine.cache_precision;
  report.library = std::string("LibTorch ") + TORCH_VERSION;
  report.threads = at::get_num_threads();
  for (const model::SegmentCost& cost : backbone.costs()) {
    report.backbone_flops += cost.flops();
    report.backbone_bytes += cost.weight_bytes;
    report.backbone_parameters += cost.parameters;
  }
  for (const model::Candidate& candidate : backbone.candidates()) {
    report.layers.push_back(
        {candidate.name, candidate.shape, candidate.flops_before / report.backbone_flops});
  }
}

}  // namespace

artifact::Report evaluate(const Options& options) {
  const artifact::PlanFile plan = artifact::read_plan(options.plan);
  const TestPart part = open_test_part(options, plan);
  const at::Tensor input = part.transform(part.dataset->read(part.indices[0])).unsqueeze(0);
  const std::shared_ptr<const model::Backbone> backbone =
      model::Backbone::load(options.engine.backbone, {input});
  const runtime::Engine engine(backbone, plan, options.plan, options.engine);
  const runtime::Engine alone = engine_of_all(backbone, plan, options);

  const Recording recording = record(part, engine, alone, kRecordingBatch, options);
  artifact::Report report;
  describe_subject(report, part, plan, *backbone, recording, options);
  for (std::size_t m = 0; m < recording.models.size(); ++m) {
    report.alone.push_back(curve_alone(recording, m, options.curve_points));
    report.reliability.push_back(reliability_of(recording, m, options.bins));
  }
  for (std::size_t p = 0; p < engine.plans(); ++p) {
    report.plans.push_back(plan_outcome(recording, p, engine, plan.plans[p], options));
  }
  report.examples = examples_of(part, recording, engine.exits(0).size(), options.examples);
  report.precision_agreement = agreement_with_full_precision(part, plan, recording, input, options);

  const InputPool pool(part, options);
  for (const std::int64_t batch : options.batches) {
    report.memory.push_back(memory_of(engine, pool, batch));
  }
  if (options.timing) {
    for (const std::int64_t batch : options.batches) {
      log::info("latency at batch {}", batch);
      report.latency.push_back(latency_of(engine, pool, batch, options));
    }
  }
  const std::size_t curve_plan = engine.plan_for(options.curve_batch);
  report.trade =
      trade_curves(recording, engine, curve_plan, options.timing ? &pool : nullptr, options);
  add_beside(report, options);
  report.remarks = remarks_on(report);
  return report;
}

artifact::Report run(Options& options) {
  options.engine.backbone.device = options.common.device;
  if (options.batches.empty()) {
    fail(ExitCode::kUsage, "eval.batches: empty; name at least one batch size");
  }
  artifact::Report report = evaluate(options);
  std::map<std::string, io::Provenance> inputs;
  inputs["plan"] = io::ArtifactReader(options.plan, "plan").provenance();
  inputs["backbone"] = io::outside_input("backbone", report.backbone_hash, report.backbone_file);
  inputs["data"] = io::outside_input("data", report.data_hash, report.data_name);
  if (!options.caches.empty()) {
    inputs["caches"] = io::ArtifactReader(options.caches, "caches").provenance();
  }
  if (!options.out.empty()) {
    report.provenance = artifact::write_report(options.out, report, options.common, inputs);
  } else {
    report.provenance = io::provenance_of("report", options.common);
    report.provenance.inputs = inputs;
  }
  if (!options.csv.empty()) write_csv(report, options.csv);
  print_report(report, options.common.json);
  return report;
}

}  // namespace cachectl::eval
