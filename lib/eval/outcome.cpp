#include "eval/outcome.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "decision/curve.h"
#include "decision/reliability.h"
#include "eval/statistics.h"

namespace cachectl::eval {

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr artifact::Interval kNoInterval{kNone, kNone, kNone};

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? kNone : static_cast<double>(part) / static_cast<double>(whole);
}

// Positions kept of a curve's `size`: the first, the last, and the last one within the tolerance
// among them.
std::vector<std::size_t> thinned(const decision::Curve& curve, std::int64_t points,
                                 double tolerance) {
  std::vector<std::size_t> kept;
  double next = 0;
  for (std::size_t k = 0; k < curve.size(); ++k) {
    const double rate = curve.hit_rate(k);
    const bool is_last = k + 1 == curve.size();
    // The drop never falls along the curve.
    const bool is_edge = !is_last && curve.drop(k) <= tolerance && curve.drop(k + 1) > tolerance;
    if (kept.empty() || is_last || is_edge || rate >= next) {
      kept.push_back(k);
      if (rate >= next) next = rate + 1.0 / static_cast<double>(points);
    }
  }
  return kept;
}

// Counts at one exit while the samples are walked through. won, lost: samples that only the cache
// model, or only the backbone has right.
struct Tally {
  std::int64_t hits = 0, agreeing = 0;
  std::int64_t labelled = 0, right = 0, backbone_right = 0, won = 0, lost = 0;
};

artifact::Interval effect_of(const Tally& tally, std::int64_t labelled, const Options& options) {
  return mean_of_signs(tally.lost, labelled - tally.won - tally.lost, tally.won, options.resamples,
                       static_cast<std::uint64_t>(options.common.seed));
}

artifact::Interval exactly(double value) {
  return {value, value, value};
}

artifact::ExitOutcome exit_outcome(const Tally& tally, std::int64_t reach, std::int64_t samples,
                                   std::int64_t labelled, const Options& options) {
  artifact::ExitOutcome exit;
  exit.reach = reach;
  exit.hits = tally.hits;
  exit.hit_rate = share_of(tally.hits, reach);
  exit.share = ratio(tally.hits, samples);
  exit.cache_accuracy = share_of(tally.agreeing, tally.hits);
  if (labelled > 0) {
    exit.gt_accuracy = share_of(tally.right, tally.labelled);
    exit.backbone_accuracy = ratio(tally.backbone_right, tally.labelled);
    exit.effect = effect_of(tally, labelled, options);
  } else {
    exit.gt_accuracy = exit.effect = kNoInterval;
    exit.backbone_accuracy = kNone;
  }
  return exit;
}

std::vector<artifact::ClassOutcome> classes_of(const std::vector<std::int32_t>& backbone,
                                               const Recording::Answered& answered,
                                               std::size_t last_exit) {
  std::map<std::int32_t, artifact::ClassOutcome> by_label;
  for (std::size_t i = 0; i < backbone.size(); ++i) {
    artifact::ClassOutcome& outcome = by_label[backbone[i]];
    outcome.label = backbone[i];
    ++outcome.samples;
    outcome.early += answered.exit[i] < last_exit ? 1 : 0;
    outcome.differing += answered.label[i] != backbone[i] ? 1 : 0;
  }
  std::vector<artifact::ClassOutcome> classes;
  classes.reserve(by_label.size());
  for (const auto& [label, outcome] : by_label) classes.push_back(outcome);
  return classes;
}

}  // namespace

artifact::Verdict verdict_of(std::int64_t backbone, std::int64_t cache, std::int64_t truth) {
  using artifact::Verdict;
  if (backbone == cache) {
    return backbone == truth ? Verdict::kBothRight : Verdict::kBothWrongAlike;
  }
  if (backbone == truth) return Verdict::kBackboneRight;
  return cache == truth ? Verdict::kCacheRight : Verdict::kBothWrongApart;
}

