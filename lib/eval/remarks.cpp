#include "eval/remarks.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace cachectl::eval {

namespace {

using artifact::Tone;

class Remarks {
 public:
  template <class... Args>
  void add(Tone tone, fmt::format_string<Args...> format, Args&&... args) {
    all.push_back({tone, fmt::format(format, std::forward<Args>(args)...)});
  }
  std::vector<artifact::Remark> all;
};

std::string of_plan(const artifact::Report& report, const artifact::PlanOutcome& plan) {
  if (report.plans.size() == 1) return "The plan";
  return plan.batch == 0 ? "The plan for any batch"
                         : fmt::format("The plan for batch {}", plan.batch);
}

void on_answers(const artifact::Report& report, const artifact::PlanOutcome& plan,
                Remarks& remarks) {
  const std::string name = of_plan(report, plan);
  if (plan.exits.size() == 1) {
    remarks.add(Tone::kBad,
                "{} is empty: no set of cache models pays within the tolerance, so it is "
                "the backbone alone.",
                name);
    return;
  }
  const double saved = 1 - plan.flops_cached / plan.flops_plain;
  remarks.add(saved > 0 ? Tone::kGood : Tone::kBad,
              "{} {} {:.1f} % of the backbone's FLOPs per sample; {:.1f} % of the samples leave "
              "early.",
              name, saved > 0 ? "saves" : "adds", std::abs(saved) * 100,
              (1 - plan.exits.back().share) * 100);
  const double differing = 1 - plan.agreement.value;
  if (report.tolerance > 0) {
    const bool within = differing <= report.tolerance;
    const bool certain = 1 - plan.agreement.high > report.tolerance;
    remarks.add(
        within    ? Tone::kGood
        : certain ? Tone::kBad
                  : Tone::kPlain,
        "It answers {:.2f} % of the samples otherwise than the backbone [{:.2f}, {:.2f}]; the "
        "tolerance was {:.2f} % and validation had promised {:.2f} %.{}",
        differing * 100, (1 - plan.agreement.high) * 100, (1 - plan.agreement.low) * 100,
        report.tolerance * 100, plan.predicted_risk * 100,
        within    ? ""
        : certain ? " The tolerance is broken: thresholds that are only estimated do that."
                  : " That is more, though within what chance explains.");
  }
  if (report.has_labels()) {
    const bool clear_loss = plan.effect.high<0, clear_gain = plan.effect.low> 0;
    remarks.add(clear_loss   ? Tone::kBad
                : clear_gain ? Tone::kGood
                             : Tone::kPlain,
                "Accuracy goes from {:.2f} % to {:.2f} % ({:+.2f} points [{:+.2f}, {:+.2f}]){}",
                plan.accuracy_plain.value * 100, plan.accuracy_cached.value * 100,
                plan.effect.value * 100, plan.effect.low * 100, plan.effect.high * 100,
                clear_loss || clear_gain ? "." : ": no change that chance does not explain.");
  }
  for (const artifact::ExitOutcome& exit : plan.exits) {
    if (exit.layer == "backbone" || exit.hits > 0) continue;
    remarks.add(Tone::kBad,
                "{}: the exit at {} answered none of the {} samples that reached it; its "
                "look-ups were paid for nothing.",
                name, exit.layer, exit.reach);
  }
}

void on_certificate(const artifact::Report& report, const artifact::PlanOutcome& plan,
                    Remarks& remarks) {
  if (!plan.has_certificate) {
    if (plan.exits.size() > 1) {
      remarks.add(Tone::kPlain,
                  "{} has no certificate: its agreement with the backbone is estimated, "
                  "not guaranteed.",
                  of_plan(report, plan));
    }
    return;
  }
  const artifact::CertificateOutcome& shown = plan.certificate;
  const artifact::Certificate& certificate = shown.certificate;
  if (!certificate.holds) {
    remarks.add(Tone::kBad,
                "{} could not be certified at {:.2f} %: it would take {} samples, there "
                "were {}.",
                of_plan(report, plan), certificate.epsilon * 100, certificate.samples_needed,
                certificate.samples);
    return;
  }
  remarks.add(
      shown.consistent ? Tone::kGood : Tone::kBad,
      "The certificate promises that at most {:.2f} % of traffic like the certifying samples "
      "differs from the backbone, with {:.0f} % confidence; on the test part {:.2f} % did "
      "[{:.2f}, {:.2f}]{}",
      certificate.epsilon * 100, (1 - certificate.delta) * 100, shown.risk.value * 100,
      shown.risk.low * 100, shown.risk.high * 100,
      shown.consistent ? "."
                       : ": the test part contradicts it, which suggests that the "
                         "samples are not alike.");
  remarks.add(Tone::kPlain,
              "The certificate speaks of traffic exchangeable with the certifying "
              "samples: drifted traffic, or adjacent frames of a video, are outside it.");
}

void on_latency(const artifact::Report& report, Remarks& remarks) {
  for (const artifact::Latency& latency : report.latency) {
    if (report.plans[latency.plan].exits.size() == 1) continue;
    const artifact::Interval& saved = latency.saved;
    if (saved.high < 0) {
      remarks.add(Tone::kBad,
                  "At batch {} the cache-enabled model is slower than the backbone: by "
                  "{:.1f} % [{:.1f}, {:.1f}].",
                  latency.batch, -saved.value * 100, -saved.high * 100, -saved.low * 100);
    } else if (saved.low <= 0) {
      remarks.add(Tone::kPlain,
                  "At batch {} caching changes the latency by no more than the "
                  "measurement can tell ({:.1f} % saved [{:.1f}, {:.1f}]).",
                  latency.batch, saved.value * 100, saved.low * 100, saved.high * 100);
    } else {
      remarks.add(Tone::kGood,
                  "At batch {} a batch takes {:.1f} % less time [{:.1f}, {:.1f}], of "
                  "{:.1f} % fewer FLOPs; the first answer comes after {:.0f} % of the backbone's "
                  "time, the mean one after {:.0f} %.",
                  latency.batch, saved.value * 100, saved.low * 100, saved.high * 100,
                  latency.flops_saved * 100, latency.first.mean / latency.plain.mean * 100,
                  latency.answer.mean / latency.plain.mean * 100);
    }
    if (latency.cached.p99 > latency.plain.p99 * 1.02) {
      remarks.add(Tone::kPlain,
                  "At batch {} the slowest runs get slower (p99 {:.2f} ms, the backbone "
                  "{:.2f} ms): samples that no cache model answers pay for the look-ups.",
                  latency.batch, latency.cached.p99, latency.plain.p99);
    }
  }
}

void on_memory(const artifact::Report& report, Remarks& remarks) {
  for (const artifact::MemoryUse& use : report.memory) {
    if (use.plain_bytes <= 0 || use.cached_bytes <= use.plain_bytes) continue;
    const double more =
        static_cast<double>(use.cached_bytes) / static_cast<double>(use.plain_bytes) - 1;
    if (more < 0.05) continue;
    remarks.add(Tone::kPlain, "At batch {} caching holds {:.0f} % more tensor memory at its peak.",
                use.batch, more * 100);
  }
}

}  // namespace

std::vector<artifact::Remark> remarks_on(const artifact::Report& report) {
  Remarks remarks;
  for (const artifact::PlanOutcome& plan : report.plans) {
    on_answers(report, plan, remarks);
    on_certificate(report, plan, remarks);
  }
  on_latency(report, remarks);
  on_memory(report, remarks);
  if (!report.has_labels()) {
    remarks.add(Tone::kPlain,
                "The samples have no labels: the figures say how often the plan differs "
                "from the backbone, which bounds what accuracy it can lose.");
  }
  if (report.precision_agreement < 1) {
    remarks.add(Tone::kPlain,
                "At {} (backbone) and {} (cache models), {:.2f} % of the samples get "
                "another class than at float32.",
                report.precision, report.cache_precision, (1 - report.precision_agreement) * 100);
  }
  return std::move(remarks.all);
}

}  // namespace cachectl::eval
