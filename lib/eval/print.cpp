#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "base/table.h"
#include "base/text.h"
#include "eval/eval.h"
#include "eval/report_json.h"

namespace cachectl::eval {

namespace {

std::string percent(double share, int digits = 1) {
  return std::isnan(share) ? "-" : fmt::format("{:.{}f} %", share * 100, digits);
}
std::string points(double share) {
  return std::isnan(share) ? "-" : fmt::format("{:+.2f}", share * 100);
}
// " [low, high]"; nothing where the value is known exactly, or not at all.
std::string ends(const artifact::Interval& interval) {
  if (std::isnan(interval.value) || !(interval.low < interval.high)) return "";
  return fmt::format(" [{:.2f}, {:.2f}]", interval.low * 100, interval.high * 100);
}
std::string signed_ends(const artifact::Interval& interval) {
  if (std::isnan(interval.value) || !(interval.low < interval.high)) return "";
  return fmt::format(" [{:+.2f}, {:+.2f}]", interval.low * 100, interval.high * 100);
}
std::string with_ends(const artifact::Interval& share) {
  return percent(share.value, 2) + ends(share);
}

void print_alone(const artifact::Report& report, std::ostream& out) {
  if (report.alone.empty()) return;
  out << "\nEach cache model alone; accuracies and effect where it answers every sample\n";
  Table table({"layer", "architecture", "cache accuracy", "GT accuracy", "effect",
               "hit rate at drop " + percent(report.tolerance, 2), "threshold", "ECE before",
               "after"});
  for (std::size_t m = 0; m < report.alone.size(); ++m) {
    const artifact::CurveAlone& curve = report.alone[m];
    const artifact::Reliability& reliability = report.reliability.at(m);
    const auto last = [](const std::vector<double>& column) {
      return column.empty() ? std::nan("") : column.back();
    };
    // The drop rises along the curve, from one sample that hits to all of them.
    const auto within = std::upper_bound(curve.drop.begin(), curve.drop.end(), report.tolerance) -
                        curve.drop.begin();
    const auto best = static_cast<std::size_t>(within) - 1;
    table.add({curve.layer, curve.architecture, percent(last(curve.cache_accuracy), 2),
               percent(last(curve.gt_accuracy), 2), points(last(curve.effect)),
               percent(within == 0 ? 0 : curve.hit_rate[best]),
               within == 0 ? "-" : fmt::format("{:.4f}", curve.threshold[best]),
               percent(reliability.ece_before, 2), percent(reliability.ece_after, 2)});
  }
  table.print(out);
}

void print_exits(const artifact::PlanOutcome& plan, std::ostream& out) {
  Table table({"exit", "threshold", "reach", "hits", "hit rate", "of all", "cache accuracy",
               "GT accuracy", "effect"});
  for (const artifact::ExitOutcome& exit : plan.exits) {
    const bool is_backbone = &exit == &plan.exits.back();
    table.add({exit.layer, is_backbone ? "-" : fmt::format("{:.4f}", exit.threshold),
               std::to_string(exit.reach), std::to_string(exit.hits), with_ends(exit.hit_rate),
               percent(exit.share),
               is_backbone ? percent(exit.cache_accuracy.value, 2) : with_ends(exit.cache_accuracy),
               with_ends(exit.gt_accuracy), points(exit.effect.value) + signed_ends(exit.effect)});
  }
  table.print(out);
}

// B: the backbone's class, C: the answer.
void print_verdicts(const artifact::PlanOutcome& plan, std::ostream& out) {
  Table table({"exit", "B=C right", "B=C wrong", "B right", "C right", "both wrong"});
  for (const artifact::ExitOutcome& exit : plan.exits) {
    std::vector<std::string> cells = {exit.layer};
    for (const std::int64_t count : exit.verdicts) cells.push_back(std::to_string(count));
    table.add(std::move(cells));
  }
  table.print(out);
}

void print_plan(const artifact::Report& report, const artifact::PlanOutcome& plan,
                std::ostream& out) {
  out << '\n'
      << (plan.batch == 0 ? std::string("Plan for any batch")
                          : fmt::format("Plan for batch {}", plan.batch))
      << fmt::format(", {} samples{}\n", report.samples,
                     report.has_labels() ? fmt::format(", {} with labels", report.labelled) : "");
  print_exits(plan, out);
  if (report.has_labels()) print_verdicts(plan, out);
  out << "agreement with the backbone  " << with_ends(plan.agreement) << '\n';
  if (!std::isnan(plan.collected_agreement.value)) {
    out << fmt::format("with it at {:<18}", report.collected_precision)
        << with_ends(plan.collected_agreement) << '\n';
  }
  if (report.has_labels()) {
    out << "accuracy, plain              " << with_ends(plan.accuracy_plain) << '\n'
        << "accuracy, cached             " << with_ends(plan.accuracy_cached) << '\n'
        << "effect on accuracy           " << points(plan.effect.value) << " points"
        << signed_ends(plan.effect) << '\n';
  }
  const std::string predicted = report.cost_kind == "flops"
                                    ? fmt::format("; {} predicted", percent(plan.predicted_saving))
                                    : "";
  out << fmt::format("FLOPs per sample             {} -> {} ({} saved{})\n",
                     text::count(plan.flops_plain), text::count(plan.flops_cached),
                     percent(1 - plan.flops_cached / plan.flops_plain), predicted)
      << fmt::format("model                        {} + {} of cache models\n",
                     text::bytes(static_cast<double>(report.backbone_bytes)),
                     text::bytes(static_cast<double>(plan.cache_bytes)));
}

void print_latency(const artifact::Report& report, std::ostream& out) {
  if (report.latency.empty()) return;
  out << fmt::format("\nLatency on {}, {} ({}, {} threads), backbone {}, cache models {}\n",
                     report.device, report.processor, report.library, report.threads,
                     report.precision, report.cache_precision);
  Table table({"batch", "runs", "plain ms", "p50", "p90", "p99", "cached ms", "p50", "p90", "p99",
               "saved", "95 %", "predicted", "FLOPs saved", "first ms", "mean answer ms"});
  const auto ms = [](double value) { return text::significant(value, 3); };
  for (const artifact::Latency& one : report.latency) {
    table.add({std::to_string(one.batch), std::to_string(one.plain_ms.size()), ms(one.plain.mean),
               ms(one.plain.p50), ms(one.plain.p90), ms(one.plain.p99), ms(one.cached.mean),
               ms(one.cached.p50), ms(one.cached.p90), ms(one.cached.p99), percent(one.saved.value),
               fmt::format("[{:.1f}, {:.1f}]", one.saved.low * 100, one.saved.high * 100),
               percent(report.predicted_saving(one)), percent(one.flops_saved), ms(one.first.mean),
               ms(one.answer.mean)});
  }
  table.print(out);
}

void print_memory(const artifact::Report& report, std::ostream& out) {
  out << "\nTensor memory at its peak\n";
  Table table({"batch", "plain", "cached"});
  for (const artifact::MemoryUse& use : report.memory) {
    const auto shown = [](std::int64_t bytes) {
      return bytes < 0 ? std::string("-") : text::bytes(static_cast<double>(bytes));
    };
    table.add({std::to_string(use.batch), shown(use.plain_bytes), shown(use.cached_bytes)});
  }
  table.print(out);
}

void print_trade(const artifact::Report& report, std::ostream& out) {
  if (report.trade.empty()) return;
  const std::int64_t meant = report.plans.at(report.trade[0].plan).batch;
  out << fmt::format("\nArea under {} against cost (1 is the most){}\n",
                     report.has_labels() ? "accuracy" : "agreement",
                     meant == 0 ? "" : fmt::format(", plan for batch {}", meant));
  Table table({"method", "FLOPs", fmt::format("latency, batch {}", report.trade[0].batch)});
  for (const artifact::TradeCurve& curve : report.trade) {
    const auto shown = [](double area) {
      return std::isnan(area) ? std::string("-") : fmt::format("{:.4f}", area);
    };
    table.add({curve.method, shown(curve.area_flops), shown(curve.area_latency)});
  }
  table.print(out);
}

}  // namespace

void print_report(const artifact::Report& report, bool json) {
  if (json) {
    // NaN becomes null; names of classes and files need not be UTF-8.
    const auto replace = nlohmann::json::error_handler_t::replace;
    std::cout << json_of(report).dump(2, ' ', false, replace) << '\n';
    return;
  }
  std::cout << report.title << '\n';
  print_alone(report, std::cout);
  for (const artifact::PlanOutcome& plan : report.plans) print_plan(report, plan, std::cout);
  print_memory(report, std::cout);
  print_latency(report, std::cout);
  print_trade(report, std::cout);
  std::cout << '\n';
  for (const artifact::Remark& remark : report.remarks) {
    const char* const mark = remark.tone == artifact::Tone::kGood  ? "+"
                             : remark.tone == artifact::Tone::kBad ? "-"
                                                                   : " ";
    std::cout << mark << ' ' << remark.text << '\n';
  }
}

}  // namespace cachectl::eval