artifact::CurveAlone curve_alone(const Recording& recording, std::size_t m, std::int64_t points,
                                 double tolerance) {
  const std::vector<std::int32_t>& backbone = recording.records.backbone;
  const decision::ExitRecord& answers = recording.records.exits.at(m);
  const decision::Curve curve = decision::make_curve(answers, backbone);
  artifact::CurveAlone alone;
  alone.layer = recording.models[m].layer;
  alone.architecture = recording.models[m].architecture;
  const std::int64_t labelled =
      std::count_if(recording.truth.begin(), recording.truth.end(),
                    [](std::int64_t truth) { return truth != labels::kUnknown; });
  std::size_t walked = 0;
  std::int64_t known = 0, right = 0, backbone_right = 0;
  for (const std::size_t k : thinned(curve, points, tolerance)) {
    alone.threshold.push_back(static_cast<double>(curve.threshold[k]));
    alone.hit_rate.push_back(curve.hit_rate(k));
    alone.cache_accuracy.push_back(curve.cache_accuracy(k));
    alone.drop.push_back(curve.drop(k));
    if (labelled == 0) continue;
    for (; walked < static_cast<std::size_t>(curve.hits[k]); ++walked) {
      const auto sample = static_cast<std::size_t>(curve.order[walked]);
      const std::int64_t truth = recording.truth[sample];
      if (truth == labels::kUnknown) continue;
      ++known;
      right += answers.prediction[sample] == truth ? 1 : 0;
      backbone_right += backbone[sample] == truth ? 1 : 0;
    }
    alone.gt_accuracy.push_back(ratio(right, known));
    alone.effect.push_back(ratio(right - backbone_right, labelled));
  }
  return alone;
}

artifact::Reliability reliability_of(const Recording& recording, std::size_t m, std::int64_t bins) {
  const decision::ExitRecord& answers = recording.records.exits.at(m);
  const auto& backbone = recording.records.backbone;
  const auto count = static_cast<std::size_t>(bins);
  const auto before =
      decision::reliability({answers.prediction, recording.raw.at(m)}, backbone, count);
  const auto after = decision::reliability(answers, backbone, count);
  artifact::Reliability reliability;
  reliability.layer = recording.models[m].layer;
  reliability.temperature = recording.models[m].temperature;
  reliability.ece_before = decision::expected_calibration_error(before);
  reliability.ece_after = decision::expected_calibration_error(after);
  for (std::int64_t b = 0; b <= bins; ++b) {
    reliability.edge.push_back(static_cast<double>(b) / static_cast<double>(bins));
  }
  const auto columns = [](const std::vector<decision::Bin>& all, std::vector<std::int64_t>& counts,
                          std::vector<double>& confidence, std::vector<double>& agreement) {
    for (const decision::Bin& bin : all) {
      counts.push_back(bin.samples);
      confidence.push_back(bin.samples == 0 ? kNone : bin.confidence);
      agreement.push_back(bin.samples == 0 ? kNone : bin.agreement);
    }
  };
  columns(before, reliability.count_before, reliability.confidence_before,
          reliability.agreement_before);
  columns(after, reliability.count_after, reliability.confidence_after,
          reliability.agreement_after);
  return reliability;
}

void show_outcome(artifact::CertificateOutcome& shown, std::int64_t differing) {
  shown.differing = differing;
  shown.risk = share_of(differing, shown.samples);
  shown.consistent = shown.risk.low <= shown.certificate.epsilon;
}

double mean_flops(const Recording::Answered& answered, const runtime::Engine& engine,
                  std::size_t plan, bool shrink) {
  std::vector<double> on_the_way;  // to leaving by each exit
  double sum = 0;
  for (std::size_t e = 0; e < engine.stages(plan); ++e) {
    sum += engine.segment_flops(plan, e);
    if (e + 1 < engine.stages(plan)) sum += engine.cache_flops(plan, e);
    on_the_way.push_back(sum);
  }
  if (!shrink) return sum;  // answered samples go on with their batch to its end
  double total = 0;
  for (const std::size_t exit : answered.exit) total += on_the_way[exit];
  return total / static_cast<double>(answered.exit.size());
}

