#pragma once

#include <cstdint>
#include <vector>

#include "artifact/profile.h"
#include "model/backbone.h"

namespace cachectl::profile {

struct TimingPlan {
  std::vector<std::int64_t> batch_sizes;
  std::int64_t warm_up = 3, repeats = 20;
  double seconds_per_size = 30;
};

// Fills the timings of plain, chain, segments and candidates. In each repeat the plain run and
// the chain follow each other, so that what disturbs the machine disturbs both.
void time_backbone(const model::Backbone& backbone, const model::Tensors& inputs,
                   const TimingPlan& plan, artifact::Profile& profile);

// Median, 10th and 90th percentile; samples in milliseconds, at least one.
artifact::Timing summarise(std::int64_t batch, std::vector<double> samples);

}  // namespace cachectl::profile
