#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <vector>

#include "model/freeze.h"

namespace cachectl::model {

// All values that a node, and the blocks in it, take from outside it; constants left out.
std::vector<torch::jit::Value*> outside_uses(torch::jit::Node* node);

// A graph of copies of these nodes, in their order, from `inputs` to `outputs`.
GraphPtr subgraph(const std::vector<torch::jit::Node*>& nodes,
                  const std::vector<torch::jit::Value*>& inputs,
                  const std::vector<torch::jit::Value*>& outputs);

}  // namespace cachectl::model
