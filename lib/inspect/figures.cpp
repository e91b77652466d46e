#include "inspect/figures.h"

#include <cmath>

#include "artifact/caches.h"
#include "artifact/medial.h"
#include "artifact/plan.h"
#include "artifact/profile.h"
#include "artifact/report.h"
#include "artifact/study.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace cachectl::inspect {
namespace {

using Json = nlohmann::ordered_json;

Json of_profile(const std::string& path) {
  const auto profile = artifact::read_profile(path);
  Json figures;
  figures["candidates"] = profile.candidates.size();
  figures["uncounted_operators"] = profile.uncounted_operators.size();
  for (const auto& timing : profile.plain) {
    figures["plain_ms"][fmt::format("batch {}", timing.batch)] = timing.median_ms;
  }
  return figures;
}

Json of_medial(const std::string& path) {
  const artifact::MedialReader medial(path);
  Json figures;
  figures["rows"] = medial.rows().size();
  std::int64_t bytes = 0;
  for (const auto& layer : medial.layers()) {
    figures["layers"][layer.name] = text::shape(layer.shape) + " " + io::name_of(layer.stored);
    bytes += layer.row_bytes();
  }
  figures["activation_bytes"] = bytes * medial.rows().size();
  if (!medial.sources().empty()) figures["merged_from"] = medial.sources();
  return figures;
}

Json of_study(const std::string& path) {
  const auto study = artifact::read_study(path);
  std::int64_t trials = 0, finished = 0, failed = 0;
  for (const auto& layer : study.layers) {
    for (const auto& trial : layer.trials) {
      ++trials;
      finished += trial.state == artifact::TrialState::kFinished;
      failed += trial.state == artifact::TrialState::kFailed;
    }
  }
  Json figures = {{"complete", study.complete()},
                  {"trials", trials},
                  {"finished", finished},
                  {"failed", failed}};
  for (const auto& choice : artifact::choose(study)) {
    Json& chosen = figures["chosen"][choice.layer];
    if (choice.trial == nullptr) {
      chosen = choice.reason;
      continue;
    }
    chosen = {{"architecture", choice.trial->architecture},
              {"flops", choice.trial->flops},
              {"agreement", choice.trial->last()->agreement},
              {"utility", choice.trial->last()->utility}};
  }
  return figures;
}

Json of_cache(const artifact::TrainedCache& cache) {
  Json figures = {{"architecture", cache.architecture},
                  {"flops", cache.flops},
                  {"parameters", cache.parameters},
                  {"validation_agreement", cache.validation_agreement}};
  if (cache.calibrated) {
    figures["temperature"] = cache.calibration.temperature;
    figures["ece"] = cache.calibration.ece_after;
  }
  return figures;
}

Json of_caches(const std::string& path) {
  Json figures;
  for (const auto& cache : artifact::read_caches(path).caches) {
    figures["caches"][cache.layer] = of_cache(cache);
  }
  return figures;
}

std::string name_of_batch(std::int64_t batch) {
  return batch == 0 ? "any batch" : fmt::format("batch {}", batch);
}

Json of_plan(const std::string& path) {
  const auto file = artifact::read_plan(path);
  Json figures;
  for (const auto& plan : file.plans) {
    Json& shown = figures["plans"][name_of_batch(plan.batch)];
    for (const auto& exit : plan.exits) {
      shown["thresholds"][file.caches[static_cast<std::size_t>(exit.cache)].layer] = exit.threshold;
    }
    if (plan.exits.empty()) shown["thresholds"] = "none: the plain backbone";
    shown["predicted_saving"] = plan.predicted_saving;
    shown["predicted_risk"] = plan.predicted_risk;
    if (!plan.certificate) continue;
    const artifact::Certificate& certificate = *plan.certificate;
    shown["certificate"] = {{"holds", certificate.holds},     {"epsilon", certificate.epsilon},
                            {"delta", certificate.delta},     {"samples", certificate.samples},
                            {"p_value", certificate.p_value}, {"differing", certificate.differing}};
  }
  return figures;
}

// JSON has no NaN, which stands for what needs labels where there were none.
void put(Json& figures, const char* name, double value) {
  if (std::isfinite(value)) figures[name] = value;
}

Json of_report(const std::string& path) {
  const auto report = artifact::read_report(path);
  Json figures;
  for (const auto& plan : report.plans) {
    Json& shown = figures["plans"][name_of_batch(plan.batch)];
    put(shown, "agreement", plan.agreement.value);
    put(shown, "accuracy_plain", plan.accuracy_plain.value);
    put(shown, "accuracy_cached", plan.accuracy_cached.value);
    put(shown, "early", 1 - plan.exits.back().share);
    put(shown, "flops_saved", 1 - plan.flops_cached / plan.flops_plain);
    if (!plan.has_certificate) continue;
    shown["certificate_holds"] = plan.certificate.certificate.holds;
    shown["certificate_consistent"] = plan.certificate.consistent;
  }
  for (const auto& latency : report.latency) {
    Json& shown = figures["latency"][fmt::format("batch {}", latency.batch)];
    put(shown, "plain_ms", latency.plain.mean);
    put(shown, "cached_ms", latency.cached.mean);
    put(shown, "saved", latency.saved.value);
  }
  for (const auto& curve : report.trade) {
    put(figures["area_under_accuracy_by_flops"], curve.method.c_str(), curve.area_flops);
  }
  return figures;
}

Json of_kind(const std::string& kind, const std::string& path) {
  if (kind == "profile") return of_profile(path);
  if (kind == "medial") return of_medial(path);
  if (kind == "study") return of_study(path);
  if (kind == "caches") return of_caches(path);
  if (kind == "plan") return of_plan(path);
  if (kind == "report") return of_report(path);
  return Json::object();  // labels and checkpoints: all in the attributes
}

// An attribute as what it is: whole numbers, real ones, or text.
Json attribute(const io::Object& object, const std::string& name) {
  const auto one_or_all = [](const auto& values) {
    return values.size() == 1 ? Json(values.front()) : Json(values);
  };
  try {
    return one_or_all(object.integers(name));
  } catch (const Error&) {
  }
  try {
    return one_or_all(object.reals(name));
  } catch (const Error&) {
  }
  return object.attribute_text(name);
}

}  // namespace

Json key_figures(const io::ArtifactReader& reader) {
  Json figures = Json::object();
  const io::Group& root = reader.root();
  for (const auto& name : io::figure_attributes(root)) figures[name] = attribute(root, name);
  try {
    figures.update(of_kind(reader.provenance().kind, reader.path().string()));
  } catch (const Error& error) {
    log::warning("{}", error.what());
  }
  return figures;
}

}  // namespace cachectl::inspect
