#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <string>

#include "artifact/caches.h"
#include "artifact/profile.h"
#include "support/scratch.h"
#include "support/tiny_medial.h"

// The files that calibration and selection start from, in a scratch folder and made
// without a backbone or training: a tiny medial file, a profile that fits it, and cache
// models that are linear discriminants of the train part; in a cascade each adds the
// logarithms of the distribution of the one in front.
struct TinyChain {
  Scratch scratch;
  TinyMedial medial;
  std::string medial_path = scratch.path("medial.h5");
  std::string caches_path = scratch.path("caches.h5");
  std::string profile_path = scratch.path("profile.h5");

  explicit TinyChain(std::int64_t samples = 3000, bool cascade = false) {
    medial.samples = samples;
    medial.layers = {{"early", {4, 8, 8}, 14}, {"middle", {8, 4, 4}, 6}, {"late", {16}, 1.4}};
    const auto provenance = medial.write(medial_path);
    write_profile();
    write_caches(provenance, cascade);
  }

  static cachectl::CommonOptions common() {
    cachectl::CommonOptions common;
    common.tool = "cachectl-test";
    common.no_provenance = true;
    common.log_level = "quiet";
    common.force = true;
    return common;
  }

  // The same file with other contents for the rows of one part.
  std::string with_other_contents(cachectl::data::Part part, const std::string& name) {
    TinyMedial other = medial;
    for (std::size_t row = 0; row < other.plan.rows.parts.size(); ++row) {
      if (other.plan.rows.parts[row] != part) continue;
      const auto at = static_cast<std::int64_t>(row);
      for (auto& activations : other.activations) {
        activations = activations.clone();
        activations[at] = -activations[at];
      }
      other.pd = other.pd.clone();
      other.pd[at] = other.pd[at].roll(1, 0);
    }
    return rewrite(other, name);
  }

  // The same file with a middle layer that is easier to learn.
  std::string with_an_easy_middle() {
    TinyMedial other = medial;
    other.layers[1].noise = 2;
    other.draw();
    return rewrite(other, "easy.h5");
  }

  std::string rewrite(TinyMedial& other, const std::string& name) {
    using namespace cachectl;
    const std::string path = scratch.path(name);
    artifact::write_medial(
        path, other.plan, other.pd, other.activations, common(),
        {{"backbone", io::outside_input("backbone", medial.backbone_hash, "tiny")},
         {"data", io::outside_input("data", std::string(64, 'd'), "tiny")}});
    return path;
  }

 private:
  void write_profile() {
    using namespace cachectl;
    artifact::Profile profile;
    profile.backbone_hash = medial.backbone_hash;
    profile.classes = medial.classes;
    profile.output_kind = "logits";
    profile.input_shape = {3, 4, 4};
    profile.inputs = {"3x4x4 float32"};
    profile.device = "cpu";
    profile.precision = "float32";
    profile.memory_format = "contiguous";
    profile.threads = 1;
    const auto timings = [](double ms) {
      std::vector<artifact::Timing> all;
      for (const std::int64_t batch : {1, 8, 32}) {
        const double time = ms * (0.5 + 0.5 * static_cast<double>(batch));
        all.push_back({batch, time, time, time});
      }
      return all;
    };
    const double segment = 1e7;
    const std::size_t count = medial.layers.size();
    profile.flops = segment * static_cast<double>(count + 1);
    for (std::size_t d = 0; d <= count; ++d) {
      artifact::SegmentCost cost;
      cost.flops = segment;
      cost.macs = segment / 2;
      cost.timings = timings(10);
      profile.segments.push_back(cost);
      if (d == count) break;
      artifact::Candidate candidate;
      candidate.name = medial.layers[d].name;
      candidate.shape = medial.layers[d].shape;
      candidate.dtype = "float32";
      candidate.flops_before = segment * static_cast<double>(d + 1);
      candidate.flops_after = profile.flops - candidate.flops_before;
      candidate.before = timings(10 * static_cast<double>(d + 1));
      candidate.after = timings(10 * static_cast<double>(count - d));
      profile.candidates.push_back(candidate);
    }
    profile.plain = timings(10 * static_cast<double>(count + 1));
    profile.chain = profile.plain;
    artifact::write_profile(profile_path, profile, common(),
                            io::outside_input("backbone", medial.backbone_hash, "tiny"));
  }

  void write_caches(const cachectl::io::Provenance& made_from, bool cascade) {
    using namespace cachectl;
    const artifact::MedialReader reader(medial_path);
    artifact::Caches caches;
    caches.classes = medial.classes;
    caches.train_ids_hash = reader.ids_hash(data::Part::kTrain);
    caches.validation_ids_hash = reader.ids_hash(data::Part::kValidation);
    const auto rows = reader.rows_of(data::Part::kTrain);
    const at::Tensor answers = reader.pd(rows).argmax(1);
    for (const auto& layer : medial.layers) {
      const at::Tensor x = reader.activations(layer.name, rows).flatten(1);
      std::vector<at::Tensor> means;
      for (std::int64_t c = 0; c < medial.classes; ++c) {
        means.push_back(x.index_select(0, (answers == c).nonzero().flatten()).mean(0));
      }
      const at::Tensor centres = at::stack(means);
      // Sharper than the truth, so that calibration has something to mend.
      const double variance = layer.noise * layer.noise / 3;
      artifact::TrainedCache cache;
      cache.layer = layer.name;
      cache.architecture = "linear";
      cache.input_shape = layer.shape;
      cache.weights["classifier.weight"] = centres / variance;
      cache.weights["classifier.bias"] = -(centres * centres).sum(1) / (2 * variance);
      if (cascade && !caches.caches.empty()) {
        cache.prior = caches.caches.back().layer;
        cache.sample_prior = caches.caches.back().sample_logits;
        at::Tensor& weight = cache.weights["classifier.weight"];
        weight = at::cat({weight, at::eye(medial.classes)}, 1);
      }
      const auto cost = model::head_cost({}, layer.shape, medial.classes, !cache.prior.empty());
      cache.flops = cost.flops();
      cache.parameters = cost.parameters;
      cache.weight_bytes = cost.weight_bytes;
      cache.sample_inputs = reader.activations(layer.name, {0, 1});
      cache.sample_logits = artifact::predictor_of(cache, medial.classes, layer.name)
                                ->logits(cache.sample_inputs, cache.sample_prior);
      caches.caches.push_back(cache);
    }
    artifact::write_caches(caches_path, caches, common(), {{"medial", made_from}});
  }
};
