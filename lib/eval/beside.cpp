#include "eval/beside.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace cachectl::eval {

namespace {

// What the other's times were measured with and ours were not.
std::vector<std::string> differences(const artifact::Report& other, const artifact::Report& ours,
                                     std::int64_t batch, const Options& options) {
  std::vector<std::string> found;
  const auto compare = [&](const char* what, const auto& theirs, const auto& own) {
    if (theirs != own) found.push_back(fmt::format("{} {} (here {})", what, theirs, own));
  };
  compare("batch", batch, options.curve_batch);
  compare("device", other.device, ours.device);
  compare("processor", other.processor, ours.processor);
  compare("threads", other.threads, ours.threads);
  compare("precision", other.precision, ours.precision);
  if (other.backbone_hash != ours.backbone_hash) {
    found.push_back(fmt::format("backbone {} {:.12} (here {:.12})", other.backbone_file,
                                other.backbone_hash, ours.backbone_hash));
  }
  return found;
}

void leave_out_latency(artifact::TradeCurve& curve) {
  curve.area_latency = std::numeric_limits<double>::quiet_NaN();
  for (artifact::TradePoint& point : curve.points) point.latency = curve.area_latency;
}

}  // namespace

void add_beside(artifact::Report& report, const Options& options) {
  for (const std::string& path : options.beside) {
    const artifact::Report other = artifact::read_report(path);
    if (other.test_ids_hash != report.test_ids_hash) {
      fail(ExitCode::kIncompatible,
           "{}: measured on other samples ({}, {}) than this evaluation ({}, {}); curves beside "
           "each other need the same test part",
           path, other.samples, other.data_name, report.samples, report.data_name);
    }
    if (other.trade.empty()) continue;
    artifact::TradeCurve curve = other.trade.front();
    curve.method += " (" + std::filesystem::path(path).stem().string() + ")";
    const bool timed = std::any_of(curve.points.begin(), curve.points.end(),
                                   [](const auto& point) { return !std::isnan(point.latency); });
    const auto found = differences(other, report, curve.batch, options);
    if (timed && !found.empty()) {
      log::warning("{}: its latency is left out, being measured with {}", path,
                   text::join(found, ", "));
      leave_out_latency(curve);
    }
    report.trade.push_back(std::move(curve));
  }
}

}  // namespace cachectl::eval
