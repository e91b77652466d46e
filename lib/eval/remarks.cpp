#include "eval/remarks.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "decision/curve.h"

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

// "plan", and where there are several, which one: "plan for batch 8".
std::string name_of(const artifact::Report& report, const artifact::PlanOutcome& plan) {
  if (report.plans.size() == 1) return "plan";
  return plan.batch == 0 ? "plan for any batch" : fmt::format("plan for batch {}", plan.batch);
}

std::string at_batch(const artifact::Report& report, std::int64_t batch, std::size_t plan) {
  if (report.plans.size() == 1) return fmt::format("At batch {}", batch);
  return fmt::format("At batch {}, under the {},", batch, name_of(report, report.plans[plan]));
}

bool certified(const artifact::PlanOutcome& plan) {
  return !plan.emptiness() && plan.has_certificate && plan.certificate.certificate.holds;
}

void on_empty(const artifact::Report& report, const artifact::PlanOutcome& plan, Remarks& remarks) {
  const std::string name = name_of(report, plan);
  const artifact::Certificate& certificate = plan.certificate.certificate;
  switch (*plan.emptiness()) {
    case artifact::Emptiness::kNothingPays:
      remarks.add(Tone::kBad,
                  "The {} is empty: no set of cache models pays within the tolerance, so it is the "
                  "backbone alone.",
                  name);
      return;
    case artifact::Emptiness::kNoCertifiedPays:
      remarks.add(Tone::kBad,
                  "The {} is empty: of the plans listed {} are certified at {:.2f} %, but none of "
                  "them costs less than the backbone alone.",
                  name, certificate.list_certified, certificate.epsilon * 100);
      return;
    case artifact::Emptiness::kNothingCertified:
      remarks.add(
          Tone::kBad,
          "The {} is empty: nothing could be certified at {:.2f} % with {} samples, {} of which "
          "differ under the safest plan; {}.",
          name, certificate.epsilon * 100, certificate.samples, certificate.differing,
          certificate.samples_needed > 0
              ? fmt::format("at this rate it would take {}", certificate.samples_needed)
              : "no number of samples would help");
  }
}

void on_answers(const artifact::Report& report, const artifact::PlanOutcome& plan,
                Remarks& remarks) {
  const std::string name = name_of(report, plan);
  const double saved = 1 - plan.flops_cached / plan.flops_plain;
  remarks.add(
      saved > 0 ? Tone::kGood : Tone::kBad,
      "The {} {} {:.1f} % of the backbone's FLOPs per sample; {:.1f} % of the samples leave "
      "early.",
      name, saved > 0 ? "saves" : "adds", std::abs(saved) * 100,
      (1 - plan.exits.back().share) * 100);
  const double differing = 1 - plan.agreement.value;
  // As counts: a share of the samples is no exact number.
  const bool within = std::llround(differing * static_cast<double>(report.samples)) <=
                      decision::allowed_wrong(report.tolerance, report.samples);
  const bool certain = 1 - plan.agreement.high > report.tolerance;
  const char* const broken =
      certified(plan) ? " The tolerance is broken."
                      : " The tolerance is broken: thresholds that are only estimated do that.";
  remarks.add(
      within    ? Tone::kGood
      : certain ? Tone::kBad
                : Tone::kPlain,
      "The {} answers {:.2f} % of the samples otherwise than the backbone [{:.2f}, {:.2f}]; the "
      "tolerance was {:.2f} % and validation had promised {:.2f} %.{}",
      name, differing * 100, (1 - plan.agreement.high) * 100, (1 - plan.agreement.low) * 100,
      report.tolerance * 100, plan.predicted_risk * 100,
      within    ? ""
      : certain ? broken
                : " That is more, though within what chance explains.");
  if (report.has_labels()) {
    const bool clear_loss = plan.effect.high<0, clear_gain = plan.effect.low> 0;
    remarks.add(clear_loss   ? Tone::kBad
                : clear_gain ? Tone::kGood
                             : Tone::kPlain,
                "The {} takes accuracy from {:.2f} % to {:.2f} % ({:+.2f} points [{:+.2f}, "
                "{:+.2f}]){}",
                name, plan.accuracy_plain.value * 100, plan.accuracy_cached.value * 100,
                plan.effect.value * 100, plan.effect.low * 100, plan.effect.high * 100,
                clear_loss || clear_gain ? "." : ": no change that chance does not explain.");
  }
  for (const artifact::ExitOutcome& exit : plan.exits) {
    if (exit.layer == "backbone" || exit.hits > 0) continue;
    if (exit.reach == 0) {
      remarks.add(Tone::kPlain, "In the {} no sample reached the exit at {}.", name, exit.layer);
    } else if (exit.feeds_next) {
      remarks.add(Tone::kPlain,
                  "In the {} the exit at {} answered none of the {} samples that reached it: it "
                  "is asked for its logits, which the next one takes.",
                  name, exit.layer, exit.reach);
    } else {
      remarks.add(Tone::kBad,
                  "In the {} the exit at {} answered none of the {} samples that reached it; its "
                  "look-ups were paid for nothing.",
                  name, exit.layer, exit.reach);
    }
  }
}

