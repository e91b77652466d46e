#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <optional>
#include <set>
#include <vector>

#include "model/convolution.h"

namespace cachectl::model {

// A convolution in a graph with what can run in the same pass.
struct FusedConvolution {
  ConvolutionSpec spec;
  torch::jit::Value* input = nullptr;
  torch::jit::Value* other = nullptr;  // added before the activation; nullptr: nothing
  torch::jit::Value* output = nullptr;
  std::vector<torch::jit::Node*> nodes;  // that it replaces; the last one gives the output
};

// The convolution at this node with the add and the activation behind it, where their
// values are used by nobody else and the nodes are not taken; nothing when the node is
// none, or none that Convolution supports.
std::optional<FusedConvolution> match_convolution(torch::jit::Node* node,
                                                  const std::set<const torch::jit::Node*>& taken);

}  // namespace cachectl::model
