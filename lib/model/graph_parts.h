#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <map>
#include <vector>

#include "model/freeze.h"

namespace cachectl::model {

bool is_constant(const torch::jit::Value* value);

// What stands for a value in a graph of copies: what it is mapped to, else a copy of the
// constant that it has to be.
using ValueMap = std::map<const torch::jit::Value*, torch::jit::Value*>;
torch::jit::Value* mapped_or_constant(torch::jit::Value* value, ValueMap& mapped,
                                      torch::jit::Graph& graph);

// Whether a node, or one in its blocks, changes something that is there: a tensor, a list, an
// object.
bool writes(const torch::jit::Node* node);
// Whether a block does that to tensors. Lists that grow are no matter to who only moves tensors.
bool writes_to_tensors(const torch::jit::Block& block);

// All values that a node, and the blocks in it, take from outside it; constants left out.
std::vector<torch::jit::Value*> outside_uses(torch::jit::Node* node);

// A graph of copies of these nodes, in their order, from `inputs` to `outputs`.
GraphPtr subgraph(const std::vector<torch::jit::Node*>& nodes,
                  const std::vector<torch::jit::Value*>& inputs,
                  const std::vector<torch::jit::Value*>& outputs);

}  // namespace cachectl::model
