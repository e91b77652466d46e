#include "eval/trade.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/progress.h"
#include "base/text.h"
#include "decision/outcome.h"
#include "eval/statistics.h"

namespace cachectl::eval {

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct Setting {
  std::string name;
  std::vector<float> thresholds;
};

// Confidence moved by `shift` in the logit. A threshold above 1 never hits and stays.
float shifted(float threshold, double shift) {
  if (threshold >= 1) return threshold;
  const double odds = static_cast<double>(threshold) / (1 - static_cast<double>(threshold));
  return static_cast<float>(1 / (1 + std::exp(-shift) / odds));
}

std::vector<Setting> shifted_settings(const std::vector<runtime::Exit>& exits) {
  std::vector<Setting> settings;
  for (const double shift :
       {-6.0, -4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0}) {
    Setting setting{shift == 0 ? "plan" : fmt::format("plan {:+}", shift), {}};
    for (const runtime::Exit& exit : exits) {
      setting.thresholds.push_back(shifted(exit.threshold, shift));
    }
    settings.push_back(std::move(setting));
  }
  return settings;
}

std::vector<Setting> uniform_settings(std::size_t exits) {
  std::vector<Setting> settings;
  for (const double theta : {0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99,
                             0.995, 0.999, 0.9999}) {
    settings.push_back(
        {fmt::format("theta {}", theta), std::vector<float>(exits, static_cast<float>(theta))});
  }
  return settings;
}

// The recorded models that the plan's exits are, by depth.
std::vector<std::size_t> models_of(const Recording& recording,
                                   const std::vector<runtime::Exit>& exits) {
  std::vector<std::size_t> models;
  for (const runtime::Exit& exit : exits) {
    const auto found =
        std::find_if(recording.models.begin(), recording.models.end(),
                     [&](const AloneModel& model) { return model.layer == exit.layer; });
    models.push_back(static_cast<std::size_t>(found - recording.models.begin()));
  }
  return models;
}

artifact::TradePoint point_of(const Recording& recording, const runtime::Engine& engine,
                              std::size_t plan, const std::vector<std::size_t>& models,
                              const Setting& setting, bool shrink) {
  decision::Exits exits;
  for (std::size_t e = 0; e < models.size(); ++e) {
    exits.push_back({models[e], setting.thresholds[e]});
  }
  const decision::Outcome outcome = decision::run_over(recording.records, exits);
  const std::vector<std::int32_t> labels = decision::answers(recording.records, exits, outcome);
  Recording::Answered answered;
  for (const std::int32_t exit : outcome.left_at) {
    answered.exit.push_back(static_cast<std::size_t>(exit));
  }
  double plain = 0;
  for (std::size_t e = 0; e < engine.stages(plan); ++e) plain += engine.segment_flops(plan, e);
  artifact::TradePoint point;
  point.setting = setting.name;
  point.flops = mean_flops(answered, engine, plan, shrink) / plain;
  point.agreement = 1 - outcome.risk();
  point.accuracy = point.latency = kNone;
  std::int64_t labelled = 0, right = 0;
  for (std::size_t i = 0; i < recording.truth.size(); ++i) {
    if (recording.truth[i] == labels::kUnknown) continue;
    ++labelled;
    right += labels[i] == recording.truth[i] ? 1 : 0;
  }
  if (labelled > 0) point.accuracy = static_cast<double>(right) / static_cast<double>(labelled);
  return point;
}

artifact::TradeCurve curve_of(std::string method, const std::vector<Setting>& settings,
                              const Recording& recording, const runtime::Engine& engine,
                              std::size_t plan, const InputPool* pool, const Options& options) {
  artifact::TradeCurve curve;
  curve.method = std::move(method);
  curve.plan = plan;
  curve.batch = options.curve_batch;
  const std::vector<std::size_t> models = models_of(recording, engine.exits(plan));
  Progress progress("curve " + curve.method, static_cast<std::int64_t>(settings.size()), "points");
  Effort effort;  // the engine is warm; a curve's time is that of one batch size's latency
  effort.repeats = options.curve_repeats;
  effort.least = std::min<std::int64_t>(3, options.curve_repeats);
  effort.warm_ups = 1;
  effort.minutes = options.minutes / static_cast<double>(settings.size());
  for (const Setting& setting : settings) {
    artifact::TradePoint point =
        point_of(recording, engine, plan, models, setting, options.engine.shrink);
    if (pool != nullptr && options.curve_repeats > 0) {
      const Pairs pairs = time_pairs(engine.with_thresholds(plan, setting.thresholds), 0, *pool,
                                     options.curve_batch, effort);
      point.latency = quantiles_of(pairs.cached_ms).mean / quantiles_of(pairs.plain_ms).mean;
    }
    curve.points.push_back(std::move(point));
    progress.advance();
  }
  std::stable_sort(curve.points.begin(), curve.points.end(),
                   [](const auto& a, const auto& b) { return a.flops < b.flops; });
  // The backbone itself is open to every method.
  std::vector<double> flops{1}, latency{1}, quality;
  const auto& backbone = recording.records.backbone;
  std::int64_t labelled = 0, right = 0;
  for (std::size_t i = 0; i < recording.truth.size(); ++i) {
    if (recording.truth[i] == labels::kUnknown) continue;
    ++labelled;
    right += backbone[i] == recording.truth[i] ? 1 : 0;
  }
  quality.push_back(labelled > 0 ? static_cast<double>(right) / static_cast<double>(labelled) : 1);
  for (const artifact::TradePoint& point : curve.points) {
    flops.push_back(point.flops);
    latency.push_back(point.latency);
    quality.push_back(labelled > 0 ? point.accuracy : point.agreement);
  }
  curve.area_flops = area_under(flops, quality);
  curve.area_latency = area_under(latency, quality);
  return curve;
}

}  // namespace

double area_under(const std::vector<double>& cost, const std::vector<double>& quality) {
  std::vector<std::size_t> order(cost.size());
  std::iota(order.begin(), order.end(), 0);
  for (const std::size_t i : order) {
    if (std::isnan(cost[i]) || std::isnan(quality[i])) return kNone;
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return cost[a] < cost[b]; });
  double area = 0, best = 0, from = 0;
  for (const std::size_t i : order) {
    if (cost[i] > 1) break;
    area += best * (cost[i] - from);
    from = cost[i];
    best = std::max(best, quality[i]);
  }
  return area + best * (1 - from);
}

std::vector<artifact::TradeCurve> trade_curves(const Recording& recording,
                                               const runtime::Engine& engine, std::size_t plan,
                                               const InputPool* pool, const Options& options) {
  const std::vector<runtime::Exit>& exits = engine.exits(plan);
  if (exits.empty()) return {};
  return {curve_of("cachectl", shifted_settings(exits), recording, engine, plan, pool, options),
          curve_of("one threshold for all exits", uniform_settings(exits.size()), recording, engine,
                   plan, pool, options)};
}

}  // namespace cachectl::eval
