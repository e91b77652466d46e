#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <functional>
#include <memory>
#include <string>

#include "model/segments.h"

namespace cachectl::model {

using GraphPtr = std::shared_ptr<torch::jit::Graph>;

struct FreezeOptions {
  std::string path;
  std::string device = "cpu";
  bool bfloat16 = false;
};

struct Frozen {
  GraphPtr graph;
  // The functions that the graph's nodes were inlined from. LibTorch names them when an
  // operation fails, by plain pointers: they must live as long as anything made of the graph.
  std::shared_ptr<const void> functions;
  // The forward that the file holds, untouched: every tensor that comes out of it. It holds the
  // file's weights.
  std::function<Tensors(const Tensors&)> original;
};

// Reads a TorchScript file and gives its forward as one graph of plain operations:
// evaluation mode, weights as constants, calls inlined, convolution and batch norm
// folded, in-place operations made functional where that is provable, branches
// on ranks and dtypes of `inputs` decided. The graph's inputs are forward's
// arguments; one tensor comes out, chosen by `output` (BackboneOptions).
// Refuses programs that read or write files. Throws Error (3, 4, 5).
Frozen load_frozen(const FreezeOptions& options, const Tensors& inputs, const std::string& output);

// What LibTorch says is wrong, without its stack of C++ frames.
std::string first_line(const std::exception& error);

}  // namespace cachectl::model
