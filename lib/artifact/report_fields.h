#pragma once

#include <vector>

#include "artifact/report.h"

// What a report consists of, by the names it has in the file: reading and writing are one
// walk over these lists, so that they can't drift apart. A: the reader or the writer. What is
// optional is missing in older files.
namespace cachectl::artifact {

template <class A>
void fields(A& a, CurveAlone& curve) {
  a.value("layer", curve.layer);
  a.value("architecture", curve.architecture);
  a.list("threshold", curve.threshold);
  a.list("hit_rate", curve.hit_rate);
  a.list("cache_accuracy", curve.cache_accuracy);
  a.list("drop", curve.drop);
  a.list("gt_accuracy", curve.gt_accuracy);
  a.list("effect", curve.effect);
}

template <class A>
void fields(A& a, Reliability& reliability) {
  a.value("layer", reliability.layer);
  a.value("temperature", reliability.temperature);
  a.value("ece_before", reliability.ece_before);
  a.value("ece_after", reliability.ece_after);
  a.list("edge", reliability.edge);
  a.list("count_before", reliability.count_before);
  a.list("count_after", reliability.count_after);
  a.list("confidence_before", reliability.confidence_before);
  a.list("confidence_after", reliability.confidence_after);
  a.list("agreement_before", reliability.agreement_before);
  a.list("agreement_after", reliability.agreement_after);
}

template <class A>
void fields(A& a, ExitOutcome& exit) {
  a.value("layer", exit.layer);
  a.value("architecture", exit.architecture);
  a.value("threshold", exit.threshold);
  a.value("temperature", exit.temperature);
  a.value("reach", exit.reach);
  a.value("hits", exit.hits);
  a.value("hit_rate", exit.hit_rate.value);
  a.optional("hit_rate_interval", exit.hit_rate);
  a.value("share", exit.share);
  a.value("cache_accuracy", exit.cache_accuracy);
  a.value("gt_accuracy", exit.gt_accuracy);
  a.value("backbone_accuracy", exit.backbone_accuracy);
  a.value("effect", exit.effect.value);
  a.optional("effect_interval", exit.effect);
  a.value("verdicts", exit.verdicts);
  a.value("segment_flops", exit.segment_flops);
  a.value("cache_flops", exit.cache_flops);
  a.optional("feeds_next", exit.feeds_next);
}

template <class A>
void fields(A& a, std::vector<ClassOutcome>& classes) {
  a.column("label", classes, &ClassOutcome::label);
  a.column("samples", classes, &ClassOutcome::samples);
  a.column("early", classes, &ClassOutcome::early);
  a.column("differing", classes, &ClassOutcome::differing);
}

template <class A>
void fields(A& a, CertificateOutcome& outcome) {
  Certificate& certificate = outcome.certificate;
  a.value("epsilon", certificate.epsilon);
  a.value("delta", certificate.delta);
  a.value("certified_samples", certificate.samples);
  a.value("certified_differing", certificate.differing);
  a.value("p_value", certificate.p_value);
  a.value("holds", certificate.holds);
  a.value("samples_needed", certificate.samples_needed);
  a.value("certify_ids_hash", certificate.certify_ids_hash);
  a.value("bound", certificate.bound);
  a.optional("precision", certificate.precision);
  a.optional("storage", certificate.storage);
  a.optional("list_size", certificate.list_size);
  a.optional("list_tested", certificate.list_tested);
  a.optional("list_certified", certificate.list_certified);
  a.value("samples", outcome.samples);
  a.value("differing", outcome.differing);
  a.value("risk", outcome.risk);
  a.value("consistent", outcome.consistent);
}

template <class A>
void fields(A& a, PlanOutcome& plan) {
  a.value("batch", plan.batch);
  a.parts("exits", plan.exits);
  a.value("agreement", plan.agreement);
  a.optional("collected_agreement", plan.collected_agreement);
  a.value("accuracy_plain", plan.accuracy_plain);
  a.value("accuracy_cached", plan.accuracy_cached);
  a.value("effect", plan.effect);
  a.value("flops_plain", plan.flops_plain);
  a.value("flops_cached", plan.flops_cached);
  a.value("predicted_saving", plan.predicted_saving);
  a.value("predicted_risk", plan.predicted_risk);
  a.value("cache_bytes", plan.cache_bytes);
  a.value("cache_parameters", plan.cache_parameters);
  a.part("classes", plan.classes);
  a.value("has_certificate", plan.has_certificate);
  if (plan.has_certificate) a.part("certificate", plan.certificate);
}

template <class A>
void fields(A& a, std::vector<MemoryUse>& uses) {
  a.column("batch", uses, &MemoryUse::batch);
  a.column("plain_bytes", uses, &MemoryUse::plain_bytes);
  a.column("cached_bytes", uses, &MemoryUse::cached_bytes);
  a.optional_column("plan", uses, &MemoryUse::plan);
}

template <class A>
void fields(A& a, Latency& latency) {
  a.value("batch", latency.batch);
  a.value("plan", latency.plan);
  a.list("plain_ms", latency.plain_ms);
  a.list("cached_ms", latency.cached_ms);
  a.list("first_ms", latency.first_ms);
  a.list("answer_ms", latency.answer_ms);
  a.value("plain", latency.plain);
  a.value("cached", latency.cached);
  a.value("first", latency.first);
  a.value("answer", latency.answer);
  a.value("saved", latency.saved);
  a.value("flops_saved", latency.flops_saved);
}

template <class A>
void fields(A& a, std::vector<TradePoint>& points) {
  a.column("setting", points, &TradePoint::setting);
  a.column("agreement", points, &TradePoint::agreement);
  a.column("accuracy", points, &TradePoint::accuracy);
  a.column("flops", points, &TradePoint::flops);
  a.column("latency", points, &TradePoint::latency);
}

template <class A>
void fields(A& a, TradeCurve& curve) {
  a.value("method", curve.method);
  a.optional("plan", curve.plan);
  a.value("batch", curve.batch);
  a.part("points", curve.points);
  a.value("area_flops", curve.area_flops);
  a.value("area_latency", curve.area_latency);
}

template <class A>
void fields(A& a, LayerMark& layer) {
  a.value("name", layer.name);
  a.shape("shape", layer.shape);
  a.value("flops_before", layer.flops_before);
}

template <class A>
void fields(A& a, Example& example) {
  a.id("id", example.id);
  a.image("image", example.image);
  a.value("exit", example.exit);
  a.value("label", example.label);
  a.value("backbone", example.backbone);
  a.value("truth", example.truth);
  a.value("confidence", example.confidence);
}

template <class A>
void fields(A& a, Remark& remark) {
  a.value("tone", remark.tone);
  a.value("text", remark.text);
}

template <class A>
void fields(A& a, Report& report) {
  a.value("title", report.title);
  a.value("backbone_hash", report.backbone_hash);
  a.value("backbone_file", report.backbone_file);
  a.value("data_name", report.data_name);
  a.value("data_hash", report.data_hash);
  a.value("test_ids_hash", report.test_ids_hash);
  a.value("samples", report.samples);
  a.value("classes", report.classes);
  a.value("labelled", report.labelled);
  a.list("class_names", report.class_names);
  a.value("output_kind", report.output_kind);
  a.value("cost_kind", report.cost_kind);
  a.value("budget", report.budget);
  a.value("tolerance", report.tolerance);
  a.value("device", report.device);
  a.value("processor", report.processor);
  a.value("precision", report.precision);
  a.value("cache_precision", report.cache_precision);
  a.value("library", report.library);
  a.value("threads", report.threads);
  a.value("backbone_flops", report.backbone_flops);
  a.value("backbone_bytes", report.backbone_bytes);
  a.value("backbone_parameters", report.backbone_parameters);
  a.optional("collected_precision", report.collected_precision);
  a.value("precision_agreement", report.precision_agreement);
  a.optional("backbone_agreement", report.backbone_agreement);
  a.parts("layers", report.layers);
  a.parts("alone", report.alone);
  a.parts("reliability", report.reliability);
  a.parts("plans", report.plans);
  a.part("memory", report.memory);
  a.parts("latency", report.latency);
  a.parts("trade", report.trade);
  a.parts("examples", report.examples);
  a.parts("remarks", report.remarks);
}

}  // namespace cachectl::artifact
