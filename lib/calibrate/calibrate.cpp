#include "calibrate/calibrate.h"

#include <fmt/core.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "artifact/caches.h"
#include "artifact/medial.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/table.h"
#include "base/text.h"
#include "calibrate/export.h"
#include "calibrate/temperature.h"
#include "decision/curve.h"
#include "decision/reliability.h"
#include "runtime/recorded_answers.h"

namespace cachectl::calibrate {
namespace {

using artifact::TrainedCache;

artifact::ReliabilityDiagram diagram_of(const std::vector<decision::Bin>& bins) {
  artifact::ReliabilityDiagram diagram;
  diagram.edges.push_back(bins.front().low);
  for (const decision::Bin& bin : bins) {
    diagram.edges.push_back(bin.high);
    diagram.samples.push_back(bin.samples);
    diagram.confidence.push_back(bin.confidence);
    diagram.agreement.push_back(bin.agreement);
  }
  return diagram;
}

artifact::ThresholdCurve curve_of(const decision::Curve& curve) {
  artifact::ThresholdCurve stored;
  stored.threshold = curve.threshold;
  for (std::size_t k = 0; k < curve.size(); ++k) {
    stored.hit_rate.push_back(curve.hit_rate(k));
    stored.cache_accuracy.push_back(curve.cache_accuracy(k));
    stored.drop.push_back(curve.drop(k));
  }
  return stored;
}

artifact::Calibration calibrate(const Logits& logits, std::size_t bins) {
  const auto classes = static_cast<std::int64_t>(logits.classes);
  artifact::Calibration result;
  result.temperature = fit_temperature(logits);
  result.nll_before = negative_log_likelihood(logits, 1);
  result.nll_after = negative_log_likelihood(logits, result.temperature);
  const auto before = runtime::answers_of(logits.values, classes, 1);
  const auto after = runtime::answers_of(logits.values, classes, result.temperature);
  const auto bins_before = decision::reliability(before, logits.targets, bins);
  const auto bins_after = decision::reliability(after, logits.targets, bins);
  result.ece_before = decision::expected_calibration_error(bins_before);
  result.ece_after = decision::expected_calibration_error(bins_after);
  result.before = diagram_of(bins_before);
  result.after = diagram_of(bins_after);
  result.thresholds = curve_of(decision::make_curve(after, logits.targets));
  result.predictions = after.prediction;
  result.confidences = after.confidence;
  return result;
}

// The greatest share that hits while the estimated drop stays within `drop`.
double hit_rate_within(const TrainedCache& cache, double drop) {
  const auto& curve = cache.calibration.thresholds;
  double best = 0;
  for (std::size_t k = 0; k < curve.threshold.size(); ++k) {
    if (curve.drop[k] <= drop) best = std::max(best, curve.hit_rate[k]);
  }
  return best;
}

void print(const artifact::Caches& caches, bool json) {
  if (json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const auto& cache : caches.caches) {
      const auto& found = cache.calibration;
      all.push_back({{"layer", cache.layer},
                     {"architecture", cache.architecture},
                     {"temperature", found.temperature},
                     {"nll_before", found.nll_before},
                     {"nll_after", found.nll_after},
                     {"ece_before", found.ece_before},
                     {"ece_after", found.ece_after},
                     {"agreement", found.thresholds.cache_accuracy.back()},
                     {"hit_rate_at_drop_1_percent", hit_rate_within(cache, 0.01)}});
    }
    std::cout << all.dump(2) << '\n';
    return;
  }
  Table table(
      {"layer", "architecture", "temperature", "ECE", "then", "agrees", "hits at drop 1 %"});
  for (const auto& cache : caches.caches) {
    const auto& found = cache.calibration;
    table.add({cache.layer, cache.architecture, fmt::format("{:.3f}", found.temperature),
               fmt::format("{:.4f}", found.ece_before), fmt::format("{:.4f}", found.ece_after),
               fmt::format("{:.2f} %", 100 * found.thresholds.cache_accuracy.back()),
               fmt::format("{:.1f} %", 100 * hit_rate_within(cache, 0.01))});
  }
  table.print(std::cout);
}

// Both files of one backbone, and split alike: of other splits of the same data, samples that cache
// models learnt from or were chosen by would be among those that calibrate, certify or test them.
void require_fit(const Options& options, const artifact::MedialReader& medial,
                 const artifact::Caches& caches) {
  io::require_same_input("backbone", options.medial, medial.provenance(), options.caches,
                         caches.provenance);
  artifact::require_same_ids(medial, data::Part::kTrain, caches.train_ids_hash, options.caches);
  artifact::require_same_ids(medial, data::Part::kValidation, caches.validation_ids_hash,
                             options.caches);
}

}  // namespace

void describe(OptionTable& table, Options& options) {
  table.section("calibrate");
  table.input("medial", options.medial, "activations and the backbone's answers").required();
  table.input("caches", options.caches, "trained cache models").required();
  table.output("out", options.out, "the same cache models, calibrated").required();
  table.output("curves", options.curves, "also write the threshold curves: FILE.csv or FILE.json");
  table.value("bins", &options.bins, "of the reliability diagram").range(2, 1000);
}

void run(Options& options) {
  if (!options.curves.empty()) require_known_format(options.curves);
  const artifact::MedialReader medial(options.medial);
  artifact::Caches caches = artifact::read_caches(options.caches);
  require_fit(options, medial, caches);
  if (caches.caches.empty()) {
    fail(ExitCode::kNothingProcessed, "{}: holds no cache model", options.caches);
  }
  const auto rows = medial.rows_of(data::Part::kValidation);
  if (rows.empty()) {
    fail(ExitCode::kNothingProcessed, "{}: has no validation samples", options.medial);
  }
  caches.backbone_classes = runtime::backbone_classes(medial, rows);
  caches.validation_ids.clear();
  for (const auto row : rows) {
    caches.validation_ids.push_back(medial.rows().ids[static_cast<std::size_t>(row)]);
  }
  caches.validation_ids_hash = medial.ids_hash(data::Part::kValidation);
  Progress progress("calibrating", static_cast<std::int64_t>(caches.caches.size()), "cache models");
  const std::vector<bool> all(caches.caches.size(), true);
  const auto note = [&](std::size_t place, const std::vector<float>& values) {
    TrainedCache& cache = caches.caches[place];
    progress.note(cache.layer);
    const Logits logits{static_cast<std::size_t>(caches.classes), values, caches.backbone_classes};
    cache.calibration = calibrate(logits, static_cast<std::size_t>(options.bins));
    cache.calibrated = true;
    const double temperature = cache.calibration.temperature;
    if (temperature == kLowestTemperature || temperature == kHighestTemperature) {
      log::warning("{}: temperature {} is the end of its range: {} validation samples don't tell",
                   cache.layer, temperature, rows.size());
    }
    progress.advance();
  };
  runtime::logits_on(caches.caches, all, caches.classes, medial, rows, note);
  progress.finish();
  artifact::write_caches(options.out, caches, options.common,
                         {{"caches", caches.provenance}, {"medial", medial.provenance()}});
  if (!options.curves.empty()) export_curves(options.curves, caches);
  log::info("{}: {} cache models calibrated on {} validation samples", options.out,
            caches.caches.size(), rows.size());
  print(caches, options.common.json);
}

}  // namespace cachectl::calibrate
