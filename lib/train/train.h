#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/options.h"
#include "learn/student.h"
#include "model/backbone.h"

namespace cachectl::train {

struct Options {
  CommonOptions common;
  std::string medial, study, out;
  // By layer: instead of the study's, or without a study.
  std::map<std::string, std::string> architectures;
  std::vector<std::string> layers;  // of the study; empty: all it has chosen for
  double minutes = 0;               // 0: no limit; the cycle is shortened to fit
  bool no_views = false;            // the samples themselves alone, also where views were collected
  // Draw fresh views in every epoch and let the backbone answer them. The backbone is
  // loaded for this alone.
  bool online_augment = false;
  model::BackboneOptions backbone;
  std::string view_precision = "auto";  // that it answers them in; auto: bfloat16 where native
  data::Options data;
  data::AugmentOptions augment = data::AugmentOptions::usual();
  // Each cache model also takes the logits of the trained one in front of it.
  bool cascade = false;
  double memory_gib = 4;            // for activations
  std::int64_t validate_every = 5;  // epochs, [1, 10000]; the last one always
  std::int64_t patience = 0;  // stop a layer after so many validations without a gain; 0: never
  learn::Recipe recipe;
};
void describe(OptionTable& table, Options& options);

// Trains all layers side by side, in one pass over the data, and writes the epoch of each
// that was best on the validation part; of a cascade the one that was best on average. A
// layer whose loss becomes no number is left out: the others go on, and a cascade begins anew,
// so that it never had it. Throws Error.
void run(Options& options);

}  // namespace cachectl::train
