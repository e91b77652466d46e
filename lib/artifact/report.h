#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "artifact/plan.h"
#include "base/options.h"
#include "io/artifact.h"

// kind "report": what cachectl-eval measured on the test part. Shares and rates are in
// [0, 1], costs per sample, times in milliseconds. What needs labels is NaN or empty
// where there were none: then everything is relative to the backbone.
namespace cachectl::artifact {

struct Interval {  // 95 %
  double value = 0, low = 0, high = 0;
};
inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// Persisted: never renumber. C: the cache model's class, B: the backbone's, truth: the label's.
enum class Verdict : std::uint8_t {
  kBothRight = 0,       // B = C = truth
  kBothWrongAlike = 1,  // B = C, not the truth
  kBackboneRight = 2,   // B = truth, C not: what caching loses
  kCacheRight = 3,      // C = truth, B not: what caching wins
  kBothWrongApart = 4   // B, C and truth all differ
};
const char* name_of(Verdict verdict);  // "both right", ...
inline constexpr std::size_t kVerdicts = 5;

// RQ1: one cache model by itself over all of its thresholds, on the test part, as if every
// sample reached it. Points by falling threshold, so by rising hit rate.
struct CurveAlone {
  std::string layer, architecture;
  std::vector<double> threshold;
  std::vector<double> hit_rate;
  std::vector<double> cache_accuracy;  // share of the hits that agree with the backbone
  std::vector<double> drop;            // the label-free bound: hit_rate * (1 - cache_accuracy)
  std::vector<double> gt_accuracy;     // labels: share of the hits that are right
  std::vector<double> effect;          // labels: accuracy gained (lost when < 0) over all samples
};

// Confidence against agreement on the test part; equally wide bins over [0, 1].
struct Reliability {
  std::string layer;
  double temperature = 1;
  double ece_before = 0, ece_after = 0;  // at temperature 1; at the plan's
  std::vector<double> edge;              // bins + 1
  std::vector<std::int64_t> count_before, count_after;
  std::vector<double> confidence_before, confidence_after;  // mean in the bin; NaN when empty
  std::vector<double> agreement_before, agreement_after;    // with the backbone
};

// RQ1: one exit within a plan, over the samples that reach it. The last one of a plan is the
// backbone itself.
struct ExitOutcome {
  std::string layer, architecture;  // "backbone", "" for the last
  double threshold = 0, temperature = 1;
  std::int64_t reach = 0, hits = 0;
  Interval hit_rate;                               // of those that reach it
  double share = 0;                                // of all samples: answered here
  Interval cache_accuracy;                         // hits that agree with the backbone
  Interval gt_accuracy;                            // labels: hits that are right
  double backbone_accuracy = 0;                    // labels: the backbone's on the same hits
  Interval effect;                                 // labels: accuracy gained over all samples
  std::array<std::int64_t, kVerdicts> verdicts{};  // labels: of the hits
  double segment_flops = 0, cache_flops = 0;       // before this exit since the last; C1
  bool feeds_next = false;                         // the next one takes its logits, in a cascade
};

struct ClassOutcome {
  std::int32_t label = 0;  // the backbone's class
  std::int64_t samples = 0, early = 0, differing = 0;
};

// Certificate against outcome: what select promised, and what the test part shows.
struct CertificateOutcome {
  Certificate certificate;
  std::int64_t samples = 0, differing = 0;  // on the test part
  Interval risk;
  // Whether the test part is compatible with risk <= epsilon: the interval's lower end.
  bool consistent = false;
};

struct PlanOutcome {
  std::int64_t batch = 0;          // the one it is meant for; 0: any
  std::vector<ExitOutcome> exits;  // by depth, the backbone last
  Interval agreement;              // with the backbone, over all samples
  // With the backbone at Report::collected_precision, where it or the cache models, which were then
  // at float32, run at another one now; else NaN.
  Interval collected_agreement = {kUnknown, kUnknown, kUnknown};
  Interval accuracy_plain, accuracy_cached, effect;  // labels
  double flops_plain = 0, flops_cached = 0;          // RQ2, per sample
  double predicted_saving = 0, predicted_risk = 0;   // select's, on validation
  std::int64_t cache_bytes = 0, cache_parameters = 0;
  std::vector<ClassOutcome> classes;
  bool has_certificate = false;
  CertificateOutcome certificate;

