#pragma once

#include <ATen/core/ivalue.h>

#include <memory>
#include <vector>

#include "model/freeze.h"

namespace cachectl::model {

// How a graph's convolutions run.
enum class Kernels {
  kLibTorch,  // as LibTorch does, in the layout of the input
  kFused      // channels last, by oneDNN with what follows in one pass, where that is possible
};

// A graph, ready to run: no profiling, no specialisation, no gradients. run may be
// called from several threads at once. An input that the graph would write to is
// copied first.
class Program {
 public:
  explicit Program(const GraphPtr& graph, Kernels kernels = Kernels::kLibTorch);
  ~Program();
  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;

  // One output. Throws c10::Error as the operations do.
  // inputs are released as soon as nothing behind needs them, unless the caller holds them.
  at::Tensor run(Tensors inputs) const;
  std::vector<c10::IValue> run_values(std::vector<c10::IValue> inputs) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cachectl::model
