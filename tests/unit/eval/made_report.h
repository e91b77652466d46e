#pragma once

#include <cmath>

#include "artifact/report.h"

namespace cachectl::eval {

// A certified plan with one exit, of 1000 samples.
inline artifact::PlanOutcome made_plan(std::int64_t batch) {
  artifact::PlanOutcome plan;
  plan.batch = batch;
  artifact::ExitOutcome early;
  early.layer = "layer1";
  early.architecture = "fc4";
  early.threshold = 0.9;
  early.reach = 1000;
  early.hits = 400;
  early.hit_rate = {0.4, 0.37, 0.43};
  early.share = 0.4;
  early.cache_accuracy = {0.99, 0.975, 0.997};
  early.gt_accuracy = {0.95, 0.92, 0.97};
  early.backbone_accuracy = 0.955;
  early.effect = {-0.002, -0.006, 0.001};
  early.verdicts = {378, 18, 3, 1, 0};
  artifact::ExitOutcome last;
  last.layer = "backbone";
  last.reach = last.hits = 600;
  last.hit_rate = {1, 1, 1};
  last.share = 0.6;
  last.cache_accuracy = {1, 0.99, 1};
  last.gt_accuracy = {0.9, 0.87, 0.92};
  last.backbone_accuracy = 0.9;
  plan.exits = {early, last};
  plan.agreement = {0.996, 0.99, 0.999};
  plan.accuracy_plain = {0.92, 0.9, 0.94};
  plan.accuracy_cached = {0.918, 0.9, 0.94};
  plan.effect = early.effect;
  plan.flops_plain = 100;
  plan.flops_cached = 80;
  plan.predicted_saving = 0.123;
  plan.classes = {{0, 500, 250, 1}, {1, 500, 150, 3}};
  plan.has_certificate = true;
  artifact::CertificateOutcome& outcome = plan.certificate;
  outcome.certificate.epsilon = 0.01;
  outcome.certificate.delta = 0.05;
  outcome.certificate.samples = 900;
  outcome.certificate.differing = 2;
  outcome.certificate.p_value = 0.006;
  outcome.certificate.holds = true;
  outcome.certificate.storage = "float16";
  outcome.certificate.list_size = 30;
  outcome.certificate.list_tested = 8;
  outcome.certificate.list_certified = 7;
  outcome.samples = 1000;
  outcome.differing = 4;
  outcome.risk = {0.004, 0.001, 0.01};
  outcome.consistent = true;
  return plan;
}

// The backbone alone; its certificate does not hold.
inline artifact::PlanOutcome made_empty_plan(std::int64_t batch) {
  artifact::PlanOutcome plan = made_plan(batch);
  plan.exits.erase(plan.exits.begin());
  plan.exits[0].reach = plan.exits[0].hits = 1000;
  plan.exits[0].share = 1;
  plan.flops_cached = plan.flops_plain;
  plan.certificate.certificate.holds = false;
  return plan;
}

// Chosen by latency, for batches 1 and 8; measured at 1, 8 and 32.
inline artifact::Report made_report() {
  artifact::Report report;
  report.title = "net.pt on data";
  report.backbone_hash = "b";
  report.samples = report.labelled = 1000;
  report.classes = 2;
  report.class_names = {"cat, small", "dog"};
  report.cost_kind = "latency";
  report.tolerance = 0.01;
  report.device = "cpu";
  report.processor = "a processor";
  report.threads = 2;
  report.precision = report.cache_precision = "float32";
  report.plans = {made_plan(1), made_plan(8)};
  report.alone = {{"layer1",
                   "fc4",
                   {0.99, 0.9, 0.5},
                   {0.1, 0.4, 1},
                   {1, 0.99, 0.9},
                   {0, 0.004, 0.1},
                   {1, 0.95, 0.85},
                   {0, -0.002, -0.07}}};
  artifact::Reliability reliability;
  reliability.layer = "layer1";
  reliability.ece_before = 0.0512;
  reliability.ece_after = 0.0123;
  reliability.edge = {0, 0.5, 1};
  reliability.count_before = reliability.count_after = {0, 1000};
  reliability.confidence_before = reliability.confidence_after = {NAN, 0.9};
  reliability.agreement_before = reliability.agreement_after = {NAN, 0.9};
  report.reliability = {reliability};
  for (const std::int64_t batch : {1, 8, 32}) {
    const std::size_t plan = batch == 1 ? 0 : 1;
    report.memory.push_back({batch, 1000 * batch, 1200 * batch, plan});
    artifact::Latency row;
    row.batch = batch;
    row.plan = plan;
    row.plain_ms = row.cached_ms = row.first_ms = row.answer_ms = {1, 2};
    row.plain = {2, 2, 2, 2};
    row.cached = {1.8, 1.8, 1.9, 2.5};
    row.first = row.answer = {1, 1, 1, 1};
    row.saved = {0.1, 0.08, 0.12};
    row.flops_saved = 0.2;
    report.latency.push_back(row);
  }
  return report;
}

}  // namespace cachectl::eval
