#pragma once

#include <string>
#include <vector>

#include "model/cuts.h"

namespace cachectl::model {

// The modules whose forward a node came from, outermost first: {"layer2", "1", "conv1"}.
// Empty for operations of forward itself.
std::vector<std::string> module_path(const torch::jit::Node& node);

struct NamedCut {
  std::size_t cut = 0;  // index into the cuts
  std::string name;     // unique
};

// Which cuts to keep and what to call them. all = false keeps the outputs of first-level
// modules and of blocks (modules with several weighted operations that stand in a row of
// such modules), and where no module ends between two weighted operations the
// last value between them; views and copies are dropped. all = true keeps every cut but
// those. A name is the path of the module that ends there, else "relu@17": the
// operation and its position.
std::vector<NamedCut> name_cuts(const Dependencies& dependencies, const std::vector<Cut>& cuts,
                                bool all);

}  // namespace cachectl::model
