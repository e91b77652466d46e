#include "eval/report_json.h"

#include <string>

namespace cachectl::eval {

namespace {

using Json = nlohmann::json;

Json json_of(const artifact::Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}
Json json_of(const artifact::Quantiles& times) {
  return {{"mean", times.mean}, {"p50", times.p50}, {"p90", times.p90}, {"p99", times.p99}};
}

Json json_of(const artifact::PlanOutcome& plan) {
  Json json = {{"batch", plan.batch},
               {"agreement", json_of(plan.agreement)},
               {"collected_agreement", json_of(plan.collected_agreement)},
               {"accuracy_plain", json_of(plan.accuracy_plain)},
               {"accuracy_cached", json_of(plan.accuracy_cached)},
               {"effect", json_of(plan.effect)},
               {"flops_plain", plan.flops_plain},
               {"flops_cached", plan.flops_cached},
               {"predicted_saving", plan.predicted_saving},
               {"predicted_risk", plan.predicted_risk},
               {"cache_bytes", plan.cache_bytes},
               {"cache_parameters", plan.cache_parameters},
               {"exits", Json::array()},
               {"classes", Json::array()}};
  if (const auto emptiness = plan.emptiness()) json["empty"] = artifact::name_of(*emptiness);
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
                             {"hit_rate", json_of(exit.hit_rate)},
                             {"share", exit.share},
                             {"cache_accuracy", json_of(exit.cache_accuracy)},
                             {"gt_accuracy", json_of(exit.gt_accuracy)},
                             {"backbone_accuracy", exit.backbone_accuracy},
                             {"effect", json_of(exit.effect)},
                             {"verdicts", verdicts},
                             {"segment_flops", exit.segment_flops},
                             {"cache_flops", exit.cache_flops},
                             {"feeds_next", exit.feeds_next}});
  }
  for (const artifact::ClassOutcome& one : plan.classes) {
    json["classes"].push_back({{"class", one.label},
                               {"samples", one.samples},
                               {"early", one.early},
                               {"differing", one.differing}});
  }
  if (plan.has_certificate) {
    const artifact::CertificateOutcome& shown = plan.certificate;
    const artifact::Certificate& made = shown.certificate;
    json["certificate"] = {{"epsilon", made.epsilon},
                           {"delta", made.delta},
                           {"holds", made.holds},
                           {"certified_samples", made.samples},
                           {"certified_differing", made.differing},
                           {"p_value", made.p_value},
                           {"samples_needed", made.samples_needed},
                           {"bound", made.bound},
                           {"precision", made.precision},
                           {"storage", made.storage},
                           {"list_size", made.list_size},
                           {"list_tested", made.list_tested},
                           {"list_certified", made.list_certified},
                           {"samples", shown.samples},
                           {"differing", shown.differing},
                           {"risk", json_of(shown.risk)},
                           {"consistent", shown.consistent}};
  }
  return json;
}

// Columns, as in the file.
Json json_of(const artifact::CurveAlone& curve) {
  return {{"layer", curve.layer},
          {"architecture", curve.architecture},
          {"threshold", curve.threshold},
          {"hit_rate", curve.hit_rate},
          {"cache_accuracy", curve.cache_accuracy},
          {"drop", curve.drop},
          {"gt_accuracy", curve.gt_accuracy},
          {"effect", curve.effect}};
}

Json json_of(const artifact::Reliability& one) {
  return {{"layer", one.layer},
          {"temperature", one.temperature},
          {"ece_before", one.ece_before},
          {"ece_after", one.ece_after},
          {"edge", one.edge},
          {"count_before", one.count_before},
          {"confidence_before", one.confidence_before},
          {"agreement_before", one.agreement_before},
          {"count_after", one.count_after},
          {"confidence_after", one.confidence_after},
          {"agreement_after", one.agreement_after}};
}

}  // namespace

nlohmann::json json_of(const artifact::Report& report) {
  Json json = {{"title", report.title},
               {"data", {{"name", report.data_name}, {"hash", report.data_hash}}},
               {"test_ids_hash", report.test_ids_hash},
               {"samples", report.samples},
               {"labelled", report.labelled},
               {"classes", report.classes},
               {"class_names", report.class_names},
               {"tolerance", report.tolerance},
               {"budget", report.budget},
               {"cost", report.cost_kind},
               {"device", report.device},
               {"processor", report.processor},
               {"threads", report.threads},
               {"precision", report.precision},
               {"cache_precision", report.cache_precision},
               {"collected_precision", report.collected_precision},
               {"precision_agreement", report.precision_agreement},
               {"backbone_agreement", json_of(report.backbone_agreement)},
               {"library", report.library},
               {"backbone",
                {{"file", report.backbone_file},
                 {"hash", report.backbone_hash},
                 {"flops", report.backbone_flops},
                 {"bytes", report.backbone_bytes},
                 {"parameters", report.backbone_parameters}}},
               {"layers", Json::array()},
               {"alone", Json::array()},
               {"reliability", Json::array()},
               {"plans", Json::array()},
               {"memory", Json::array()},
               {"latency", Json::array()},
               {"trade", Json::array()},
               {"remarks", Json::array()}};
  for (const auto& layer : report.layers) {
    json["layers"].push_back(
        {{"name", layer.name}, {"shape", layer.shape}, {"flops_before", layer.flops_before}});
  }
  for (const auto& curve : report.alone) json["alone"].push_back(json_of(curve));
  for (const auto& one : report.reliability) json["reliability"].push_back(json_of(one));
  for (const auto& plan : report.plans) json["plans"].push_back(json_of(plan));
  for (const auto& use : report.memory) {
    json["memory"].push_back({{"batch", use.batch},
                              {"plan", use.plan},
                              {"plain_bytes", use.plain_bytes},
                              {"cached_bytes", use.cached_bytes}});
  }
  for (const auto& one : report.latency) {
    json["latency"].push_back({{"batch", one.batch},
                               {"plan", one.plan},
                               {"repeats", one.plain_ms.size()},
                               {"plain_ms", json_of(one.plain)},
                               {"cached_ms", json_of(one.cached)},
                               {"first_answer_ms", json_of(one.first)},
                               {"mean_answer_ms", json_of(one.answer)},
                               {"saved", json_of(one.saved)},
                               {"predicted_saving", report.predicted_saving(one)},
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
                             {"plan", curve.plan},
                             {"batch", curve.batch},
                             {"area_flops", curve.area_flops},
                             {"area_latency", curve.area_latency},
                             {"points", all}});
  }
  for (const auto& remark : report.remarks) json["remarks"].push_back(remark.text);
  return json;
}

}  // namespace cachectl::eval
