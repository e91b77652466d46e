#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <utility>

#include "learn/source.h"

namespace cachectl::learn {

// Activations of a deeper and a shallower layer whose class shows in a pattern over noise.
inline MemorySource::Part synthetic_part(std::int64_t rows, std::int64_t classes, double noise,
                                         std::uint64_t seed) {
  at::manual_seed(11);
  const at::Tensor patterns = at::randn({classes, 6, 8, 8});
  const at::Tensor deep = at::randn({classes, 10});
  at::manual_seed(seed);
  const at::Tensor target = at::randint(classes, {rows}, at::kLong);
  MemorySource::Part part;
  part.activations = {patterns.index_select(0, target) + noise * at::randn({rows, 6, 8, 8}),
                      deep.index_select(0, target) + noise * at::randn({rows, 10})};
  part.pd = at::full({rows, classes}, 0.1 / double(classes - 1));
  part.pd.scatter_(1, target.unsqueeze(1), 0.9);
  return part;
}

inline MemorySource synthetic_source(std::int64_t rows = 256, double noise = 1.0) {
  return {
      {"shallow", "deep"}, synthetic_part(rows, 4, noise, 1), synthetic_part(400, 4, noise, 2), 5};
}

}  // namespace cachectl::learn
