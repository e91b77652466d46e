#include "support/sample_report.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"

namespace cachectl::report {
namespace {

using artifact::Interval;
constexpr int kSamples = 3000, kClasses = 10;
constexpr double kFlops = 125.5e6;

struct Draw {
  std::vector<std::int32_t> truth, backbone;
  std::vector<std::vector<std::int32_t>> answer;   // [cache][sample]
  std::vector<std::vector<double>> raw, tempered;  // confidences
};

struct Place {
  const char *layer, *architecture;
  double depth, cost;
  std::size_t mark;  // index into the report's layers
};
const Place kPlaces[] = {{"layer1.3", "conv3x3/2-32, fc64", 0.18, 0.6e6, 1},
                         {"layer2.2", "conv3x3/2-32, fc128", 0.46, 0.9e6, 4},
                         {"layer2.8", "conv1x1/1-64, fc128", 0.62, 0.7e6, 5},
                         {"layer3.4", "fc128", 0.83, 0.3e6, 7}};
constexpr std::size_t kCaches = 4;

Draw draw() {
  Rng rng(derive_seed(7, "sample report"));
  Draw d;
  d.answer.resize(kCaches);
  d.raw.resize(kCaches);
  d.tempered.resize(kCaches);
  for (int i = 0; i < kSamples; ++i) {
    const auto truth = static_cast<std::int32_t>(rng.below(kClasses));
    // Classes differ in difficulty, as cats and dogs do from ships.
    const double difficulty = rng.uniform() + (truth >= 3 && truth <= 5 ? 0.25 : 0);
    auto other = [&](std::int32_t c) {
      return static_cast<std::int32_t>((c + 1 + rng.below(kClasses - 1)) % kClasses);
    };
    d.truth.push_back(truth);
    d.backbone.push_back(rng.uniform() < 0.985 - 0.14 * difficulty * difficulty ? truth
                                                                                : other(truth));
    for (std::size_t c = 0; c < kCaches; ++c) {
      const double margin = 2.4 + 4.5 * (kPlaces[c].depth + 0.1) - 5 * difficulty + rng.normal();
      const double confidence = std::clamp(1 / (1 + std::exp(-1.3 * margin)), 0.12, 0.9995);
      const bool agrees = rng.uniform() < confidence;
      // Between the two wrong ways the truth is the likelier one.
      const std::int32_t wrong =
          d.backbone[i] != truth && rng.uniform() < 0.4 ? truth : other(d.backbone[i]);
      d.answer[c].push_back(agrees ? d.backbone[i] : wrong);
      d.tempered[c].push_back(confidence);
      d.raw[c].push_back(1 / (1 + std::pow(1 / confidence - 1, 1.7)));
    }
  }
  return d;
}

Interval share(double count, double total) {  // normal approximation: a picture, no claim
  if (total <= 0) return {};
  const double p = count / total,
               half = 1.96 * std::sqrt(p * (1 - p) / total + 1 / (total * total));
  return {p, std::max(0.0, p - half), std::min(1.0, p + half)};
}

artifact::Verdict verdict_of(std::int32_t c, std::int32_t b, std::int32_t truth) {
  using artifact::Verdict;
  if (c == b) return b == truth ? Verdict::kBothRight : Verdict::kBothWrongAlike;
  if (b == truth) return Verdict::kBackboneRight;
  return c == truth ? Verdict::kCacheRight : Verdict::kBothWrongApart;
}

artifact::CurveAlone curve_alone(const Draw& d, std::size_t cache) {
  artifact::CurveAlone curve;
  curve.layer = kPlaces[cache].layer;
  curve.architecture = kPlaces[cache].architecture;
  std::vector<std::size_t> order(kSamples);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return d.tempered[cache][a] > d.tempered[cache][b];
  });
  double agree = 0, right = 0, gain = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::size_t s = order[i];
    agree += d.answer[cache][s] == d.backbone[s];
    right += d.answer[cache][s] == d.truth[s];
    gain += (d.answer[cache][s] == d.truth[s]) - (d.backbone[s] == d.truth[s]);
    const double hits = static_cast<double>(i + 1), hit_rate = hits / kSamples;
    curve.threshold.push_back(d.tempered[cache][s]);
    curve.hit_rate.push_back(hit_rate);
    curve.cache_accuracy.push_back(agree / hits);
    curve.drop.push_back(hit_rate * (1 - agree / hits));
    curve.gt_accuracy.push_back(right / hits);
    curve.effect.push_back(gain / kSamples);
  }
  return curve;
}