  // Why it is the backbone alone; nothing where it has exits.
  std::optional<Emptiness> emptiness() const;
};

// RQ2: bytes of tensors alive at once while inferring one batch, from the allocator;
// inputs and weights apart. -1: could not be measured on this device.
struct MemoryUse {
  std::int64_t batch = 0, plain_bytes = 0, cached_bytes = 0;
  std::size_t plan = 0;  // index into Report::plans
};

struct Quantiles {
  double mean = 0, p50 = 0, p90 = 0, p99 = 0;
};

// RQ3: the same batches through the plain backbone and the cache-enabled model, by turns.
struct Latency {
  std::int64_t batch = 0;
  std::size_t plan = 0;                     // index into Report::plans
  std::vector<double> plain_ms, cached_ms;  // per repeat: the whole batch
  std::vector<double> first_ms, answer_ms;  // cached: to the first, and the mean answer
  Quantiles plain, cached, first, answer;
  Interval saved;          // 1 - cached / plain: of the means, bootstrap over the pairs
  double flops_saved = 0;  // on the same batches
};

// RQ4: one method's trade-off. Other methods' curves may stand beside ours.
struct TradePoint {
  std::string setting;  // "theta 0.9", "plan"
  double agreement = 0, accuracy = 0;
  double flops = 0;    // share of the plain backbone's
  double latency = 0;  // share of the plain backbone's at the curve's batch size; NaN: not measured
};
struct TradeCurve {
  std::string method;
  std::size_t plan = 0;            // index into Report::plans; of another method: ours beside it
  std::int64_t batch = 0;          // of the latency
  std::vector<TradePoint> points;  // by rising FLOPs
  // Area under the best accuracy (agreement without labels) within a cost, over costs
  // from 0 to the backbone's; 0 to 1, more is better. NaN: not measured.
  double area_flops = 0, area_latency = 0;
};

// Where the exits stand along the backbone.
struct LayerMark {
  std::string name;
  std::vector<std::int64_t> shape;
  double flops_before = 0;  // share of the backbone's
};

// A raw sample that left early or late.
struct Example {
  std::uint64_t id = 0;
  at::Tensor image;           // uint8 [C, H, W], C 1 or 3
  std::size_t exit = 0;       // index into PlanOutcome::exits of the first plan
  std::int32_t label = 0;     // as answered
  std::int32_t backbone = 0;  // the backbone's class
  std::int64_t truth = -1;    // -1: unknown
  double confidence = 0;
};

enum class Tone : std::uint8_t { kGood = 0, kPlain = 1, kBad = 2 };
struct Remark {  // one honest sentence on what caching gains here, or does not
  Tone tone = Tone::kPlain;
  std::string text;
};

struct Report {
  std::string title;  // "cifar10-resnet56.pt on cifar10 /data/test_batch.bin"
  std::string backbone_hash, backbone_file, data_name, data_hash;
  std::string test_ids_hash;
  std::int64_t samples = 0, classes = 0, labelled = 0;  // labelled: samples with a label
  std::vector<std::string> class_names;                 // empty where unknown
  std::string output_kind, cost_kind, budget;
  double tolerance = 0;
  std::string device, processor, precision, cache_precision, library;  // library: LibTorch
  std::int64_t threads = 0;
  double backbone_flops = 0;
  std::int64_t backbone_bytes = 0, backbone_parameters = 0;
  // The backbone's when its answers were collected, which the plan's promises speak of.
  std::string collected_precision = "float32";
  // Share of the samples whose class is the same as with the backbone at that precision and cache
  // models at float32: under the first plan, and from the plain backbone. 1 when they run so.
  double precision_agreement = 1;
  Interval backbone_agreement = {1, 1, 1};

  std::vector<LayerMark> layers;         // the backbone's candidates, in order of depth
  std::vector<CurveAlone> alone;         // RQ1: the plan's cache models, or all of --caches
  std::vector<Reliability> reliability;  // of the same
  std::vector<PlanOutcome> plans;        // at least one
  std::vector<MemoryUse> memory;         // RQ2
  std::vector<Latency> latency;          // RQ3; empty with --no-timing
  std::vector<TradeCurve> trade;         // RQ4; ours first
  std::vector<Example> examples;         // none where samples are no images
  std::vector<Remark> remarks;
  io::Provenance provenance;  // filled on reading: the chain back to backbone and data

  bool has_labels() const { return labelled > 0; }
  // What select expected this row to save: of plans chosen by latency, at the batch size that they
  // were chosen for. NaN elsewhere.
  double predicted_saving(const Latency& row) const;
};

// Returns the header as written.
io::Provenance write_report(const std::string& path, const Report& report,
                            const CommonOptions& common,
                            const std::map<std::string, io::Provenance>& inputs);
Report read_report(const std::string& path);

}  // namespace cachectl::artifact
