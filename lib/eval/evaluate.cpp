#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "artifact/medial.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "data/loader.h"
#include "data/split.h"
#include "eval/alone.h"
#include "eval/beside.h"
#include "eval/eval.h"
#include "eval/outcome.h"
#include "eval/recording.h"
#include "eval/remarks.h"
#include "eval/statistics.h"
#include "eval/test_part.h"
#include "eval/timing.h"
#include "eval/trade.h"

namespace cachectl::eval {

namespace {

constexpr std::int64_t kRecordingBatch = 64;

// What stands behind the colon of the line that begins with `name`; "" without one.
std::string line_of(const std::filesystem::path& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name, 0) == 0) return text::trim(line.substr(line.find(':') + 1));
  }
  return "";
}

// Of a GPU as its driver tells it. Where there are several kinds, that of the first.
std::string processor_name(const std::string& device) {
  std::string name;
  if (device == "cpu") {
    name = line_of("/proc/cpuinfo", "model name");
  } else {
    std::error_code none;
    for (const auto& gpu : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", none)) {
      if (name.empty()) name = line_of(gpu.path() / "information", "Model");
    }
  }
  return name.empty() ? "unknown" : name;
}

// What the precisions at hand change: the same samples through the same plans, with the backbone as
// its answers were collected and cache models at float32.
void compare_with_collection(const TestPart& part, const artifact::PlanFile& plan,
                             const Recording& recording, const at::Tensor& input,
                             const Options& options, artifact::Report& report) {
  report.collected_precision = plan.collected_precision();
  if (report.precision == report.collected_precision && report.cache_precision == "float32") return;
  runtime::EngineOptions asked = options.engine;
  asked.backbone.precision = report.collected_precision;
  asked.cache_precision = "float32";
  const runtime::Engine engine(model::Backbone::load(asked.backbone, {input}), plan, options.plan,
                               asked);
  const runtime::Engine nothing(
      std::shared_ptr<const model::Backbone>(std::shared_ptr<void>(), &engine.backbone()), {},
      asked);
  const Recording collected = record(part, engine, nothing, kRecordingBatch, options);
  const auto alike = [&](const auto& labels, const auto& others) {
    std::int64_t count = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) count += labels[i] == others[i] ? 1 : 0;
    return count;
  };
  report.precision_agreement =
      static_cast<double>(alike(recording.plans[0].label, collected.plans[0].label)) /
      static_cast<double>(recording.size());
  report.backbone_agreement =
      share_of(alike(recording.records.backbone, collected.records.backbone), recording.size());
  for (std::size_t p = 0; p < report.plans.size(); ++p) {
    artifact::PlanOutcome& outcome = report.plans[p];
    const std::int64_t same = alike(recording.plans[p].label, collected.records.backbone);
    outcome.collected_agreement = share_of(same, recording.size());
    if (outcome.has_certificate) show_outcome(outcome.certificate, recording.size() - same);
  }
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
  if (static_cast<std::int64_t>(report.class_names.size()) != report.classes) {
    report.class_names.clear();
  }
  report.output_kind = model::name_of(backbone.output_kind());
  report.cost_kind = plan.cost_kind;
  report.budget = plan.budget;
  report.tolerance = plan.tolerance;
  report.device = options.engine.backbone.device;
  report.processor = processor_name(report.device);
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
  const std::vector<artifact::Report> others = read_beside(options);
  const artifact::PlanFile plan = artifact::read_plan(options.plan);
  const TestPart part = open_test_part(options, plan);
  const at::Tensor input = data::first_inputs(*part.dataset, part.transform, options.data.skip_bad);
  const std::shared_ptr<const model::Backbone> backbone =
      model::Backbone::load(options.engine.backbone, {input});
  const runtime::Engine engine(backbone, plan, options.plan, options.engine);
  const runtime::Engine alone = engine_of_all(backbone, plan, options);

  const Recording recording = record(part, engine, alone, kRecordingBatch, options);
  artifact::Report report;
  describe_subject(report, part, plan, *backbone, recording, options);
  require_same_samples(others, report, options);
  for (std::size_t m = 0; m < recording.models.size(); ++m) {
    report.alone.push_back(curve_alone(recording, m, options.curve_points, report.tolerance));
    report.reliability.push_back(reliability_of(recording, m, options.bins));
  }
  for (std::size_t p = 0; p < engine.plans(); ++p) {
    report.plans.push_back(plan_outcome(recording, p, engine, plan.plans[p], options));
  }
  report.examples = examples_of(part, recording, engine.exits(0).size(), options.examples);
  compare_with_collection(part, plan, recording, input, options, report);

  const InputPool pool(part, options);
  for (const std::int64_t batch : options.batches) {
    report.memory.push_back(memory_of(engine, pool, batch));
  }
  if (options.timing) {
    const auto largest = std::max_element(options.batches.begin(), options.batches.end());
    engine.warm_up(std::max(*largest, options.curve_batch));
    for (const std::int64_t batch : options.batches) {
      log::info("latency at batch {}", batch);
      report.latency.push_back(latency_of(engine, pool, batch, options));
    }
  }
  const std::size_t curve_plan = engine.plan_for(options.curve_batch);
  report.trade =
      trade_curves(recording, engine, curve_plan, options.timing ? &pool : nullptr, options);
  add_beside(others, curve_plan, options, report);
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
  const auto add = [&](const std::string& role, const std::string& path, const char* kind) {
    if (!path.empty()) inputs[role] = io::ArtifactReader(path, kind).provenance();
  };
  add("caches", options.caches, "caches");
  add("medial", options.medial, "medial");
  for (std::size_t i = 0; i < options.beside.size(); ++i) {
    add("beside " + name_beside(options, i), options.beside[i], "report");
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
