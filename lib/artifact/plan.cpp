#include "artifact/plan.h"

#include <fmt/core.h>

#include <cmath>
#include <set>

#include "artifact/cache_group.h"
#include "artifact/medial.h"
#include "artifact/tensors.h"
#include "base/error.h"

namespace cachectl::artifact {
namespace {

void write_certificate(io::Group group, const Certificate& certificate) {
  group.set("epsilon", certificate.epsilon);
  group.set("delta", certificate.delta);
  group.set("samples", certificate.samples);
  group.set("differing", certificate.differing);
  group.set("p_value", certificate.p_value);
  group.set("holds", certificate.holds ? "yes" : "no");
  group.set("samples_needed", certificate.samples_needed);
  group.set("certify_ids_hash", certificate.certify_ids_hash);
  group.set("bound", certificate.bound);
  group.set("precision", certificate.precision);
  if (!certificate.storage.empty()) group.set("storage", certificate.storage);
  group.set("backbone_precision", certificate.backbone_precision);
  group.set("list_hash", certificate.list_hash);
  group.set("list_size", certificate.list_size);
  group.set("list_tested", certificate.list_tested);
  group.set("list_certified", certificate.list_certified);
}

Certificate read_certificate(const io::Group& group) {
  Certificate certificate;
  certificate.epsilon = group.real("epsilon");
  certificate.delta = group.real("delta");
  certificate.samples = group.integer("samples");
  certificate.differing = group.integer("differing");
  certificate.p_value = group.real("p_value");
  certificate.holds = group.text("holds") == "yes";
  certificate.samples_needed = group.integer("samples_needed");
  certificate.certify_ids_hash = group.text("certify_ids_hash");
  certificate.bound = group.text("bound");
  if (group.has_attribute("precision")) certificate.precision = group.text("precision");
  if (group.has_attribute("storage")) certificate.storage = group.text("storage");
  if (group.has_attribute("backbone_precision")) {
    certificate.backbone_precision = group.text("backbone_precision");
  }
  certificate.list_hash = group.text("list_hash");
  certificate.list_size = group.integer("list_size");
  certificate.list_tested = group.integer("list_tested");
  certificate.list_certified = group.integer("list_certified");
  const auto is_level = [](double value) { return value > 0 && value < 1; };
  if (!is_level(certificate.epsilon) || !is_level(certificate.delta) || certificate.differing < 0 ||
      certificate.differing > certificate.samples ||
      (certificate.holds && !(certificate.p_value <= certificate.delta))) {
    fail(ExitCode::kCorrupt, "{}: its figures contradict each other", group.where());
  }
  return certificate;
}

void write_classes(io::Group& group, const std::vector<ClassShare>& classes) {
  std::vector<std::int64_t> values;
  for (const auto& one : classes) {
    values.insert(values.end(), {one.label, one.samples, one.hits, one.differing});
  }
  group.write("classes", values, {static_cast<std::int64_t>(classes.size()), 4});
}

std::vector<ClassShare> read_classes(const io::Group& group) {
  const auto values = group.read<std::int64_t>("classes", {-1, 4});
  std::vector<ClassShare> classes;
  for (std::size_t i = 0; i < values.size(); i += 4) {
    classes.push_back(
        {static_cast<std::int32_t>(values[i]), values[i + 1], values[i + 2], values[i + 3]});
  }
  return classes;
}

void write_one(io::Group group, const Plan& plan, const PlanFile& file) {
  group.set("batch", plan.batch);
  group.set("predicted_saving", plan.predicted_saving);
  group.set("predicted_risk", plan.predicted_risk);
  std::vector<std::int64_t> caches;
  std::vector<double> thresholds;
  std::vector<std::string> layers;
  for (const auto& exit : plan.exits) {
    caches.push_back(exit.cache);
    thresholds.push_back(exit.threshold);
    layers.push_back(file.caches.at(static_cast<std::size_t>(exit.cache)).layer);
  }
  group.write("exits", caches);
  group.write("thresholds", thresholds);
  if (!layers.empty()) group.write_texts("layers", layers);  // for people; not read
  group.write("reach", plan.reach);
  group.write("hits", plan.hits);
  write_classes(group, plan.classes);
  group.write("self_test_labels", plan.self_test_labels);
  group.write("self_test_exits", plan.self_test_exits);
  if (plan.certificate) write_certificate(group.create_group("certificate"), *plan.certificate);
  if (plan.runners_up.empty()) return;
  io::Group runners = group.create_group("runners_up");
  for (std::size_t i = 0; i < plan.runners_up.size(); ++i) {
    const RunnerUp& runner = plan.runners_up[i];
    io::Group one = runners.create_group(fmt::format("{:04}", i));
    one.set("predicted_saving", runner.predicted_saving);
    one.set("predicted_risk", runner.predicted_risk);
    one.write_texts("layers", runner.layers);
    one.write("thresholds", runner.thresholds);
  }
}

Plan read_one(const io::Group& group, const PlanFile& file) {
  Plan plan;
  plan.batch = group.integer("batch");
  plan.predicted_saving = group.real("predicted_saving");
  plan.predicted_risk = group.real("predicted_risk");
  const auto caches = group.read<std::int64_t>("exits");
  const auto count = static_cast<std::int64_t>(caches.size());
  const auto thresholds = group.read<double>("thresholds", {count});
  io::require_finite(thresholds, group.where() + "/thresholds");
  for (std::size_t i = 0; i < caches.size(); ++i) {
    const bool known = caches[i] >= 0 && caches[i] < static_cast<std::int64_t>(file.caches.size());
    if (!known || (i > 0 && caches[i] <= caches[i - 1])) {
      fail(ExitCode::kCorrupt,
           "{}/exits: cache model {}: expected rising numbers of the {} below /caches",
           group.where(), caches[i], file.caches.size());
    }
    plan.exits.push_back({caches[i], thresholds[i]});
    const auto& cache = file.caches[static_cast<std::size_t>(caches[i])];
    const std::string in_front =
        i == 0 ? "" : file.caches[static_cast<std::size_t>(caches[i - 1])].layer;
    if (!cache.prior.empty() && cache.prior != in_front) {
      fail(ExitCode::kCorrupt, "{}/exits: {} takes the logits of '{}', in front of it stands '{}'",
           group.where(), cache.layer, cache.prior, in_front);
    }
  }
  if (plan.batch < 0) fail(ExitCode::kCorrupt, "{}: batch {}", group.where(), plan.batch);
  plan.reach = group.read<std::int64_t>("reach", {count});
  plan.hits = group.read<std::int64_t>("hits", {count});
  plan.classes = read_classes(group);
  plan.self_test_labels = group.read<std::int32_t>("self_test_labels");
  const auto tests = static_cast<std::int64_t>(plan.self_test_labels.size());
  plan.self_test_exits = group.read<std::int32_t>("self_test_exits", {tests});
  if (tests > 0 && tests != file.self_test_inputs.size(0)) {
    fail(ExitCode::kCorrupt, "{}/self_test_labels: {} for {} inputs", group.where(), tests,
         file.self_test_inputs.size(0));
  }
  for (std::size_t i = 0; i < plan.self_test_labels.size(); ++i) {
    const std::int32_t label = plan.self_test_labels[i], exit = plan.self_test_exits[i];
    if (label >= 0 && label < file.classes && exit >= 0 && exit <= count) continue;
    fail(ExitCode::kCorrupt, "{}/self_test_exits: sample {}: class {} of {} at exit {} of {}",
         group.where(), i, label, file.classes, exit, count);
  }
  if (group.has("certificate")) plan.certificate = read_certificate(group.group("certificate"));
  if (!group.has("runners_up")) return plan;
  const io::Group runners = group.group("runners_up");
  for (const auto& name : runners.children()) {
    const io::Group one = runners.group(name);
    RunnerUp runner;
    runner.predicted_saving = one.real("predicted_saving");
    runner.predicted_risk = one.real("predicted_risk");
    runner.layers = one.read_texts("layers");
    runner.thresholds =
        one.read<double>("thresholds", {static_cast<std::int64_t>(runner.layers.size())});
    plan.runners_up.push_back(std::move(runner));
  }
  return plan;
}

}  // namespace

std::string outside_of(const Certificate& certificate, const std::string& precision,
                       const std::string& cache_precision) {
  const std::string &backbone = certificate.backbone_precision, &caches = certificate.precision;
  if (precision == backbone && cache_precision == caches) return "";
  return fmt::format(
      "certified at {}{}; this run is at {} (backbone) and {} (cache models), outside it",
      backbone == caches ? caches : backbone + " (backbone) and " + caches + " (cache models)",
      certificate.storage.empty() ? "" : " on " + certificate.storage + " activations", precision,
      cache_precision);
}

const char* name_of(Emptiness emptiness) {
  switch (emptiness) {
    case Emptiness::kNothingPays:
      return "nothing pays";
    case Emptiness::kNothingCertified:
      return "nothing certified";
    case Emptiness::kNoCertifiedPays:
      return "no certified plan pays";
  }
  return "";
}

Emptiness emptiness_of(const Certificate* certificate) {
  if (certificate == nullptr || certificate->list_size == 0) return Emptiness::kNothingPays;
  return certificate->list_certified > 0 ? Emptiness::kNoCertifiedPays
                                         : Emptiness::kNothingCertified;
}

std::string PlanFile::collected_precision() const {
  // The medial file that the plan was made from stands beside its cache models, which have one,
  // too.
  const auto own = provenance.inputs.find("medial");
  const io::Provenance* const medial =
      own != provenance.inputs.end() ? &own->second : provenance.find("medial");
  return medial == nullptr ? "float32" : precision_of_collection(*medial);
}

const Plan& PlanFile::plan_for(std::int64_t batch) const {
  const Plan* nearest = nullptr;
  double least = 0;
  for (const auto& plan : plans) {
    const double ratio = plan.batch == 0 || batch <= 0
                             ? 0
                             : std::abs(std::log(static_cast<double>(plan.batch)) -
                                        std::log(static_cast<double>(batch)));
    if (nearest == nullptr || ratio < least) {
      nearest = &plan;
      least = ratio;
    }
  }
  if (nearest == nullptr) fail(ExitCode::kCorrupt, "a plan file without plans");
  return *nearest;
}

void write_plan(const std::string& path, const PlanFile& plan, const CommonOptions& common,
                const std::map<std::string, io::Provenance>& inputs) {
  io::ArtifactWriter writer(path, "plan", common);
  for (const auto& [role, made] : inputs) writer.add_input(role, made);
  io::Group& root = writer.root();
  root.set("backbone_hash", plan.backbone_hash);
  root.set("classes", plan.classes);
  root.set("cost", plan.cost_kind);
  root.set("tolerance", plan.tolerance);
  root.set("budget", plan.budget);
  root.set("transform", plan.transform);
  if (!plan.class_names.empty()) root.write_texts("class_names", plan.class_names);
  write_tensor(root, "self_test_inputs", plan.self_test_inputs);
  io::Group ids = root.create_group("ids");
  ids.write("train", plan.train_ids);
  ids.write("validation", plan.validation_ids);
  ids.write("certify", plan.certify_ids);
  io::Group caches = root.create_group("caches");
  write_cache_models(caches, plan.caches, false);
  io::Group plans = root.create_group("plans");
  for (std::size_t i = 0; i < plan.plans.size(); ++i) {
    write_one(plans.create_group(fmt::format("{:04}", i)), plan.plans[i], plan);
  }
  writer.commit();
}

PlanFile read_plan(const std::string& path) {
  const io::ArtifactReader reader(path, "plan");
  const io::Group& root = reader.root();
  PlanFile file;
  file.provenance = reader.provenance();
  file.backbone_hash = root.text("backbone_hash");
  file.classes = root.integer("classes");
  file.cost_kind = root.text("cost");
  file.tolerance = root.real("tolerance");
  file.budget = root.text("budget");
  file.transform = root.text("transform");
  if (root.has("class_names")) file.class_names = root.read_texts("class_names");
  file.self_test_inputs = read_tensor(root, "self_test_inputs");
  const io::Group ids = root.group("ids");
  file.train_ids = ids.read<std::uint64_t>("train");
  file.validation_ids = ids.read<std::uint64_t>("validation");
  file.certify_ids = ids.read<std::uint64_t>("certify");
  file.caches = read_cache_models(root.group("caches"));
  for (const auto& cache : file.caches) {
    if (!cache.calibrated) {
      fail(ExitCode::kCorrupt, "{}: /caches: {}: has no temperature", path, cache.layer);
    }
  }
  const io::Group plans = root.group("plans");
  std::set<std::int64_t> batches;
  for (const auto& name : plans.children()) {
    file.plans.push_back(read_one(plans.group(name), file));
    if (!batches.insert(file.plans.back().batch).second) {
      fail(ExitCode::kCorrupt, "{}: /plans: two plans for batch {}", path, file.plans.back().batch);
    }
  }
  if (file.plans.empty()) fail(ExitCode::kCorrupt, "{}: /plans: is empty", path);
  return file;
}

}  // namespace cachectl::artifact