artifact::Reliability reliability(const Draw& d, std::size_t cache) {
  artifact::Reliability r;
  r.layer = kPlaces[cache].layer;
  r.temperature = 1.7;
  constexpr int bins = 10;
  for (int b = 0; b <= bins; ++b) r.edge.push_back(b / static_cast<double>(bins));
  auto side = [&](const std::vector<double>& confidence, std::vector<std::int64_t>& count,
                  std::vector<double>& mean, std::vector<double>& agreement) {
    std::vector<double> sum(bins), agree(bins);
    count.assign(bins, 0);
    for (int i = 0; i < kSamples; ++i) {
      const int b = std::min(bins - 1, static_cast<int>(confidence[i] * bins));
      ++count[b];
      sum[b] += confidence[i];
      agree[b] += d.answer[cache][i] == d.backbone[i];
    }
    double ece = 0;
    for (int b = 0; b < bins; ++b) {
      mean.push_back(sum[b] / static_cast<double>(count[b]));  // NaN when empty
      agreement.push_back(agree[b] / static_cast<double>(count[b]));
      ece += std::fabs(sum[b] - agree[b]) / kSamples;
    }
    return ece;
  };
  r.ece_before = side(d.raw[cache], r.count_before, r.confidence_before, r.agreement_before);
  r.ece_after = side(d.tempered[cache], r.count_after, r.confidence_after, r.agreement_after);
  return r;
}

artifact::PlanOutcome outcome(const Draw& d, const std::vector<std::size_t>& caches,
                              const std::vector<double>& thresholds, std::int64_t batch) {
  artifact::PlanOutcome plan;
  plan.batch = batch;
  std::vector<bool> gone(kSamples);
  std::int64_t reach = kSamples;
  double flops = 0, passed = 0, agree_all = 0, right_plain = 0, right_cached = 0;
  for (int c = 0; c < kClasses; ++c) plan.classes.push_back({c, 0, 0, 0});
  for (std::size_t e = 0; e <= caches.size(); ++e) {
    const bool last = e == caches.size();
    const std::size_t cache = last ? 0 : caches[e];
    artifact::ExitOutcome exit;
    exit.layer = last ? "backbone" : kPlaces[cache].layer;
    exit.architecture = last ? "" : kPlaces[cache].architecture;
    exit.threshold = last ? 0 : thresholds[e];
    exit.temperature = last ? 1 : 1.7;
    exit.reach = reach;
    const double depth = last ? 1 : kPlaces[cache].depth;
    exit.segment_flops = (depth - passed) * kFlops;
    exit.cache_flops = last ? 0 : kPlaces[cache].cost;
    passed = depth;
    double agree = 0, right = 0, backbone_right = 0;
    for (int i = 0; i < kSamples; ++i) {
      if (gone[i] || (!last && d.tempered[cache][i] < thresholds[e])) continue;
      gone[i] = true;
      const std::int32_t answer = last ? d.backbone[i] : d.answer[cache][i];
      ++exit.hits;
      agree += answer == d.backbone[i];
      right += answer == d.truth[i];
      backbone_right += d.backbone[i] == d.truth[i];
      ++exit.verdicts[static_cast<std::size_t>(verdict_of(answer, d.backbone[i], d.truth[i]))];
      auto& kind = plan.classes[static_cast<std::size_t>(d.backbone[i])];
      ++kind.samples;
      kind.early += !last;
      kind.differing += answer != d.backbone[i];
    }
    const auto hits = static_cast<double>(exit.hits);
    exit.hit_rate = last ? Interval{1, 1, 1} : share(hits, static_cast<double>(reach));
    exit.share = hits / kSamples;
    exit.cache_accuracy = share(agree, hits);
    exit.gt_accuracy = share(right, hits);
    exit.backbone_accuracy = backbone_right / hits;
    const double gain = (right - backbone_right) / kSamples, either_way = last ? 0 : 0.002;
    exit.effect = {gain, gain - either_way, gain + either_way};
    flops += static_cast<double>(reach) * (exit.segment_flops + exit.cache_flops) / kSamples;
    agree_all += agree;
    right_cached += right;
    right_plain += backbone_right;
    if (!last) {
      plan.cache_bytes += 90'000 + 40'000 * static_cast<std::int64_t>(cache);
      plan.cache_parameters += 22'500 + 10'000 * static_cast<std::int64_t>(cache);
    }
    reach -= exit.hits;
    plan.exits.push_back(exit);
  }
  plan.agreement = share(agree_all, kSamples);
  plan.accuracy_plain = share(right_plain, kSamples);
  plan.accuracy_cached = share(right_cached, kSamples);
  const double effect = (right_cached - right_plain) / kSamples;
  plan.effect = {effect, effect - 0.004, effect + 0.004};
  plan.flops_plain = kFlops;
  plan.flops_cached = flops;
  plan.predicted_saving = 1 - flops / kFlops + 0.012;
  plan.predicted_risk = 1 - plan.agreement.value - 0.001;
  plan.has_certificate = true;
  auto& outcome = plan.certificate;
  outcome.certificate.epsilon = 0.02;
  outcome.certificate.delta = 0.05;
  outcome.certificate.samples = 1000;
  outcome.certificate.differing = 11;
  outcome.certificate.p_value = 0.0203;
  outcome.certificate.holds = true;
  outcome.certificate.storage = "float16";
  outcome.certificate.list_size = 41;
  outcome.certificate.list_tested = 12;
  outcome.certificate.list_certified = 11;
  outcome.samples = kSamples;
  outcome.differing = kSamples - static_cast<std::int64_t>(agree_all);
  outcome.risk = share(static_cast<double>(outcome.differing), kSamples);
  outcome.consistent = outcome.risk.low <= outcome.certificate.epsilon;
  return plan;
}