// Tolerance and certificate speak of the backbone as its answers were collected, the other figures
// of the one that ran.
void on_precision(const artifact::Report& report, const artifact::PlanOutcome& plan,
                  Remarks& remarks) {
  const artifact::Interval& agreement = plan.collected_agreement;
  if (std::isnan(agreement.value)) return;
  const bool broken = 1 - agreement.high > report.tolerance;
  remarks.add(broken ? Tone::kBad : Tone::kPlain,
              "At {} (backbone) and {} (cache models) the {} answers {:.2f} % of the samples "
              "otherwise than the backbone at {} [{:.2f}, {:.2f}].{}",
              report.precision, report.cache_precision, name_of(report, plan),
              (1 - agreement.value) * 100, report.collected_precision, (1 - agreement.high) * 100,
              (1 - agreement.low) * 100, broken ? " The tolerance is broken." : "");
}

void on_certificate(const artifact::Report& report, const artifact::PlanOutcome& plan,
                    Remarks& remarks) {
  const std::string name = name_of(report, plan);
  if (!certified(plan)) {
    remarks.add(Tone::kPlain,
                "The {} has no certificate{}: its agreement with the backbone is estimated, not "
                "guaranteed.",
                name, plan.has_certificate ? " that holds" : "");
    return;
  }
  const artifact::CertificateOutcome& shown = plan.certificate;
  const artifact::Certificate& certificate = shown.certificate;
  remarks.add(
      shown.consistent ? Tone::kGood : Tone::kBad,
      "The certificate of the {} promises that at most {:g} % of traffic like the certifying "
      "samples differs from the backbone, with {:g} % confidence; on the test part {:.2f} % did "
      "[{:.2f}, {:.2f}]{}",
      name, certificate.epsilon * 100, (1 - certificate.delta) * 100, shown.risk.value * 100,
      shown.risk.low * 100, shown.risk.high * 100,
      shown.consistent ? "."
                       : ": the test part contradicts it, which suggests that the "
                         "samples are not alike.");
  const std::string outside =
      artifact::outside_of(certificate, report.precision, report.cache_precision);
  if (!outside.empty()) remarks.add(Tone::kBad, "The {} is {}.", name, outside);
}

void on_latency(const artifact::Report& report, Remarks& remarks) {
  for (const artifact::Latency& latency : report.latency) {
    if (report.plans[latency.plan].exits.size() == 1) continue;
    const std::string at = at_batch(report, latency.batch, latency.plan);
    const artifact::Interval& saved = latency.saved;
    if (saved.high < 0) {
      remarks.add(Tone::kBad,
                  "{} the cache-enabled model is slower than the backbone: by "
                  "{:.1f} % [{:.1f}, {:.1f}].",
                  at, -saved.value * 100, -saved.high * 100, -saved.low * 100);
    } else if (saved.low <= 0) {
      remarks.add(Tone::kPlain,
                  "{} caching changes the latency by no more than the "
                  "measurement can tell ({:.1f} % saved [{:.1f}, {:.1f}]).",
                  at, saved.value * 100, saved.low * 100, saved.high * 100);
    } else {
      remarks.add(Tone::kGood,
                  "{} a batch takes {:.1f} % less time [{:.1f}, {:.1f}], of "
                  "{:.1f} % fewer FLOPs; the first answer comes after {:.0f} % of the backbone's "
                  "time, the mean one after {:.0f} %.",
                  at, saved.value * 100, saved.low * 100, saved.high * 100,
                  latency.flops_saved * 100, latency.first.mean / latency.plain.mean * 100,
                  latency.answer.mean / latency.plain.mean * 100);
    }
    if (latency.cached.p99 > latency.plain.p99 * 1.02) {
      remarks.add(Tone::kPlain,
                  "{} the slowest runs get slower (p99 {:.2f} ms, the backbone "
                  "{:.2f} ms): samples that no cache model answers pay for the look-ups.",
                  at, latency.cached.p99, latency.plain.p99);
    }
  }
}

void on_memory(const artifact::Report& report, Remarks& remarks) {
  for (const artifact::MemoryUse& use : report.memory) {
    if (use.plain_bytes <= 0 || use.cached_bytes <= use.plain_bytes) continue;
    const double more =
        static_cast<double>(use.cached_bytes) / static_cast<double>(use.plain_bytes) - 1;
    if (more < 0.05) continue;
    remarks.add(Tone::kPlain, "{} caching holds {:.0f} % more tensor memory at its peak.",
                at_batch(report, use.batch, use.plan), more * 100);
  }
}

}  // namespace

std::vector<artifact::Remark> remarks_on(const artifact::Report& report) {
  Remarks remarks;
  for (const artifact::PlanOutcome& plan : report.plans) {
    if (plan.emptiness()) {
      on_empty(report, plan, remarks);
      on_precision(report, plan, remarks);
      continue;
    }
    on_answers(report, plan, remarks);
    on_precision(report, plan, remarks);
    on_certificate(report, plan, remarks);
  }
  if (std::any_of(report.plans.begin(), report.plans.end(), certified)) {
    remarks.add(Tone::kPlain,
                "A certificate speaks of traffic exchangeable with the certifying samples: drifted "
                "traffic, or adjacent frames of a video, are outside it.");
  }
  on_latency(report, remarks);
  on_memory(report, remarks);
  if (!report.has_labels()) {
    remarks.add(Tone::kPlain,
                "The samples have no labels: the figures say how often the plan differs "
                "from the backbone, which bounds what accuracy it can lose.");
  }
  if (report.precision_agreement < 1 || report.backbone_agreement.value < 1) {
    remarks.add(Tone::kPlain,
                "Precision by itself gives {:.2f} % of the samples another class under the {}, and "
                "{:.2f} % from the plain backbone.",
                (1 - report.precision_agreement) * 100, name_of(report, report.plans[0]),
                (1 - report.backbone_agreement.value) * 100);
  }
  return std::move(remarks.all);
}

}  // namespace cachectl::eval
