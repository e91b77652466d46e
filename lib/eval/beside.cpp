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
#include "eval/trade.h"

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
  compare("precision of cache models", other.cache_precision, ours.cache_precision);
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

// On this backbone's axis: the same share of another's arithmetic is another amount.
void rescale(artifact::TradeCurve& curve, const artifact::Report& other,
             const artifact::Report& ours) {
  const double scale = other.backbone_flops / ours.backbone_flops;
  std::vector<double> cost = {scale}, quality = {other.plans.at(curve.plan).accuracy_plain.value};
  for (artifact::TradePoint& point : curve.points) {
    point.flops *= scale;
    cost.push_back(point.flops);
    quality.push_back(point.accuracy);
  }
  curve.area_flops = area_under(cost, quality);
}

}  // namespace

std::vector<artifact::Report> read_beside(const Options& options) {
  std::vector<artifact::Report> others;
  others.reserve(options.beside.size());
  for (const std::string& path : options.beside) {
    others.push_back(artifact::read_report(path));
    if (others.back().trade.empty()) {
      log::warning("{}: holds no curve to draw, as its plan is empty", path);
    }
  }
  return others;
}

void require_same_samples(const std::vector<artifact::Report>& others,
                          const artifact::Report& report, const Options& options) {
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (others[i].test_ids_hash == report.test_ids_hash) {
      if (others[i].has_labels() == report.has_labels() || others[i].trade.empty()) continue;
      fail(ExitCode::kIncompatible,
           "{}: its curve is of {}, this evaluation's of {}: make both with labels, or both with "
           "--use-labels=false",
           options.beside[i], others[i].has_labels() ? "accuracy" : "agreement",
           report.has_labels() ? "accuracy" : "agreement");
    }
    fail(ExitCode::kIncompatible,
         "{}: measured on other samples ({}, {}) than this evaluation ({}, {}); curves beside "
         "each other need the same test part",
         options.beside[i], others[i].samples, others[i].data_name, report.samples,
         report.data_name);
  }
}

std::string name_beside(const Options& options, std::size_t i) {
  const std::filesystem::path path = options.beside[i];
  const auto same_stem = [&](const std::filesystem::path& other) {
    return other.stem() == path.stem();
  };
  const auto alike = std::count_if(options.beside.begin(), options.beside.end(), same_stem);
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path().filename();
  return alike == 1 ? path.stem().string() : (folder / path.stem()).string();
}

void add_beside(const std::vector<artifact::Report>& others, std::size_t plan,
                const Options& options, artifact::Report& report) {
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (others[i].trade.empty()) continue;
    const std::string& path = options.beside[i];
    artifact::TradeCurve curve = others[i].trade.front();
    if (others[i].backbone_hash != report.backbone_hash) {
      if (!report.has_labels()) {
        log::warning("{}: left out: its curve is of agreement with another backbone, {}", path,
                     others[i].backbone_file);
        continue;
      }
      rescale(curve, others[i], report);
    }
    curve.plan = plan;
    curve.method += " (" + name_beside(options, i) + ")";
    const bool timed = std::any_of(curve.points.begin(), curve.points.end(),
                                   [](const auto& point) { return !std::isnan(point.latency); });
    const auto found = differences(others[i], report, curve.batch, options);
    if (timed && !found.empty()) {
      log::warning("{}: its latency is left out, being measured with {}", path,
                   text::join(found, ", "));
      leave_out_latency(curve);
    }
    report.trade.push_back(std::move(curve));
  }
}

}  // namespace cachectl::eval