artifact::PlanOutcome plan_outcome(const Recording& recording, std::size_t plan,
                                   const runtime::Engine& engine, const artifact::Plan& made,
                                   const Options& options) {
  const std::vector<std::int32_t>& backbone = recording.records.backbone;
  const Recording::Answered& answered = recording.plans.at(plan);
  const std::vector<runtime::Exit>& exits = engine.exits(plan);
  const std::int64_t samples = recording.size();

  std::vector<Tally> tallies(exits.size() + 1);
  std::vector<std::array<std::int64_t, artifact::kVerdicts>> verdicts(exits.size() + 1);
  Tally all;
  for (std::size_t i = 0; i < backbone.size(); ++i) {
    Tally& tally = tallies[answered.exit[i]];
    const bool agrees = answered.label[i] == backbone[i];
    ++tally.hits;
    tally.agreeing += agrees ? 1 : 0;
    all.agreeing += agrees ? 1 : 0;
    if (recording.truth.empty() || recording.truth[i] == labels::kUnknown) continue;
    const std::int64_t truth = recording.truth[i];
    const artifact::Verdict verdict = verdict_of(backbone[i], answered.label[i], truth);
    ++verdicts[answered.exit[i]][static_cast<std::size_t>(verdict)];
    for (Tally* const one : {&tally, &all}) {
      ++one->labelled;
      one->right += answered.label[i] == truth ? 1 : 0;
      one->backbone_right += backbone[i] == truth ? 1 : 0;
      one->won += verdict == artifact::Verdict::kCacheRight ? 1 : 0;
      one->lost += verdict == artifact::Verdict::kBackboneRight ? 1 : 0;
    }
  }

  artifact::PlanOutcome outcome;
  outcome.batch = made.batch;
  std::int64_t reach = samples;
  for (std::size_t e = 0; e <= exits.size(); ++e) {
    artifact::ExitOutcome exit = exit_outcome(tallies[e], reach, samples, all.labelled, options);
    exit.layer = engine.exit_name(plan, e);
    exit.verdicts = verdicts[e];
    exit.segment_flops = engine.segment_flops(plan, e);
    if (e < exits.size()) {
      exit.architecture = exits[e].architecture;
      exit.threshold = static_cast<double>(exits[e].threshold);
      exit.temperature = exits[e].temperature;
      exit.cache_flops = engine.cache_flops(plan, e);
      exit.feeds_next = e + 1 < exits.size() && exits[e + 1].predictor->takes_prior();
      outcome.cache_parameters += exits[e].predictor->cost().parameters;
    } else {  // the backbone answers whatever is left, as itself
      exit.hit_rate = exactly(exit.hit_rate.value);
      if (all.labelled > 0) exit.effect = exactly(0);
    }
    reach -= exit.hits;
    outcome.exits.push_back(std::move(exit));
  }
  outcome.agreement = share_of(all.agreeing, samples);
  if (all.labelled > 0) {
    outcome.accuracy_plain = share_of(all.backbone_right, all.labelled);
    outcome.accuracy_cached = share_of(all.right, all.labelled);
    outcome.effect = exits.empty() ? exactly(0) : effect_of(all, all.labelled, options);
  } else {
    outcome.accuracy_plain = outcome.accuracy_cached = outcome.effect = kNoInterval;
  }
  for (std::size_t e = 0; e <= exits.size(); ++e) {
    outcome.flops_plain += engine.segment_flops(plan, e);
  }
  outcome.flops_cached = mean_flops(answered, engine, plan, options.engine.shrink);
  outcome.predicted_saving = made.predicted_saving;
  outcome.predicted_risk = made.predicted_risk;
  outcome.cache_bytes = engine.cache_bytes(plan);
  outcome.classes = classes_of(backbone, answered, exits.size());
  if (made.certificate.has_value()) {
    outcome.has_certificate = true;
    artifact::CertificateOutcome& shown = outcome.certificate;
    shown.certificate = *made.certificate;
    shown.samples = samples;
    show_outcome(shown, samples - all.agreeing);
  }
  return outcome;
}

}  // namespace cachectl::eval
