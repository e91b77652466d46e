#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "decision/cost.h"
#include "decision/records.h"

namespace cachectl::select {

// Records as cache models of growing skill would leave them: each sample has a
// difficulty shared by all candidates, so that hits overlap as they do in reality.
inline decision::Records synthetic_records(std::size_t samples, std::size_t candidates,
                                           std::uint64_t seed, int classes = 10,
                                           int distinct_confidences = 0) {
  Rng rng(derive_seed(seed, "synthetic records"));
  decision::Records records;
  std::vector<double> difficulty(samples);
  for (auto& value : difficulty) value = rng.uniform();
  for (std::size_t i = 0; i < samples; ++i) {
    records.backbone.push_back(static_cast<std::int32_t>(rng.below(classes)));
  }
  for (std::size_t d = 0; d < candidates; ++d) {
    const double skill = 0.3 + 0.6 * static_cast<double>(d + 1) / static_cast<double>(candidates);
    decision::ExitRecord exit;
    for (std::size_t i = 0; i < samples; ++i) {
      const double margin = 5 * (skill - difficulty[i]) + rng.normal();
      double confidence = 1 / (1 + std::exp(-2 * margin));
      const bool wrong = rng.uniform() > std::max(confidence, 0.1);
      if (distinct_confidences > 0) {
        confidence = std::ceil(confidence * distinct_confidences) / distinct_confidences;
      }
      exit.confidence.push_back(static_cast<float>(std::clamp(confidence, 0.01, 1.0)));
      const auto shift = static_cast<std::int32_t>(wrong ? 1 + rng.below(classes - 1) : 0);
      exit.prediction.push_back((records.backbone[i] + shift) % classes);
    }
    records.exits.push_back(std::move(exit));
  }
  return records;
}

// Candidates evenly spread over a backbone of 100 units, look-ups of 0.5 to 2.5.
inline decision::CostModel synthetic_cost(std::size_t samples, std::size_t candidates,
                                          std::uint64_t seed) {
  Rng rng(derive_seed(seed, "synthetic cost"));
  std::vector<double> before, look_up;
  for (std::size_t d = 0; d < candidates; ++d) {
    before.push_back(100.0 * static_cast<double>(d + 1) / static_cast<double>(candidates + 1));
    look_up.push_back(rng.uniform(0.5, 2.5));
  }
  return decision::flops_cost(samples, before, 100, look_up);
}

}  // namespace cachectl::select