artifact::Quantiles quantiles(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  auto at = [&](double q) { return times[static_cast<std::size_t>(q * (times.size() - 1.0))]; };
  const double sum = std::accumulate(times.begin(), times.end(), 0.0);
  return {sum / static_cast<double>(times.size()), at(0.5), at(0.9), at(0.99)};
}

artifact::Latency latency(std::int64_t batch, double flops_saved) {
  Rng rng(derive_seed(7, "latency", static_cast<std::uint64_t>(batch)));
  artifact::Latency l;
  l.batch = batch;
  l.flops_saved = flops_saved;
  const double plain = 1.9 + 1.15 * static_cast<double>(batch);
  const double kept = 1 - flops_saved * (batch == 1 ? 0.86 : 0.95);
  for (int i = 0; i < 100; ++i) {
    const double load = std::exp(0.03 * rng.normal()) + (rng.uniform() < 0.05 ? 0.25 : 0);
    l.plain_ms.push_back(plain * load);
    l.cached_ms.push_back(plain * kept * load * std::exp(0.02 * rng.normal()));
    l.first_ms.push_back(l.cached_ms.back() * (batch == 1 ? 1 : 0.33));
    l.answer_ms.push_back(l.cached_ms.back() * (batch == 1 ? 1 : 0.62));
  }
  l.plain = quantiles(l.plain_ms);
  l.cached = quantiles(l.cached_ms);
  l.first = quantiles(l.first_ms);
  l.answer = quantiles(l.answer_ms);
  const double saved = 1 - l.cached.mean / l.plain.mean;
  l.saved = {saved, saved - 0.013, saved + 0.012};
  return l;
}

// The plan's thresholds moved together, or one threshold for all exits and no latency.
artifact::TradeCurve trade_curve(const Draw& d, const std::string& method, bool shifted) {
  artifact::TradeCurve curve;
  curve.method = method;
  curve.batch = 32;
  for (int step = -4; step <= 4; ++step) {
    std::vector<double> thresholds;
    for (double base : {0.9, 0.93, 0.95}) {
      const double theta = shifted ? base : 0.9;
      thresholds.push_back(1 / (1 + std::exp(-step) * (1 / theta - 1)));
    }
    const auto plan = outcome(d, {0, 1, 3}, thresholds, 0);
    const double cost = plan.flops_cached / kFlops;
    const std::string name = step == 0 ? "plan" : "plan " + std::to_string(step);
    curve.points.push_back(
        {shifted ? name : "theta " + std::to_string(thresholds[0]), plan.agreement.value,
         plan.accuracy_cached.value - (shifted ? 0 : 0.004), cost,
         shifted ? 1 - 0.95 * (1 - cost) : std::numeric_limits<double>::quiet_NaN()});
  }
  std::sort(curve.points.begin(), curve.points.end(),
            [](const auto& a, const auto& b) { return a.flops < b.flops; });
  curve.area_flops = shifted ? 0.62 : 0.6;
  curve.area_latency = shifted ? 0.6 : std::numeric_limits<double>::quiet_NaN();
  return curve;
}

