#include <fmt/core.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/table.h"
#include "base/text.h"
#include "eval/eval.h"

namespace cachectl::eval {

namespace {

using Json = nlohmann::json;

// --- for people ----------------------------------------------------------------

std::string percent(double share, int digits = 1) {
  return std::isnan(share) ? "-" : fmt::format("{:.{}f} %", share * 100, digits);
}
std::string points(double share) {
  return std::isnan(share) ? "-" : fmt::format("{:+.2f}", share * 100);
}
std::string with_interval(const artifact::Interval& interval) {
  if (std::isnan(interval.value)) return "-";
  return fmt::format("{:.2f} % [{:.2f}, {:.2f}]", interval.value * 100, interval.low * 100,
                     interval.high * 100);
}

void print_exits(const artifact::PlanOutcome& plan, std::ostream& out) {
  Table table({"exit", "threshold", "reach", "hits", "hit rate", "of all", "cache accuracy",
               "GT accuracy", "effect", "B=C right", "B=C wrong", "B right", "C right",
               "both wrong"});
  for (const artifact::ExitOutcome& exit : plan.exits) {
    const bool is_backbone = &exit == &plan.exits.back();
    std::vector<std::string> cells = {exit.layer,
                                      is_backbone ? "-" : fmt::format("{:.4f}", exit.threshold),
                                      std::to_string(exit.reach),
                                      std::to_string(exit.hits),
                                      percent(exit.hit_rate),
                                      percent(exit.share),
                                      percent(exit.cache_accuracy.value, 2),
                                      percent(exit.gt_accuracy.value, 2),
                                      points(exit.effect)};
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
  out << "agreement with the backbone  " << with_interval(plan.agreement) << '\n';
  if (report.has_labels()) {
    out << "accuracy, plain              " << with_interval(plan.accuracy_plain) << '\n'
        << "accuracy, cached             " << with_interval(plan.accuracy_cached) << '\n'
        << "effect on accuracy           "
        << fmt::format("{:+.2f} points [{:+.2f}, {:+.2f}]\n", plan.effect.value * 100,
                       plan.effect.low * 100, plan.effect.high * 100);
  }
  out << fmt::format("FLOPs per sample             {} -> {} ({} saved; {} predicted)\n",
                     text::count(plan.flops_plain), text::count(plan.flops_cached),
                     percent(1 - plan.flops_cached / plan.flops_plain),
                     report.cost_kind == "flops" ? percent(plan.predicted_saving) : "-")
      << fmt::format("model                        {} + {} of cache models\n",
                     text::bytes(static_cast<double>(report.backbone_bytes)),
                     text::bytes(static_cast<double>(plan.cache_bytes)));
}

void print_latency(const artifact::Report& report, std::ostream& out) {
  if (report.latency.empty()) return;
  out << fmt::format("\nLatency, {} on {} ({} threads), {}\n", report.library, report.processor,
                     report.threads, report.precision);
  Table table({"batch", "runs", "plain ms", "p50", "p90", "p99", "cached ms", "p50", "p90", "p99",
               "saved", "95 %", "FLOPs saved", "first ms", "mean answer ms"});
  const auto ms = [](double value) { return text::significant(value, 3); };
  for (const artifact::Latency& one : report.latency) {
    table.add({std::to_string(one.batch), std::to_string(one.plain_ms.size()), ms(one.plain.mean),
               ms(one.plain.p50), ms(one.plain.p90), ms(one.plain.p99), ms(one.cached.mean),
               ms(one.cached.p50), ms(one.cached.p90), ms(one.cached.p99), percent(one.saved.value),
               fmt::format("[{:.1f}, {:.1f}]", one.saved.low * 100, one.saved.high * 100),
               percent(one.flops_saved), ms(one.first.mean), ms(one.answer.mean)});
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
  out << fmt::format("\nArea under {} against cost (1 is the most)\n",
                     report.has_labels() ? "accuracy" : "agreement");
  Table table({"method", "FLOPs", fmt::format("latency, batch {}", report.trade[0].batch)});
  for (const artifact::TradeCurve& curve : report.trade) {
    const auto shown = [](double area) {
      return std::isnan(area) ? std::string("-") : fmt::format("{:.4f}", area);
    };
    table.add({curve.method, shown(curve.area_flops), shown(curve.area_latency)});
  }
  table.print(out);
}

// --- for programs --------------------------------------------------------------

Json json_of(const artifact::Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}
Json json_of(const artifact::Quantiles& times) {
  return {{"mean", times.mean}, {"p50", times.p50}, {"p90", times.p90}, {"p99", times.p99}};
}

Json json_of(const artifact::PlanOutcome& plan) {
  Json json = {{"batch", plan.batch},
               {"agreement", json_of(plan.agreement)},
               {"accuracy_plain", json_of(plan.accuracy_plain)},
               {"accuracy_cached", json_of(plan.accuracy_cached)},
               {"effect", json_of(plan.effect)},
               {"flops_plain", plan.flops_plain},
               {"flops_cached", plan.flops_cached},
               {"predicted_saving", plan.predicted_saving},
               {"predicted_risk", plan.predicted_risk},
               {"cache_bytes", plan.cache_bytes},
               {"exits", Json::array()}};
  for (const artifact::ExitOutcome& exit : plan.exits) {
    Json verdicts;
    for (std::size_t v = 0; v < artifact::kVerdicts; ++v) {
      verdicts[artifact::name_of(static_cast<artifact::Verdict>(v))] = exit.verdicts[v];
    }
    json["exits"].push_back({{"layer", exit.layer},
                             {"architecture", exit.architecture},
                             {"threshold", exit.threshold},
                             {"temperature", exit.temperature},
                             {"reach", exit.reach},
                             {"hits", exit.hits},
                             {"hit_rate", exit.hit_rate},
                             {"share", exit.share},
                             {"cache_accuracy", json_of(exit.cache_accuracy)},
                             {"gt_accuracy", json_of(exit.gt_accuracy)},
                             {"effect", exit.effect},
                             {"verdicts", verdicts},
                             {"segment_flops", exit.segment_flops},
                             {"cache_flops", exit.cache_flops}});
  }
  if (plan.has_certificate) {
    const artifact::CertificateOutcome& shown = plan.certificate;
    json["certificate"] = {{"epsilon", shown.certificate.epsilon},
                           {"delta", shown.certificate.delta},
                           {"holds", shown.certificate.holds},
                           {"certified_samples", shown.certificate.samples},
                           {"certified_differing", shown.certificate.differing},
                           {"samples", shown.samples},
                           {"differing", shown.differing},
                           {"risk", json_of(shown.risk)},
                           {"consistent", shown.consistent}};
  }
  return json;
}

Json json_of(const artifact::Report& report) {
  Json json = {{"title", report.title},
               {"samples", report.samples},
               {"labelled", report.labelled},
               {"classes", report.classes},
               {"tolerance", report.tolerance},
               {"budget", report.budget},
               {"cost", report.cost_kind},
               {"device", report.device},
               {"processor", report.processor},
               {"threads", report.threads},
               {"precision", report.precision},
               {"cache_precision", report.cache_precision},
               {"precision_agreement", report.precision_agreement},
               {"library", report.library},
               {"backbone",
                {{"file", report.backbone_file},
                 {"hash", report.backbone_hash},
                 {"flops", report.backbone_flops},
                 {"bytes", report.backbone_bytes},
                 {"parameters", report.backbone_parameters}}},
               {"plans", Json::array()},
               {"memory", Json::array()},
               {"latency", Json::array()},
               {"trade", Json::array()},
               {"remarks", Json::array()}};
  for (const auto& plan : report.plans) json["plans"].push_back(json_of(plan));
  for (const auto& use : report.memory) {
    json["memory"].push_back({{"batch", use.batch},
                              {"plain_bytes", use.plain_bytes},
                              {"cached_bytes", use.cached_bytes}});
  }
  for (const auto& one : report.latency) {
    json["latency"].push_back({{"batch", one.batch},
                               {"repeats", one.plain_ms.size()},
                               {"plain_ms", json_of(one.plain)},
                               {"cached_ms", json_of(one.cached)},
                               {"first_answer_ms", json_of(one.first)},
                               {"mean_answer_ms", json_of(one.answer)},
                               {"saved", json_of(one.saved)},
                               {"flops_saved", one.flops_saved}});
  }
  for (const auto& curve : report.trade) {
    Json all = Json::array();
    for (const auto& point : curve.points) {
      all.push_back({{"setting", point.setting},
                     {"agreement", point.agreement},
                     {"accuracy", point.accuracy},
                     {"flops", point.flops},
                     {"latency", point.latency}});
    }
    json["trade"].push_back({{"method", curve.method},
                             {"batch", curve.batch},
                             {"area_flops", curve.area_flops},
                             {"area_latency", curve.area_latency},
                             {"points", all}});
  }
  for (const auto& remark : report.remarks) json["remarks"].push_back(remark.text);
  return json;
}

}  // namespace

void print_report(const artifact::Report& report, bool json) {
  if (json) {
    std::cout << json_of(report).dump(2) << '\n';  // NaN becomes null
    return;
  }
  std::cout << report.title << '\n';
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
