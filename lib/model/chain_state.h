#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/program.h"
#include "model/segments.h"

namespace cachectl::model {

// What forward's arguments must look like, and how they are brought there.
struct ChainInputs {
  std::string path;  // of the backbone, for messages
  std::string device = "cpu";
  std::vector<std::vector<std::int64_t>> shapes;  // of one sample
  std::vector<at::ScalarType> dtypes;

  // Checks number, sizes and kind; casts and moves. Throws Error (5).
  Tensors prepare(const Tensors& inputs) const;
  // Turns float inputs whose values are all whole and not negative into int64, here and
  // in the example. False when there is none.
  bool take_whole_numbers(Tensors& example);
};

struct SegmentChain::State {
  std::shared_ptr<const void> functions;  // see Frozen; outlives the programs
  std::string path;
  ChainInputs inputs;
  std::vector<std::string> names;
  std::vector<Program> programs;
};

}  // namespace cachectl::model
