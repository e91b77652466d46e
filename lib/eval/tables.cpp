#include "eval/tables.h"

#include <fmt/core.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "eval/eval.h"

namespace cachectl::eval {

namespace {

std::string cell(double value) {
  return std::isnan(value) ? "" : fmt::format("{:.10g}", value);
}
std::string cell(std::int64_t value) {
  return std::to_string(value);
}
std::string cell(const std::string& text) {
  return text;
}

template <class... Cells>
std::vector<std::string> row(const Cells&... cells) {
  return {cell(cells)...};
}

double at(const std::vector<double>& values, std::size_t i) {
  return values.empty() ? std::nan("") : values[i];
}

Sheet exits_sheet(const artifact::Report& report) {
  Sheet sheet{"exits",
              {"plan_batch",
               "exit",
               "architecture",
               "threshold",
               "temperature",
               "reach",
               "hits",
               "hit_rate",
               "hit_rate_low",
               "hit_rate_high",
               "share",
               "cache_accuracy",
               "cache_accuracy_low",
               "cache_accuracy_high",
               "gt_accuracy",
               "gt_accuracy_low",
               "gt_accuracy_high",
               "backbone_accuracy",
               "effect",
               "effect_low",
               "effect_high",
               "both_right",
               "both_wrong_alike",
               "backbone_right_cache_wrong",
               "cache_right_backbone_wrong",
               "both_wrong_apart",
               "segment_flops",
               "cache_flops"},
              {}};
  for (const artifact::PlanOutcome& plan : report.plans) {
    for (const artifact::ExitOutcome& exit : plan.exits) {
      sheet.rows.push_back(
          row(plan.batch, exit.layer, exit.architecture, exit.threshold, exit.temperature,
              exit.reach, exit.hits, exit.hit_rate.value, exit.hit_rate.low, exit.hit_rate.high,
              exit.share, exit.cache_accuracy.value, exit.cache_accuracy.low,
              exit.cache_accuracy.high, exit.gt_accuracy.value, exit.gt_accuracy.low,
              exit.gt_accuracy.high, exit.backbone_accuracy, exit.effect.value, exit.effect.low,
              exit.effect.high, exit.verdicts[0], exit.verdicts[1], exit.verdicts[2],
              exit.verdicts[3], exit.verdicts[4], exit.segment_flops, exit.cache_flops));
    }
  }
  return sheet;
}

Sheet plans_sheet(const artifact::Report& report) {
  Sheet sheet{"plans",
              {"plan_batch",
               "exits",
               "tolerance",
               "agreement",
               "agreement_low",
               "agreement_high",
               "collected_agreement",
               "collected_agreement_low",
               "collected_agreement_high",
               "accuracy_plain",
               "accuracy_plain_low",
               "accuracy_plain_high",
               "accuracy_cached",
               "accuracy_cached_low",
               "accuracy_cached_high",
               "effect",
               "effect_low",
               "effect_high",
               "flops_plain",
               "flops_cached",
               "predicted_saving",
               "predicted_risk",
               "backbone_bytes",
               "cache_bytes",
               "backbone_parameters",
               "cache_parameters"},
              {}};
  for (const artifact::PlanOutcome& plan : report.plans) {
    sheet.rows.push_back(row(
        plan.batch, static_cast<std::int64_t>(plan.exits.size()) - 1, report.tolerance,
        plan.agreement.value, plan.agreement.low, plan.agreement.high,
        plan.collected_agreement.value, plan.collected_agreement.low, plan.collected_agreement.high,
        plan.accuracy_plain.value, plan.accuracy_plain.low, plan.accuracy_plain.high,
        plan.accuracy_cached.value, plan.accuracy_cached.low, plan.accuracy_cached.high,
        plan.effect.value, plan.effect.low, plan.effect.high, plan.flops_plain, plan.flops_cached,
        plan.predicted_saving, plan.predicted_risk, report.backbone_bytes, plan.cache_bytes,
        report.backbone_parameters, plan.cache_parameters));
  }
  return sheet;
}

Sheet classes_sheet(const artifact::Report& report) {
  Sheet sheet{"classes", {"plan_batch", "class", "name", "samples", "early", "differing"}, {}};
  for (const artifact::PlanOutcome& plan : report.plans) {
    for (const artifact::ClassOutcome& one : plan.classes) {
      const auto label = static_cast<std::size_t>(one.label);
      const std::string name = label < report.class_names.size() ? report.class_names[label] : "";
      sheet.rows.push_back(
          row(plan.batch, std::int64_t{one.label}, name, one.samples, one.early, one.differing));
    }
  }
  return sheet;
}

Sheet certificates_sheet(const artifact::Report& report) {
  Sheet sheet{"certificates",
              {"plan_batch",
               "empty",
               "holds",
               "epsilon",
               "delta",
               "certified_samples",
               "certified_differing",
               "p_value",
               "samples_needed",
               "list_size",
               "list_tested",
               "list_certified",
               "precision",
               "storage",
               "samples",
               "differing",
               "risk",
               "risk_low",
               "risk_high",
               "consistent"},
              {}};
  for (const artifact::PlanOutcome& plan : report.plans) {
    if (!plan.has_certificate) continue;
    const artifact::CertificateOutcome& shown = plan.certificate;
    const artifact::Certificate& made = shown.certificate;
    const auto emptiness = plan.emptiness();
    sheet.rows.push_back(row(plan.batch, std::string(emptiness ? name_of(*emptiness) : ""),
                             std::int64_t{made.holds}, made.epsilon, made.delta, made.samples,
                             made.differing, made.p_value, made.samples_needed, made.list_size,
                             made.list_tested, made.list_certified, made.precision, made.storage,
                             shown.samples, shown.differing, shown.risk.value, shown.risk.low,
                             shown.risk.high, std::int64_t{shown.consistent}));
  }
  return sheet;
}

Sheet alone_sheet(const artifact::Report& report) {
  Sheet sheet{"alone",
              {"layer", "architecture", "threshold", "hit_rate", "cache_accuracy", "drop",
               "gt_accuracy", "effect"},
              {}};
  for (const artifact::CurveAlone& curve : report.alone) {
    for (std::size_t k = 0; k < curve.threshold.size(); ++k) {
      sheet.rows.push_back(row(curve.layer, curve.architecture, curve.threshold[k],
                               curve.hit_rate[k], curve.cache_accuracy[k], curve.drop[k],
                               at(curve.gt_accuracy, k), at(curve.effect, k)));
    }
  }
  return sheet;
}

Sheet reliability_sheet(const artifact::Report& report) {
  Sheet sheet{"reliability",
              {"layer", "temperature", "low", "high", "samples_before", "confidence_before",
               "agreement_before", "samples_after", "confidence_after", "agreement_after"},
              {}};
  for (const artifact::Reliability& one : report.reliability) {
    for (std::size_t b = 0; b + 1 < one.edge.size(); ++b) {
      sheet.rows.push_back(row(one.layer, one.temperature, one.edge[b], one.edge[b + 1],
                               one.count_before[b], one.confidence_before[b],
                               one.agreement_before[b], one.count_after[b], one.confidence_after[b],
                               one.agreement_after[b]));
    }
  }
  return sheet;
}

Sheet memory_sheet(const artifact::Report& report) {
  Sheet sheet{"memory", {"batch", "plan_batch", "plain_bytes", "cached_bytes"}, {}};
  for (const artifact::MemoryUse& use : report.memory) {
    sheet.rows.push_back(
        row(use.batch, report.plans[use.plan].batch, use.plain_bytes, use.cached_bytes));
  }
  return sheet;
}

Sheet latency_sheet(const artifact::Report& report) {
  Sheet sheet{"latency",
              {"batch",
               "plan_batch",
               "repeats",
               "device",
               "threads",
               "precision",
               "cache_precision",
               "plain_mean_ms",
               "plain_p50_ms",
               "plain_p90_ms",
               "plain_p99_ms",
               "cached_mean_ms",
               "cached_p50_ms",
               "cached_p90_ms",
               "cached_p99_ms",
               "first_answer_mean_ms",
               "mean_answer_mean_ms",
               "saved",
               "saved_low",
               "saved_high",
               "predicted_saving",
               "flops_saved"},
              {}};
  for (const artifact::Latency& one : report.latency) {
    sheet.rows.push_back(
        row(one.batch, report.plans[one.plan].batch, static_cast<std::int64_t>(one.plain_ms.size()),
            report.device, report.threads, report.precision, report.cache_precision, one.plain.mean,
            one.plain.p50, one.plain.p90, one.plain.p99, one.cached.mean, one.cached.p50,
            one.cached.p90, one.cached.p99, one.first.mean, one.answer.mean, one.saved.value,
            one.saved.low, one.saved.high, report.predicted_saving(one), one.flops_saved));
  }
  return sheet;
}

Sheet trade_sheet(const artifact::Report& report) {
  Sheet sheet{
      "trade", {"method", "batch", "setting", "agreement", "accuracy", "flops", "latency"}, {}};
  for (const artifact::TradeCurve& curve : report.trade) {
    for (const artifact::TradePoint& point : curve.points) {
      sheet.rows.push_back(row(curve.method, curve.batch, point.setting, point.agreement,
                               point.accuracy, point.flops, point.latency));
    }
  }
  return sheet;
}

Sheet areas_sheet(const artifact::Report& report) {
  Sheet sheet{"areas", {"method", "plan_batch", "batch", "area_flops", "area_latency"}, {}};
  for (const artifact::TradeCurve& curve : report.trade) {
    sheet.rows.push_back(row(curve.method, report.plans[curve.plan].batch, curve.batch,
                             curve.area_flops, curve.area_latency));
  }
  return sheet;
}

}  // namespace

std::vector<Sheet> sheets_of(const artifact::Report& report) {
  return {plans_sheet(report),       exits_sheet(report),       classes_sheet(report),
          alone_sheet(report),       reliability_sheet(report), memory_sheet(report),
          latency_sheet(report),     trade_sheet(report),       areas_sheet(report),
          certificates_sheet(report)};
}

std::string csv_of(const Sheet& sheet) {
  std::string text;
  const auto add = [&](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c) {
      if (c > 0) text += ',';
      if (cells[c].find_first_of(",\"\r\n") == std::string::npos) {
        text += cells[c];
        continue;
      }
      text += '"';
      for (const char character : cells[c])
        text += character == '"' ? "\"\"" : std::string(1, character);
      text += '"';
    }
    text += '\n';
  };
  add(sheet.header);
  for (const auto& cells : sheet.rows) add(cells);
  return text;
}

void write_csv(const artifact::Report& report, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  for (const Sheet& sheet : sheets_of(report)) {
    const std::filesystem::path path = std::filesystem::path(folder) / (sheet.name + ".csv");
    std::ofstream file(path);
    file << csv_of(sheet);
    file.close();
    if (!file) fail(ExitCode::kCannotOpen, "{}: cannot write: {}", path.string(), errno_text());
  }
}

}  // namespace cachectl::eval
