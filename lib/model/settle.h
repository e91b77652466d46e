#pragma once

#include <vector>

#include "model/cuts.h"

namespace cachectl::model {

// Whether forward still branches or loops.
bool has_control_flow(const GraphPtr& graph);

// What every observation agrees on and follows from sizes, ranks and dtypes alone becomes a
// constant of the graph, and branches that hang on it are decided. The sizes of a sample are
// fixed for a loaded backbone, so this loses nothing; what the number of samples decides beyond
// proportion, or their values, stays open. True when control flow was removed.
bool settle(const GraphPtr& graph, const std::vector<Observation>& seen);

}  // namespace cachectl::model
