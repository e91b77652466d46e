#include "learn/figures.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "decision/curve.h"

namespace cachectl::learn {

void Answers::add(const at::Tensor& logits, const at::Tensor& pd) {
  const at::Tensor log_shares = logits.log_softmax(1);
  const auto [best, classes] = log_shares.max(1);
  const at::Tensor confidence = best.exp();
  const at::Tensor truth = pd.argmax(1);
  for (std::int64_t i = 0; i < logits.size(0); ++i) {
    predictions.push_back(static_cast<std::int32_t>(classes.data_ptr<std::int64_t>()[i]));
    backbone.push_back(static_cast<std::int32_t>(truth.data_ptr<std::int64_t>()[i]));
    confidences.push_back(std::min(1.0f, confidence.data_ptr<float>()[i]));
  }
  divergence_sum += at::kl_div(log_shares, pd, at::Reduction::Sum).item<double>();
}

bool Answers::all_finite() const {
  return std::isfinite(divergence_sum) &&
         std::all_of(confidences.begin(), confidences.end(),
                     [](float value) { return std::isfinite(value); });
}

Figures judge(const Answers& answers, double behind, double cost, double tolerance) {
  const auto samples = static_cast<std::int64_t>(answers.predictions.size());
  assert(samples > 0);
  Figures figures;
  std::int64_t agreeing = 0;
  for (std::size_t i = 0; i < answers.predictions.size(); ++i) {
    agreeing += answers.predictions[i] == answers.backbone[i] ? 1 : 0;
  }
  figures.agreement = static_cast<double>(agreeing) / static_cast<double>(samples);
  figures.divergence = answers.divergence_sum / static_cast<double>(samples);
  const auto curve =
      decision::make_curve({answers.predictions, answers.confidences}, answers.backbone);
  // More hits save more, so the best threshold is the lowest one within the tolerance.
  const std::size_t allowed = curve.within(decision::allowed_wrong(tolerance, samples));
  if (allowed > 0) {
    figures.hit_rate = curve.hit_rate(allowed - 1);
    figures.cache_accuracy = curve.cache_accuracy(allowed - 1);
  }
  figures.utility = figures.hit_rate * behind - cost;
  return figures;
}

double chance_agreement(const at::Tensor& pd) {
  const at::Tensor counts = pd.argmax(1).bincount({}, pd.size(1));
  return static_cast<double>(counts.max().item<std::int64_t>()) / static_cast<double>(pd.size(0));
}

bool beats_chance(double agreement, double chance, std::int64_t samples) {
  const double deviation = std::sqrt(chance * (1 - chance) / static_cast<double>(samples));
  return agreement > chance + 3 * deviation;
}

}  // namespace cachectl::learn
