#include "model/settle.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/loop_unrolling.h>
#include <torch/csrc/jit/passes/peephole.h>
#include <torch/csrc/jit/passes/remove_exceptions.h>
#include <torch/csrc/jit/passes/remove_mutation.h>
#include <torch/csrc/jit/passes/shape_analysis.h>

#include <optional>

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

std::size_t branches(const jit::Block& block) {
  std::size_t count = 0;
  for (const jit::Node* node : block.nodes()) {
    if (node->kind() == jit::prim::If || node->kind() == jit::prim::Loop) ++count;
    for (const jit::Block* inner : node->blocks()) count += branches(*inner);
  }
  return count;
}

std::optional<c10::IValue> agreed(const jit::Value* value, const std::vector<Observation>& seen) {
  const Observation::Entry* first = nullptr;
  for (const Observation& observation : seen) {
    const auto entry = observation.entries.find(value);
    if (entry == observation.entries.end() || !entry->second.is_number) return std::nullopt;
    if (!first) first = &entry->second;
    if (entry->second.numbers != first->numbers) return std::nullopt;
  }
  if (!first) return std::nullopt;
  switch (value->type()->kind()) {
    case c10::TypeKind::BoolType:
      return c10::IValue(first->numbers.at(0) != 0);
    case c10::TypeKind::IntType:
      return c10::IValue(first->numbers.at(0));
    case c10::TypeKind::ListType:
      return c10::IValue(first->numbers);
    default:
      return std::nullopt;
  }
}

// `x is x` and `x is not x` of one value.
void decide_identities(jit::Block& block) {
  static const auto kIs = jit::Symbol::fromQualString("aten::__is__");
  static const auto kIsNot = jit::Symbol::fromQualString("aten::__isnot__");
  for (jit::Node* node : block.nodes()) {
    for (jit::Block* inner : node->blocks()) decide_identities(*inner);
    if (node->kind() != kIs && node->kind() != kIsNot) continue;
    if (node->inputs().size() != 2 || node->inputs()[0] != node->inputs()[1]) continue;
    jit::WithInsertPoint before(node);
    node->output()->replaceAllUsesWith(node->owningGraph()->insertConstant(node->kind() == kIs));
  }
}

void set_ranks(const jit::Value* value, const std::vector<Observation>& seen) {
  const Observation::Entry* first = nullptr;
  for (const Observation& observation : seen) {
    const auto entry = observation.entries.find(value);
    if (entry == observation.entries.end() || !entry->second.is_tensor) return;
    if (!first) first = &entry->second;
    if (entry->second.numbers.size() != first->numbers.size()) return;
  }
  if (!first) return;
  const_cast<jit::Value*>(value)->setType(
      c10::TensorType::create(first->dtype, c10::nullopt, first->numbers.size(), c10::nullopt));
}

}  // namespace

bool has_control_flow(const GraphPtr& graph) {
  return branches(*graph->block()) != 0;
}

bool settle(const GraphPtr& graph, const std::vector<Observation>& seen) {
  const std::size_t before = branches(*graph->block());
  const Dependencies dependencies(graph);
  ShapeOnly shape_only(dependencies, seen);
  for (jit::Node* node : dependencies.nodes()) {
    for (jit::Value* output : node->outputs()) {
      set_ranks(output, seen);
      if (!output->hasUses() || !shape_only(output)) continue;
      const auto constant = agreed(output, seen);
      if (!constant) continue;
      jit::WithInsertPoint at(node->next());
      output->replaceAllUsesWith(graph->insertConstant(*constant));
    }
  }
  GraphPtr mutable_graph = graph;
  for (std::size_t last = branches(*graph->block()) + 1; last != branches(*graph->block());) {
    last = branches(*graph->block());
    decide_identities(*graph->block());
    jit::PropagateInputShapes(mutable_graph);
    jit::PeepholeOptimize(mutable_graph);
    jit::ConstantPropagation(mutable_graph);
    jit::EliminateExceptions(mutable_graph);
    jit::UnrollConstantLoops(mutable_graph);
    jit::EliminateDeadCode(mutable_graph);
  }
  jit::RemoveListMutation(mutable_graph);
  jit::RemoveTensorMutation(mutable_graph);
  jit::ConstantPropagation(mutable_graph);
  jit::EliminateDeadCode(mutable_graph);
  jit::EraseShapeInformation(mutable_graph);
  for (jit::Value* input : graph->inputs()) input->setType(c10::TensorType::get());
  return branches(*graph->block()) < before;
}

}  // namespace cachectl::model
