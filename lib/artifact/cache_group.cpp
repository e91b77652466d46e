#include "artifact/cache_group.h"

#include <ATen/ATen.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "artifact/tensors.h"
#include "base/error.h"
#include "base/text.h"

namespace cachectl::artifact {
namespace {

void write_diagram(io::Group group, const ReliabilityDiagram& diagram) {
  group.write("edges", diagram.edges);
  group.write("samples", diagram.samples);
  group.write("confidence", diagram.confidence);
  group.write("agreement", diagram.agreement);
}

ReliabilityDiagram read_diagram(const io::Group& group) {
  ReliabilityDiagram diagram;
  diagram.edges = group.read<double>("edges");
  const auto bins = static_cast<std::int64_t>(diagram.edges.size()) - 1;
  if (bins < 1) fail(ExitCode::kCorrupt, "{}: edges: expected at least 2", group.where());
  diagram.samples = group.read<std::int64_t>("samples", {bins});
  diagram.confidence = group.read<double>("confidence", {bins});
  diagram.agreement = group.read<double>("agreement", {bins});
  return diagram;
}

void write_calibration(io::Group& cache, const Calibration& calibration, bool with_data) {
  io::Group group = cache.create_group("calibration");
  group.set("temperature", calibration.temperature);
  group.set("nll_before", calibration.nll_before);
  group.set("nll_after", calibration.nll_after);
  group.set("ece_before", calibration.ece_before);
  group.set("ece_after", calibration.ece_after);
  if (!with_data) return;
  group.write("predictions", calibration.predictions);
  group.write("confidences", calibration.confidences);
  write_diagram(group.create_group("reliability_before"), calibration.before);
  write_diagram(group.create_group("reliability_after"), calibration.after);
  io::Group thresholds = group.create_group("thresholds");
  thresholds.write("threshold", calibration.thresholds.threshold);
  thresholds.write("hit_rate", calibration.thresholds.hit_rate);
  thresholds.write("cache_accuracy", calibration.thresholds.cache_accuracy);
  thresholds.write("drop", calibration.thresholds.drop);
}

Calibration read_calibration(const io::Group& group) {
  Calibration calibration;
  calibration.temperature = group.real("temperature");
  if (!std::isfinite(calibration.temperature) || calibration.temperature <= 0) {
    fail(ExitCode::kCorrupt, "{}: temperature {}: expected a number above 0", group.where(),
         calibration.temperature);
  }
  calibration.nll_before = group.real("nll_before");
  calibration.nll_after = group.real("nll_after");
  calibration.ece_before = group.real("ece_before");
  calibration.ece_after = group.real("ece_after");
  if (!group.has("predictions")) return calibration;
  calibration.predictions = group.read<std::int32_t>("predictions");
  const auto samples = static_cast<std::int64_t>(calibration.predictions.size());
  calibration.confidences = group.read<float>("confidences", {samples});
  for (const float confidence : calibration.confidences) {
    if (!(confidence >= 0 && confidence <= 1)) {
      fail(ExitCode::kCorrupt, "{}/confidences: {}: expected values from 0 to 1", group.where(),
           confidence);
    }
  }
  calibration.before = read_diagram(group.group("reliability_before"));
  calibration.after = read_diagram(group.group("reliability_after"));
  const io::Group thresholds = group.group("thresholds");
  auto& curve = calibration.thresholds;
  curve.threshold = thresholds.read<float>("threshold");
  const auto points = static_cast<std::int64_t>(curve.threshold.size());
  curve.hit_rate = thresholds.read<double>("hit_rate", {points});
  curve.cache_accuracy = thresholds.read<double>("cache_accuracy", {points});
  curve.drop = thresholds.read<double>("drop", {points});
  return calibration;
}

// Per epoch: number, training loss, validation loss, validation agreement.
constexpr std::int64_t kCurveColumns = 4;

void write_curve(io::Group& group, const std::vector<CurvePoint>& curve) {
  std::vector<double> values;
  for (const auto& point : curve) {
    values.insert(values.end(), {static_cast<double>(point.epoch), point.train_loss,
                                 point.validation_loss, point.validation_agreement});
  }
  group.write("training_curve", values, {static_cast<std::int64_t>(curve.size()), kCurveColumns});
}

std::vector<CurvePoint> read_curve(const io::Group& group) {
  const auto values = group.read<double>("training_curve", {-1, kCurveColumns});
  std::vector<CurvePoint> curve;
  for (std::size_t i = 0; i + 3 < values.size(); i += kCurveColumns) {
    curve.push_back(
        {static_cast<std::int64_t>(values[i]), values[i + 1], values[i + 2], values[i + 3]});
  }
  return curve;
}

// What a replay may differ by, relative to the largest logit: another processor or
// library sums in another order.
constexpr double kReplayTolerance = 1e-3;

// Builds the cache model, which checks names and shapes of the weights, and asks it for
// the logits of its sample inputs.
void replay(const TrainedCache& cache, const std::string& where) {
  const std::int64_t classes = cache.sample_logits.size(1);
  try {
    const auto cost = model::head_cost(model::Architecture::parse(cache.architecture),
                                       cache.input_shape, classes, !cache.prior.empty());
    if (cost.parameters != cache.parameters || cost.flops() != cache.flops) {
      fail(ExitCode::kCorrupt, "{} parameters and {} FLOPs, but {} on {} has {} and {}",
           cache.parameters, cache.flops, cache.architecture, text::shape(cache.input_shape),
           cost.parameters, cost.flops());
    }
    const auto inputs = cache.sample_inputs.sizes().slice(1);
    if (inputs != at::IntArrayRef(cache.input_shape)) {
      fail(ExitCode::kCorrupt, "sample_inputs are {}, expected {}", text::shape(inputs.vec()),
           text::shape(cache.input_shape));
    }
    const at::Tensor logits =
        predictor_of(cache, classes, "weights")->logits(cache.sample_inputs, cache.sample_prior);
    const double scale = std::max(1.0, cache.sample_logits.abs().max().item<double>());
    const double difference = (logits - cache.sample_logits).abs().max().item<double>();
    if (!(difference <= kReplayTolerance * scale)) {
      fail(ExitCode::kCorrupt,
           "logits {:.3g} away from those stored for its sample inputs, at most {:.3g} is "
           "allowed: these weights are not the ones that were written",
           difference, kReplayTolerance * scale);
    }
  } catch (const Error& error) {
    fail(ExitCode::kCorrupt, "{}: {}", where, error.what());
  }
}

TrainedCache read_cache(const io::Group& group) {
  TrainedCache cache;
  cache.layer = group.text("layer");
  cache.architecture = group.text("architecture");
  if (group.has_attribute("prior")) cache.prior = group.text("prior");
  cache.input_shape = group.integers("input_shape");
  cache.flops = group.real("flops");
  cache.parameters = group.integer("parameters");
  cache.weight_bytes = group.integer("weight_bytes");
  cache.validation_agreement = group.real("validation_agreement");
  if (!(cache.flops >= 0) || cache.parameters < 0 || cache.weight_bytes < 0) {
    fail(ExitCode::kCorrupt, "{}: flops, parameters and weight_bytes: expected numbers from 0",
         group.where());
  }
  const io::Group weights = group.group("weights");
  for (const auto& name : weights.children()) cache.weights[name] = read_tensor(weights, name);
  cache.sample_inputs = read_tensor(group, "sample_inputs");
  cache.sample_logits = read_tensor(group, "sample_logits");
  if (cache.sample_logits.dim() != 2 || cache.sample_inputs.dim() < 2 ||
      cache.sample_logits.size(0) == 0 ||
      cache.sample_inputs.size(0) != cache.sample_logits.size(0)) {
    fail(ExitCode::kCorrupt, "{}: sample_inputs and sample_logits don't belong together",
         group.where());
  }
  if (!cache.prior.empty()) {
    cache.sample_prior = read_tensor(group, "sample_prior");
    if (cache.sample_prior.sizes() != cache.sample_logits.sizes()) {
      fail(ExitCode::kCorrupt, "{}: sample_prior and sample_logits don't belong together",
           group.where());
    }
  }
  replay(cache, group.where());
  if (group.has("training_curve")) cache.curve = read_curve(group);
  cache.calibrated = group.has("calibration");
  if (cache.calibrated) cache.calibration = read_calibration(group.group("calibration"));
  return cache;
}

}  // namespace

std::shared_ptr<const model::Predictor> predictor_of(const TrainedCache& cache,
                                                     std::int64_t classes, const std::string& where,
                                                     const std::string& precision,
                                                     const std::string& device) {
  return model::CacheModel::from_state(model::Architecture::parse(cache.architecture),
                                       cache.input_shape, classes, cache.weights, where,
                                       !cache.prior.empty())
      .freeze(precision, device);
}

void write_cache_models(io::Group& group, const std::vector<TrainedCache>& caches,
                        bool with_calibration_data) {
  for (std::size_t i = 0; i < caches.size(); ++i) {
    const TrainedCache& cache = caches[i];
    io::Group one = group.create_group(fmt::format("{:04}", i));
    one.set("layer", cache.layer);
    one.set("architecture", cache.architecture);
    if (!cache.prior.empty()) one.set("prior", cache.prior);
    one.set("input_shape", cache.input_shape);
    one.set("flops", cache.flops);
    one.set("parameters", cache.parameters);
    one.set("weight_bytes", cache.weight_bytes);
    one.set("validation_agreement", cache.validation_agreement);
    io::Group weights = one.create_group("weights");
    for (const auto& [name, tensor] : cache.weights) write_tensor(weights, name, tensor);
    write_tensor(one, "sample_inputs", cache.sample_inputs);
    if (!cache.prior.empty()) write_tensor(one, "sample_prior", cache.sample_prior);
    write_tensor(one, "sample_logits", cache.sample_logits);
    if (with_calibration_data) write_curve(one, cache.curve);
    if (cache.calibrated) write_calibration(one, cache.calibration, with_calibration_data);
  }
}

std::vector<TrainedCache> read_cache_models(const io::Group& group) {
  std::vector<TrainedCache> caches;
  for (const auto& name : group.children()) {
    TrainedCache cache = read_cache(group.group(name));
    const bool is_there =
        cache.prior.empty() || std::any_of(caches.begin(), caches.end(), [&](const auto& earlier) {
          return earlier.layer == cache.prior;
        });
    if (!is_there) {
      fail(ExitCode::kCorrupt, "{}/{}: takes the logits of '{}', which is not in front of it",
           group.where(), name, cache.prior);
    }
    caches.push_back(std::move(cache));
  }
  return caches;
}

}  // namespace cachectl::artifact
