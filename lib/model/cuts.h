#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "model/freeze.h"

namespace cachectl::model {

// A value other than a tensor of samples (a size, a shape) that the rest of the graph needs
// behind a cut, expressed by the batch size alone: per part, constant + factor * rows.
struct Rebuilt {
  torch::jit::Value* value = nullptr;
  struct Part {
    std::int64_t constant = 0, factor = 0;
  };
  std::vector<Part> parts;  // one for an int or a scalar tensor, several for an int[]
};

// A place where one tensor alone determines the graph's output.
struct Cut {
  torch::jit::Value* value = nullptr;
  std::size_t node = 0;          // index of its producer in the order of the graph's nodes
  std::vector<Rebuilt> rebuilt;  // what the rest recomputes from the batch size
};

// The graph's own nodes in order, constants left out, and who depends on whom.
class Dependencies {
 public:
  explicit Dependencies(const GraphPtr& graph);
  const GraphPtr& graph() const { return graph_; }
  const std::vector<torch::jit::Node*>& nodes() const { return nodes_; }
  // Indices, ascending, of the nodes that the value needs (its producer included).
  const std::vector<bool>& behind(std::size_t node) const { return behind_[node]; }
  // -1 for the graph's inputs and constants.
  std::int64_t producer(const torch::jit::Value* value) const;
  // All values that a node and the blocks in it take from outside it.
  const std::vector<torch::jit::Value*>& uses(std::size_t node) const { return uses_[node]; }
  // The one that the output is whole behind: its producer, or a later one that writes in place.
  std::int64_t last_node() const;

 private:
  GraphPtr graph_;
  std::vector<torch::jit::Node*> nodes_;
  std::map<const torch::jit::Value*, std::size_t> producers_;
  std::vector<std::vector<torch::jit::Value*>> uses_;
  std::vector<std::vector<bool>> behind_;
  std::int64_t last_write_ = -1;
};

// What every top-level value was in a run: tensors by their sizes, ints and int lists by
// their values.
struct Observation {
  std::int64_t rows = 0;
  struct Entry {
    bool is_tensor = false;
    at::ScalarType dtype = at::kFloat;
    std::vector<std::int64_t> numbers;  // sizes of a tensor, or the int(s)
    bool is_number = false;  // numbers hold an int, a bool, an int[] or an integer scalar tensor
  };
  std::map<const torch::jit::Value*, Entry> entries;
  bool is_number(const torch::jit::Value* value) const {
    const auto entry = entries.find(value);
    return entry != entries.end() && entry->second.is_number;
  }
};

// Whether a value follows from shapes and types, and from nothing in the data; and whether what a
// few batches show of it holds for all: a size of what was picked by its values need not, nor the
// number of pieces that a batch is cut into.
class ShapeOnly {
 public:
  // Both must outlive it.
  ShapeOnly(const Dependencies& dependencies, const std::vector<Observation>& seen);
  bool operator()(const torch::jit::Value* value);

 private:
  bool follows(const torch::jit::Value* value);
  bool is_fixed(const torch::jit::Value* value);
  bool makes_sizes_of_values(const torch::jit::Node& node);
  bool is_no_proportion(const torch::jit::Node& node);

  const Dependencies& dependencies_;
  const std::vector<Observation>& seen_;
  std::map<std::int64_t, bool> known_;  // by node
  std::vector<bool> in_doubt_;          // by node
};

// Runs the graph and looks at every value. Throws c10::Error as the graph does.
Observation observe(const Dependencies& dependencies, const Tensors& inputs);

// All cuts in order of depth. A value qualifies when it is a floating tensor whose
// dimension 0 is the batch (in all observations, taken with different numbers of
// rows) and every path from the inputs to the output runs through it.
std::vector<Cut> find_cuts(const Dependencies& dependencies, const std::vector<Observation>& seen);

// The part of the graph from one cut (nullptr: the inputs) to another (nullptr: the output).
GraphPtr extract(const Dependencies& dependencies, const Cut* from, const Cut* to);

}  // namespace cachectl::model
