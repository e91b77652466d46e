#pragma once

#include <cstdint>
#include <vector>

#include "artifact/caches.h"
#include "decision/cost.h"
#include "model/backbone.h"

namespace cachectl::select {

// What the stages of a cache-enabled backbone take, by the number of rows that enter.
struct StageTimes {
  std::vector<decision::Timing> segments;  // candidates + 1; together the plain backbone's time
  std::vector<decision::Timing> look_ups;  // candidates
};

// Measured in the order and on the machine in which they will run: a look-up is what a run with
// all cache models takes more than one without, the copy of half of the rows and the cold
// caches of what follows included, and its share of what all cuts cost the backbone. At 1 to 8 rows
// and then in steps of a half and a third up to `largest`. sample: one input. Measured here and
// now: not the same from run to run.
StageTimes time_stages(const model::Backbone& backbone, const artifact::Caches& caches,
                       const at::Tensor& sample, std::int64_t largest);

}  // namespace cachectl::select
