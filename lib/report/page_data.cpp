#include "report/page_data.h"

#include <cmath>

#include "report/image.h"

namespace cachectl::report {
namespace {

using artifact::Interval;
using nlohmann::json;

// Six digits are more than a chart or a table shows, and make the page half as large.
json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0;
  const double scale = std::pow(10.0, 5 - std::floor(std::log10(std::fabs(value))));
  const double rounded = std::round(value * scale) / scale;
  return std::isfinite(rounded) ? json(rounded) : json(value);
}

json numbers(const std::vector<double>& values) {
  json list = json::array();
  for (double value : values) list.push_back(number(value));
  return list;
}

json interval(const Interval& value) {
  return {{"value", number(value.value)}, {"low", number(value.low)}, {"high", number(value.high)}};
}

template <class Items, class Function>
json list_of(const Items& items, Function&& one) {
  json list = json::array();
  for (const auto& item : items) list.push_back(one(item));
  return list;
}

std::vector<std::size_t> kept_points(std::size_t count) {
  std::vector<std::size_t> kept;
  if (count <= kCurvePoints) {
    for (std::size_t i = 0; i < count; ++i) kept.push_back(i);
    return kept;
  }
  for (std::size_t i = 0; i < kCurvePoints; ++i) {
    kept.push_back(i * (count - 1) / (kCurvePoints - 1));
  }
  return kept;
}

json curve(const artifact::CurveAlone& alone) {
  const auto kept = kept_points(alone.threshold.size());
  auto thinned = [&](const std::vector<double>& values) {
    json list = json::array();
    if (values.size() != alone.threshold.size()) return list;  // needs labels: empty
    for (std::size_t i : kept) list.push_back(number(values[i]));
    return list;
  };
  return {{"layer", alone.layer},
          {"architecture", alone.architecture},
          {"points", alone.threshold.size()},
          {"threshold", thinned(alone.threshold)},
          {"hit_rate", thinned(alone.hit_rate)},
          {"cache_accuracy", thinned(alone.cache_accuracy)},
          {"drop", thinned(alone.drop)},
          {"gt_accuracy", thinned(alone.gt_accuracy)},
          {"effect", thinned(alone.effect)}};
}

json reliability(const artifact::Reliability& r) {
  return {{"layer", r.layer},
          {"temperature", number(r.temperature)},
          {"ece_before", number(r.ece_before)},
          {"ece_after", number(r.ece_after)},
          {"edge", numbers(r.edge)},
          {"count_before", r.count_before},
          {"count_after", r.count_after},
          {"confidence_before", numbers(r.confidence_before)},
          {"confidence_after", numbers(r.confidence_after)},
          {"agreement_before", numbers(r.agreement_before)},
          {"agreement_after", numbers(r.agreement_after)}};
}

json exit_outcome(const artifact::ExitOutcome& exit) {
  return {{"layer", exit.layer},
          {"architecture", exit.architecture},
          {"threshold", number(exit.threshold)},
          {"temperature", number(exit.temperature)},
          {"reach", exit.reach},
          {"hits", exit.hits},
          {"hit_rate", interval(exit.hit_rate)},
          {"share", number(exit.share)},
          {"cache_accuracy", interval(exit.cache_accuracy)},
          {"gt_accuracy", interval(exit.gt_accuracy)},
          {"backbone_accuracy", number(exit.backbone_accuracy)},
          {"effect", interval(exit.effect)},
          {"verdicts", exit.verdicts},
          {"segment_flops", number(exit.segment_flops)},
          {"cache_flops", number(exit.cache_flops)}};
}

json certificate(const artifact::CertificateOutcome& outcome, const artifact::Report& report) {
  const auto& promise = outcome.certificate;
  return {{"epsilon", number(promise.epsilon)},
          {"delta", number(promise.delta)},
          {"certify_samples", promise.samples},
          {"certify_differing", promise.differing},
          {"p_value", number(promise.p_value)},
          {"holds", promise.holds},
          {"samples_needed", promise.samples_needed},
          {"bound", promise.bound},
          {"tested_at", promise.precision},
          {"storage", promise.storage},
          {"outside", artifact::outside_of(promise, report.precision, report.cache_precision)},
          {"list_size", promise.list_size},
          {"list_tested", promise.list_tested},
          {"list_certified", promise.list_certified},
          {"samples", outcome.samples},
          {"differing", outcome.differing},
          {"risk", interval(outcome.risk)},
          {"consistent", outcome.consistent}};
}

json plan(const artifact::PlanOutcome& plan, const artifact::Report& report) {
  json object = {{"batch", plan.batch},
                 {"exits", list_of(plan.exits, exit_outcome)},
                 {"agreement", interval(plan.agreement)},
                 {"collected_agreement", interval(plan.collected_agreement)},
                 {"accuracy_plain", interval(plan.accuracy_plain)},
                 {"accuracy_cached", interval(plan.accuracy_cached)},
                 {"effect", interval(plan.effect)},
                 {"flops_plain", number(plan.flops_plain)},
                 {"flops_cached", number(plan.flops_cached)},
                 {"predicted_saving", number(plan.predicted_saving)},
                 {"predicted_risk", number(plan.predicted_risk)},
                 {"cache_bytes", plan.cache_bytes},
                 {"cache_parameters", plan.cache_parameters},
                 {"classes", list_of(plan.classes,
                                     [](const artifact::ClassOutcome& c) {
                                       return json{{"label", c.label},
                                                   {"samples", c.samples},
                                                   {"early", c.early},
                                                   {"differing", c.differing}};
                                     })},
                 {"empty", nullptr},
                 {"certificate", nullptr}};
  if (const auto emptiness = plan.emptiness()) object["empty"] = artifact::name_of(*emptiness);
  if (plan.has_certificate) object["certificate"] = certificate(plan.certificate, report);
  return object;
}

json quantiles(const artifact::Quantiles& q) {
  return {{"mean", number(q.mean)},
          {"p50", number(q.p50)},
          {"p90", number(q.p90)},
          {"p99", number(q.p99)}};
}

json latency(const artifact::Latency& l, const artifact::Report& report) {
  return {{"batch", l.batch},
          {"plan", l.plan},
          {"repeats", l.plain_ms.size()},
          {"plain", quantiles(l.plain)},
          {"cached", quantiles(l.cached)},
          {"first", quantiles(l.first)},
          {"answer", quantiles(l.answer)},
          {"plain_ms", numbers(l.plain_ms)},
          {"cached_ms", numbers(l.cached_ms)},
          {"saved", interval(l.saved)},
          {"predicted_saving", number(report.predicted_saving(l))},
          {"flops_saved", number(l.flops_saved)}};
}

json trade(const artifact::TradeCurve& curve) {
  return {{"method", curve.method},
          {"plan", curve.plan},
          {"batch", curve.batch},
          {"area_flops", number(curve.area_flops)},
          {"area_latency", number(curve.area_latency)},
          {"points", list_of(curve.points, [](const artifact::TradePoint& p) {
             return json{{"setting", p.setting},
                         {"agreement", number(p.agreement)},
                         {"accuracy", number(p.accuracy)},
                         {"flops", number(p.flops)},
                         {"latency", number(p.latency)}};
           })}};
}

json example(const artifact::Example& e) {
  return {{"id", std::to_string(e.id)},
          {"image", png_data_uri(e.image, kImageSide)},
          {"exit", e.exit},
          {"label", e.label},
          {"backbone", e.backbone},
          {"truth", e.truth},
          {"confidence", number(e.confidence)}};
}

json provenance(const io::Provenance& p) {
  json inputs = json::object();
  for (const auto& [role, input] : p.inputs) inputs[role] = provenance(input);
  return {{"kind", p.kind},
          {"format_version", p.format_version},
          {"content_hash", p.content_hash},
          {"producer", p.producer},
          {"command", p.command},
          {"created", p.created},
          {"config", p.config},
          {"seed", p.seed},
          {"inputs", std::move(inputs)}};
}

}  // namespace

