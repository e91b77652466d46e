#pragma once

#include <string>
#include <utility>
#include <vector>

#include "artifact/study.h"
#include "model/architecture.h"

// Small studies made by hand, without a search: layers of 4x8x8 under 10 classes.
namespace cachectl::artifact::test {

// rungs: how far it came; 2 is the last one.
inline Trial trial(std::int64_t number, const char* text, double utility, double agreement,
                   std::int64_t rungs = 2) {
  Trial trial;
  trial.number = number;
  trial.architecture = text;
  trial.origin = "random";
  const auto cost = model::head_cost(model::Architecture::parse(text), {4, 8, 8}, 10);
  trial.flops = cost.flops();
  trial.parameters = cost.parameters;
  trial.weight_bytes = cost.weight_bytes;
  trial.state = rungs == 2 ? TrialState::kFinished : TrialState::kStopped;
  for (std::int64_t r = 0; r < rungs; ++r) {
    RungResult rung;
    rung.rung = r;
    rung.epochs = 3 * (r + 1);
    rung.score = rung.utility = utility;
    rung.agreement = agreement;
    trial.rungs.push_back(rung);
  }
  return trial;
}

// Four trials and a failed one.
inline LayerStudy layer_study(const char* name, double before, std::int64_t bracket = 0) {
  LayerStudy layer;
  layer.layer = name;
  layer.shape = {4, 8, 8};
  layer.flops_before = before;
  layer.flops_after = 1e6 - before;
  layer.chance = 0.1;
  layer.bracket = bracket;
  layer.complete = true;
  layer.trials = {trial(0, "fc32", 50, 0.6), trial(1, "conv3x3/2-8, pool2", 90, 0.7),
                  trial(2, "fc64", 40, 0.65), trial(3, "linear", 500, 0.5, 1)};
  layer.trials.push_back(trial(4, "conv3x3-8", 0, 0, 0));
  layer.trials.back().state = TrialState::kFailed;
  return layer;
}

inline Study study_of(std::vector<LayerStudy> layers) {
  Study study;
  study.classes = 10;
  study.validation_samples = 1000;
  study.tolerance = 0.01;
  study.objective = "utility";
  study.settings = "search.trials: 4\n";
  study.train_ids_hash = "t";
  study.validation_ids_hash = "v";
  study.layers = std::move(layers);
  return study;
}

}  // namespace cachectl::artifact::test
