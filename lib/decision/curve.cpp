#include "decision/curve.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace cachectl::decision {

void Records::check() const {
  for (const auto& exit : exits) {
    assert(exit.prediction.size() == samples() && exit.confidence.size() == samples());
    for (const float confidence : exit.confidence) assert(confidence >= 0 && confidence <= 1);
  }
}

double Curve::hit_rate(std::size_t k) const {
  return static_cast<double>(hits[k]) / static_cast<double>(samples);
}
double Curve::cache_accuracy(std::size_t k) const {
  return 1 - static_cast<double>(wrong[k]) / static_cast<double>(hits[k]);
}
double Curve::drop(std::size_t k) const {
  return static_cast<double>(wrong[k]) / static_cast<double>(samples);
}

std::size_t Curve::within(std::int64_t allowed) const {
  return static_cast<std::size_t>(std::upper_bound(wrong.begin(), wrong.end(), allowed) -
                                  wrong.begin());
}

Curve make_curve(const ExitRecord& record, const std::vector<std::int32_t>& backbone) {
  const std::size_t samples = backbone.size();
  assert(record.prediction.size() == samples && record.confidence.size() == samples);
  Curve curve;
  curve.samples = static_cast<std::int64_t>(samples);
  curve.order.resize(samples);
  std::iota(curve.order.begin(), curve.order.end(), 0);
  const auto& confidence = record.confidence;
  std::stable_sort(curve.order.begin(), curve.order.end(), [&](std::int32_t a, std::int32_t b) {
    return confidence[static_cast<std::size_t>(a)] > confidence[static_cast<std::size_t>(b)];
  });
  std::int32_t wrong = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    const auto sample = static_cast<std::size_t>(curve.order[i]);
    wrong += record.prediction[sample] != backbone[sample];
    const bool ends_group =
        i + 1 == samples ||
        confidence[static_cast<std::size_t>(curve.order[i + 1])] != confidence[sample];
    if (!ends_group) continue;
    curve.threshold.push_back(confidence[sample]);
    curve.hits.push_back(static_cast<std::int32_t>(i + 1));
    curve.wrong.push_back(wrong);
  }
  return curve;
}

std::vector<Curve> make_curves(const Records& records) {
  std::vector<Curve> curves;
  for (const auto& exit : records.exits) curves.push_back(make_curve(exit, records.backbone));
  return curves;
}

Exits settled(const std::vector<Curve>& curves, const Exits& exits) {
  Exits moved = exits;
  for (auto& exit : moved) {
    const auto& thresholds = curves[exit.candidate].threshold;
    const auto next = std::find_if(thresholds.begin(), thresholds.end(),
                                   [&](float value) { return value < exit.threshold; });
    if (next == thresholds.begin() || next == thresholds.end()) continue;
    const float middle = *next + (*(next - 1) - *next) / 2;
    if (middle > *next) exit.threshold = middle;  // equal where no float lies between
  }
  return moved;
}

std::int64_t allowed_wrong(double drop, std::int64_t samples) {
  return static_cast<std::int64_t>(std::floor(drop * static_cast<double>(samples) + 1e-9));
}

}  // namespace cachectl::decision
