#include "model/program.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/runtime/interpreter.h>

#include <utility>

namespace cachectl::model {
namespace jit = torch::jit;

struct Program::State {
  GraphPtr graph;
  jit::Code code;
  std::vector<bool> written;  // per input: the graph writes to it or to a view of it
};

Program::Program(const GraphPtr& graph)
    : state_(std::make_unique<State>(State{graph, jit::Code(graph, "segment"), {}})) {
  const jit::AliasDb aliases(graph);
  for (const jit::Value* input : graph->inputs()) {
    state_->written.push_back(aliases.hasWriters(input));
  }
}
Program::~Program() = default;
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;

std::vector<c10::IValue> Program::run_values(std::vector<c10::IValue> inputs) const {
  const at::NoGradGuard no_grad;
  const at::AutoDispatchBelowADInplaceOrView below;
  TORCH_CHECK(inputs.size() == state_->written.size(), "expected ", state_->written.size(),
              " inputs, not ", inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (state_->written[i] && inputs[i].isTensor()) inputs[i] = inputs[i].toTensor().clone();
  }
  jit::InterpreterState(state_->code).run(inputs);
  return inputs;
}

at::Tensor Program::run(const Tensors& inputs) const {
  std::vector<c10::IValue> stack = run_values({inputs.begin(), inputs.end()});
  return std::move(stack.at(0)).toTensor();
}

}  // namespace cachectl::model