json page_data(const artifact::Report& report) {
  json verdicts = json::array();
  for (std::size_t i = 0; i < artifact::kVerdicts; ++i) {
    verdicts.push_back(artifact::name_of(static_cast<artifact::Verdict>(i)));
  }
  return {
      {"title", report.title},
      {"backbone_hash", report.backbone_hash},
      {"backbone_file", report.backbone_file},
      {"data_name", report.data_name},
      {"data_hash", report.data_hash},
      {"test_ids_hash", report.test_ids_hash},
      {"samples", report.samples},
      {"class_count", report.classes},
      {"labelled", report.labelled},
      {"class_names", report.class_names},
      {"output_kind", report.output_kind},
      {"cost_kind", report.cost_kind},
      {"budget", report.budget},
      {"tolerance", number(report.tolerance)},
      {"device", report.device},
      {"processor", report.processor},
      {"precision", report.precision},
      {"cache_precision", report.cache_precision},
      {"library", report.library},
      {"threads", report.threads},
      {"backbone_flops", number(report.backbone_flops)},
      {"backbone_bytes", report.backbone_bytes},
      {"backbone_parameters", report.backbone_parameters},
      {"collected_precision", report.collected_precision},
      {"verdicts", std::move(verdicts)},
      {"layers", list_of(report.layers,
                         [](const artifact::LayerMark& mark) {
                           return json{{"name", mark.name},
                                       {"shape", mark.shape},
                                       {"flops_before", number(mark.flops_before)}};
                         })},
      {"alone", list_of(report.alone, curve)},
      {"reliability", list_of(report.reliability, reliability)},
      {"plans",
       list_of(report.plans, [&](const artifact::PlanOutcome& p) { return plan(p, report); })},
      {"memory", list_of(report.memory,
                         [](const artifact::MemoryUse& m) {
                           return json{{"batch", m.batch},
                                       {"plan", m.plan},
                                       {"plain_bytes", m.plain_bytes},
                                       {"cached_bytes", m.cached_bytes}};
                         })},
      {"latency",
       list_of(report.latency, [&](const artifact::Latency& l) { return latency(l, report); })},
      {"trade", list_of(report.trade, trade)},
      {"examples", list_of(report.examples, example)},
      {"remarks",
       list_of(report.remarks,
               [](const artifact::Remark& remark) {
                 return json{{"tone", static_cast<int>(remark.tone)}, {"text", remark.text}};
               })},
      {"provenance", provenance(report.provenance)},
  };
}

std::string script_safe(const json& data) {
  std::string text = data.dump(-1, ' ', true, json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size() + text.size() / 50);
  for (char c : text) {
    // Outside strings JSON has none of these, inside they may be written as escapes.
    if (c == '<') {
      safe += "\\u003c";
    } else if (c == '>') {
      safe += "\\u003e";
    } else if (c == '&') {
      safe += "\\u0026";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string escape_html(const std::string& text) {
  std::string safe;
  for (char c : text) {
    switch (c) {
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '&':
        safe += "&amp;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

}  // namespace cachectl::report
