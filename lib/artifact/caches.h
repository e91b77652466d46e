#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "io/artifact.h"
#include "model/cache_model.h"

// kind "caches": trained cache models, one per layer; cachectl-calibrate adds to each
// its temperature and its answers on the validation part.
namespace cachectl::artifact {

struct CurvePoint {
  std::int64_t epoch = 0;
  double train_loss = 0, validation_loss = 0, validation_agreement = 0;
};

// Confidence against agreement with the backbone, in equally wide bins over [0, 1].
struct ReliabilityDiagram {
  std::vector<double> edges;  // bins + 1
  std::vector<std::int64_t> samples;
  std::vector<double> confidence, agreement;  // means over the bin; 0 where it is empty
};

// The cache model alone on the validation part, at its distinct confidences, falling.
struct ThresholdCurve {
  std::vector<float> threshold;
  std::vector<double> hit_rate;        // share of the samples that hit
  std::vector<double> cache_accuracy;  // share of the hits that agree with the backbone
  std::vector<double> drop;            // hit_rate * (1 - cache_accuracy)
};

// Filled by cachectl-calibrate.
struct Calibration {
  double temperature = 1;
  double nll_before = 0, nll_after = 0;  // against the backbone's class; at temperature 1, and now
  double ece_before = 0, ece_after = 0;
  ReliabilityDiagram before, after;
  ThresholdCurve thresholds;
  // Per validation sample, in the order of the medial file's validation rows: the
  // predicted class and its calibrated confidence.
  std::vector<std::int32_t> predictions;
  std::vector<float> confidences;
};

struct TrainedCache {
  std::string layer;                      // the candidate it reads
  std::vector<std::int64_t> input_shape;  // of one activation
  std::string architecture;  // "conv3x3/2-64, pool2, fc128": model::Architecture's text
  // In a cascade: the layer of the cache model in front, whose logits it takes; "": of none.
  std::string prior;
  double flops = 0;  // C1, per sample
  std::int64_t parameters = 0, weight_bytes = 0;
  std::map<std::string, at::Tensor> weights;  // float32, by parameter name
  std::vector<CurvePoint> curve;
  double validation_agreement = 0;
  // A few activations and the logits they gave when written, with the prior's logits where it
  // takes them; replayed at load.
  at::Tensor sample_inputs, sample_prior, sample_logits;
  bool calibrated = false;
  Calibration calibration;
};

// Ready to infer on a device; precision: float32 or bfloat16. `where` names the cache model in
// messages.
// Throws Error when the weights are not those of the architecture on this shape.
std::shared_ptr<const model::Predictor> predictor_of(const TrainedCache& cache,
                                                     std::int64_t classes, const std::string& where,
                                                     const std::string& precision = "float32",
                                                     const std::string& device = "cpu");

struct Caches {
  std::int64_t classes = 0;
  std::vector<TrainedCache> caches;  // in order of depth
  // The validation part they were calibrated on (calibrated files only): ids and the
  // backbone's class of each sample.
  std::vector<std::uint64_t> validation_ids;
  std::vector<std::int32_t> backbone_classes;
  std::string train_ids_hash, validation_ids_hash;  // what earlier stages consumed
  io::Provenance provenance;                        // filled on reading
};

void write_caches(const std::string& path, const Caches& caches, const CommonOptions& common,
                  const std::map<std::string, io::Provenance>& inputs);
Caches read_caches(const std::string& path);  // replays the samples

}  // namespace cachectl::artifact
