#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "artifact/profile.h"
#include "base/options.h"
#include "data/options.h"
#include "model/backbone.h"

// The first stage: where a backbone can be cut, and what each part costs.
namespace cachectl::profile {

struct Options {
  CommonOptions common;
  model::BackboneOptions backbone;
  data::Options data;
  // forward's inputs without a data set: "3x224x224", or "128:int64:30000" for tokens
  // below 30000; one per argument. Empty: samples of the data set.
  std::vector<std::string> inputs;
  std::vector<std::int64_t> batch_sizes = {1, 8, 32, 128};
  std::int64_t warm_up = 3;      // runs before the timed ones
  std::int64_t repeats = 20;     // timed runs of each side, in turns
  double seconds_per_size = 30;  // fewer repeats (at least 5) when these are spent
  std::string out;               // profile.h5
};

void describe(OptionTable& table, Options& options);
void run(Options& options);

// The costs of a loaded backbone, with timings on `inputs` brought to each batch size.
artifact::Profile measure(const model::Backbone& backbone, const model::Tensors& inputs,
                          const Options& options);

}  // namespace cachectl::profile
