#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

#include <memory>
#include <string>
#include <vector>

#include "artifact/plan.h"
#include "model/backbone.h"
#include "model/cache_model.h"
#include "scratch.h"
#include "zoo/zoo.h"

// A small ResNet with random weights, and cache models with random weights for it.
class CachedBackbone {
 public:
  static constexpr std::int64_t kClasses = 7;
  static constexpr std::int64_t kSize = 16;

  explicit CachedBackbone(std::uint64_t seed = 1, const std::string& arch = "resnet8") {
    cachectl::zoo::Spec spec;
    spec.arch = arch;
    spec.classes = kClasses;
    spec.input_size = kSize;
    torch::jit::Module module = cachectl::zoo::build(spec, seed);
    module.eval();
    module.save(path());
    backbone_ = load();
  }

  std::string path() const { return scratch_.path("backbone.pt"); }
  const Scratch& scratch() const { return scratch_; }
  std::shared_ptr<const cachectl::model::Backbone> backbone() const { return backbone_; }
  std::shared_ptr<const cachectl::model::Backbone> load(
      const std::string& precision = "float32") const {
    cachectl::model::BackboneOptions options;
    options.path = path();
    options.precision = precision;
    return cachectl::model::Backbone::load(options, {inputs(2, 0)});
  }

  static at::Tensor inputs(std::int64_t rows, std::uint64_t seed) {
    at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return at::randn({rows, 3, kSize, kSize}, generator, at::kFloat);
  }

  // Calibrated; they are sharp enough to be confident now and then. prior: the one in front,
  // in a cascade.
  cachectl::artifact::TrainedCache cache(
      const std::string& layer, std::uint64_t seed,
      const cachectl::artifact::TrainedCache* prior = nullptr) const {
    using namespace cachectl;
    const model::Architecture architecture = model::Architecture::parse("conv3x3/2-8, fc16");
    const model::Sizes shape = backbone_->candidate(layer).shape;
    const model::CacheModel model(architecture, shape, kClasses, seed, prior != nullptr);
    artifact::TrainedCache cache;
    cache.layer = layer;
    cache.input_shape = shape;
    cache.architecture = architecture.text();
    cache.flops = model.cost().flops();
    cache.parameters = model.cost().parameters;
    cache.weight_bytes = model.cost().weight_bytes;
    cache.weights = model.state();
    cache.weights["classifier.weight"] = cache.weights["classifier.weight"] * 6;
    cache.sample_inputs = at::ones({1, shape[0], shape[1], shape[2]});
    if (prior != nullptr) {
      cache.prior = prior->layer;
      cache.sample_prior = prior->sample_logits;
    }
    cache.sample_logits = artifact::predictor_of(cache, kClasses, "test")
                              ->logits(cache.sample_inputs, cache.sample_prior);
    cache.calibrated = true;
    cache.calibration.temperature = 1.5;
    return cache;
  }

  // A plan with one exit at each of these layers, at these thresholds.
  cachectl::artifact::PlanFile plan(const std::vector<std::string>& layers,
                                    const std::vector<double>& thresholds,
                                    bool cascade = false) const {
    using namespace cachectl;
    artifact::PlanFile file;
    file.backbone_hash = backbone_->hash();
    file.classes = kClasses;
    file.cost_kind = "flops";
    file.tolerance = 0.01;
    file.budget = "halving";
    file.plans.resize(1);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const bool has_prior = cascade && i > 0;
      file.caches.push_back(cache(layers[i], i + 1, has_prior ? &file.caches.back() : nullptr));
      file.plans[0].exits.push_back({static_cast<std::int64_t>(i), thresholds[i]});
      file.plans[0].reach.push_back(0);
      file.plans[0].hits.push_back(0);
    }
    file.self_test_inputs = inputs(4, 77);
    return file;
  }

  // Behind the stem and behind the first two stages.
  static std::vector<std::string> layers() { return {"relu@1", "layer1", "layer2"}; }

 private:
  Scratch scratch_;
  std::shared_ptr<const cachectl::model::Backbone> backbone_;
};
