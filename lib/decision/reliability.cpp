#include "decision/reliability.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace cachectl::decision {

std::vector<Bin> reliability(const ExitRecord& record, const std::vector<std::int32_t>& backbone,
                             std::size_t count) {
  assert(count > 0 && record.confidence.size() == backbone.size());
  std::vector<Bin> bins(count);
  const auto width = 1 / static_cast<double>(count);
  for (std::size_t b = 0; b < count; ++b) {
    bins[b].low = static_cast<double>(b) * width;
    bins[b].high = static_cast<double>(b + 1) * width;
  }
  for (std::size_t i = 0; i < backbone.size(); ++i) {
    const double confidence = record.confidence[i];
    const double place = std::ceil(confidence * static_cast<double>(count)) - 1;
    Bin& bin =
        bins[static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(count - 1)))];
    ++bin.samples;
    bin.confidence += confidence;
    bin.agreement += record.prediction[i] == backbone[i];
  }
  for (Bin& bin : bins) {
    if (bin.samples == 0) continue;
    bin.confidence /= static_cast<double>(bin.samples);
    bin.agreement /= static_cast<double>(bin.samples);
  }
  return bins;
}

double expected_calibration_error(const std::vector<Bin>& bins) {
  double error = 0;
  std::int64_t samples = 0;
  for (const Bin& bin : bins) {
    error += static_cast<double>(bin.samples) * std::abs(bin.agreement - bin.confidence);
    samples += bin.samples;
  }
  return samples == 0 ? 0 : error / static_cast<double>(samples);
}

}  // namespace cachectl::decision
