#pragma once

#include <memory>
#include <vector>

#include "model/backbone.h"
#include "model/cuts.h"

namespace cachectl::model {

// A candidate and the cut of the graph that it is.
struct Place {
  Candidate candidate;
  std::size_t cut = 0;  // index into Places::cuts
};

struct Places {
  std::vector<Cut> cuts;           // all of the graph
  std::vector<Place> places;       // in order of depth, after the options' rules
  std::vector<SegmentCost> costs;  // between them: places + 1
};

// Where the backbone may be cut: found by looking at a few runs. Branches that always go one
// way are settled in the graph, and the dependencies renewed.
Places find_places(std::unique_ptr<Dependencies>& dependencies, const Tensors& example,
                   const BackboneOptions& options);

}  // namespace cachectl::model