at::Tensor picture(std::uint64_t id) {
  Rng rng(derive_seed(7, "picture", id));
  const double x0 = rng.uniform(8, 24), y0 = rng.uniform(8, 24), r = rng.uniform(5, 12);
  double back[3], front[3];
  for (int c = 0; c < 3; ++c) back[c] = rng.uniform(40, 220), front[c] = rng.uniform(20, 250);
  at::Tensor image = at::empty({3, 32, 32}, at::kByte);
  auto* out = image.data_ptr<std::uint8_t>();
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 1024; ++i) {
      const bool inside = std::hypot(i % 32 - x0, i / 32 - y0) < r;
      const double value = (inside ? front[c] : back[c]) + 12 * rng.normal();
      *out++ = static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
    }
  }
  return image;
}

io::Provenance made(const std::string& kind, const std::string& digit,
                    std::map<std::string, io::Provenance> inputs) {
  io::Provenance p;
  p.kind = kind;
  p.format_version = 1;
  for (int i = 0; i < 64; ++i) p.content_hash += digit[i % digit.size()];
  p.producer = "cachectl 0.1.0, LibTorch 1.13.0";
  p.command = "cachectl-" + kind + " --out " + kind + ".h5";
  p.created = "2026-11-21T03:20:21Z";
  p.config = "threads: 2\nseed: 1\n";
  p.seed = 1;
  p.inputs = std::move(inputs);
  return p;
}

io::Provenance chain() {
  auto backbone = io::outside_input("backbone", std::string(64, 'b'), "cifar10-resnet56.pt");
  auto data = io::outside_input("data", std::string(64, 'd'), "cifar10 test_batch.bin");
  auto profile = made("profile", "1a", {{"backbone", backbone}});
  auto medial = made("medial", "2b", {{"profile", profile}, {"data", data}});
  auto caches = made("caches", "3c", {{"medial", medial}});
  auto plan = made("plan", "4d", {{"caches", caches}, {"medial", medial}});
  return made("report", "5e", {{"plan", plan}, {"backbone", backbone}, {"data", data}});
}

}  // namespace

