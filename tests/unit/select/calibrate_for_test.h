#pragma once

#include <ATen/ATen.h>

#include <string>

#include "artifact/caches.h"
#include "artifact/medial.h"
#include "runtime/recorded_answers.h"
#include "support/tiny_chain.h"

namespace cachectl::select {

// What cachectl-calibrate hands to selection, at temperature 1 and without curves: the
// tests of one stage do without another.
inline void calibrate_for_test(const std::string& medial_path, const std::string& caches_path,
                               const std::string& out) {
  const artifact::MedialReader medial(medial_path);
  artifact::Caches caches = artifact::read_caches(caches_path);
  const auto rows = medial.rows_of(data::Part::kValidation);
  caches.backbone_classes = runtime::backbone_classes(medial, rows);
  caches.validation_ids_hash = medial.ids_hash(data::Part::kValidation);
  for (const auto row : rows) {
    caches.validation_ids.push_back(medial.rows().ids[static_cast<std::size_t>(row)]);
  }
  const auto calibrate = [&](std::size_t place, const std::vector<float>& logits) {
    auto& cache = caches.caches[place];
    const auto answers = runtime::answers_of(logits, caches.classes, 3);
    cache.calibrated = true;
    cache.calibration.temperature = 3;
    cache.calibration.predictions = answers.prediction;
    cache.calibration.confidences = answers.confidence;
    cache.calibration.before = cache.calibration.after = {{0, 1}, {1}, {1}, {1}};
  };
  runtime::logits_on(caches.caches, std::vector<bool>(caches.caches.size(), true), caches.classes,
                     medial, rows, calibrate);
  artifact::write_caches(out, caches, TinyChain::common(), {{"medial", medial.provenance()}});
}

}  // namespace cachectl::select