artifact::Report sample_report() {
  const Draw d = draw();
  artifact::Report r;
  r.title = "cifar10-resnet56.pt on cifar10 test_batch.bin";
  r.backbone_file = "cifar10-resnet56.pt";
  r.backbone_hash = std::string(64, 'b');
  r.data_name = "cifar10 test_batch.bin";
  r.data_hash = std::string(64, 'd');
  r.test_ids_hash = std::string(64, 'e');
  r.samples = r.labelled = kSamples;
  r.classes = kClasses;
  r.class_names = {"airplane", "automobile", "bird",  "cat",  "deer",
                   "dog",      "frog",       "horse", "ship", "truck"};
  r.output_kind = "logits";
  r.cost_kind = "flops";
  r.budget = "joint";
  r.tolerance = 0.02;
  r.device = "cpu";
  r.processor = "a made-up processor, 2 cores";
  r.precision = r.cache_precision = "float32";
  r.library = "LibTorch 1.13.0";
  r.threads = 2;
  r.backbone_flops = kFlops;
  r.backbone_bytes = 3'400'000;
  r.backbone_parameters = 853'018;
  const char* names[] = {"stem",     "layer1.3", "layer1.8", "layer2.0", "layer2.2",
                         "layer2.8", "layer3.1", "layer3.4", "layer3.8"};
  const double depths[] = {0.004, 0.18, 0.335, 0.37, 0.46, 0.62, 0.71, 0.83, 0.998};
  for (int i = 0; i < 9; ++i) r.layers.push_back({names[i], {16, 32, 32}, depths[i]});
  for (std::size_t c = 0; c < kCaches; ++c) {
    r.alone.push_back(curve_alone(d, c));
    r.reliability.push_back(reliability(d, c));
  }
  r.plans.push_back(outcome(d, {0, 1, 3}, {0.9, 0.93, 0.95}, 0));
  r.plans.push_back(outcome(d, {1, 3}, {0.93, 0.95}, 1));
  r.memory = {{1, 393'216, 401'408}, {32, 12'582'912, 12'845'056}, {128, 50'331'648, 50'593'792}};
  const double saved = 1 - r.plans[0].flops_cached / r.plans[0].flops_plain;
  r.latency = {latency(1, 1 - r.plans[1].flops_cached / kFlops), latency(8, saved),
               latency(32, saved), latency(128, saved)};
  r.latency[0].plan = 1;
  r.trade = {trade_curve(d, "cachectl", true),
             trade_curve(d, "one threshold for all exits", false)};
  for (std::uint64_t i = 0; i < 24; ++i) {
    artifact::Example e;
    e.id = 9'007'199'254'740'993ULL + i;  // beyond what a double can tell apart
    e.image = picture(i);
    e.exit = i < 12 ? i % 2 : 3;
    e.label = e.backbone = d.backbone[i];
    if (i == 5) e.label = (e.label + 1) % kClasses;
    e.truth = d.truth[i];
    e.confidence = i < 12 ? 0.99 : 0.62;
    r.examples.push_back(e);
  }
  using artifact::Tone;
  r.remarks = {{Tone::kGood, "The plan saves 41.9 % of the backbone's FLOPs per sample."},
               {Tone::kPlain,
                "It answers 2.10 % of the samples otherwise than the backbone [1.6, 2.6]; the "
                "tolerance was 2.00 %. That is more, though within what chance explains."},
               {Tone::kGood,
                "At batch 32 a batch takes 39.8 % less time [38.5, 41.0]; the first answer "
                "comes after 20 % of the backbone's time, the mean one after 37 %."},
               {Tone::kBad,
                "At batch 1 the slowest runs get slower: samples that no cache model answers "
                "pay for the look-ups."}};
  r.provenance = chain();
  return r;
}

artifact::Report bare_report() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  artifact::Report r;
  r.title = "net.pt on data";
  r.samples = 200;
  r.classes = 300;
  r.backbone_flops = 1e6;
  artifact::PlanOutcome plan;
  artifact::ExitOutcome last;
  last.layer = "backbone";
  last.reach = last.hits = 200;
  last.hit_rate = {1, 1, 1};
  last.share = 1;
  last.cache_accuracy = {1, 0.98, 1};
  last.gt_accuracy = last.effect = {nan, nan, nan};
  last.backbone_accuracy = nan;
  last.segment_flops = 1e6;
  plan.exits = {last};
  plan.agreement = {1, 0.98, 1};
  plan.accuracy_plain = plan.accuracy_cached = plan.effect = {nan, nan, nan};
  plan.flops_plain = plan.flops_cached = 1e6;
  r.plans = {plan};
  return r;
}

artifact::Report uncertified_report() {
  artifact::Report r = bare_report();
  r.plans[0].has_certificate = true;
  artifact::CertificateOutcome& outcome = r.plans[0].certificate;
  outcome.certificate.epsilon = 0.01;
  outcome.certificate.delta = 0.05;
  outcome.certificate.samples = 300;
  outcome.certificate.differing = 2;
  outcome.certificate.p_value = 0.42;
  outcome.certificate.samples_needed = 1550;
  outcome.certificate.list_size = 12;
  outcome.certificate.list_tested = 1;
  outcome.samples = 200;
  outcome.risk = {0, 0, 0.018};
  outcome.consistent = true;
  return r;
}

artifact::Report small_report() {
  artifact::Report r = sample_report();
  r.layers.resize(1);
  r.alone.resize(1);
  artifact::CurveAlone& curve = r.alone[0];
  for (auto* column : {&curve.threshold, &curve.hit_rate, &curve.cache_accuracy, &curve.drop,
                       &curve.gt_accuracy, &curve.effect}) {
    column->resize(4);
  }
  r.reliability.resize(1);
  r.plans.resize(1);
  r.memory.resize(1);
  r.latency.resize(1);
  r.latency[0].plan = 0;
  r.trade.resize(1);
  r.trade[0].points.resize(2);
  r.examples.resize(1);
  r.remarks.resize(1);
  r.provenance = {};
  return r;
}

}  // namespace cachectl::report
