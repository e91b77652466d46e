#include "model/graph_parts.h"

#include <algorithm>

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

// The node at the top level of the graph that holds this node.
const jit::Node* top_level(const jit::Node* node, const jit::Block* top) {
  while (node->owningBlock() != top) node = node->owningBlock()->owningNode();
  return node;
}

void collect_uses(jit::Node* node, jit::Node* outermost, std::vector<jit::Value*>& uses) {
  const auto take = [&](jit::Value* value) {
    if (is_constant(value)) return;
    const jit::Block* top = outermost->owningBlock();
    const jit::Node* holder = value->node();
    if (holder->kind() == jit::prim::Param && holder->owningBlock() == top) {
      uses.push_back(value);
      return;
    }
    if (holder->owningBlock() == top ||
        top_level(holder->kind() == jit::prim::Param ? holder->owningBlock()->owningNode() : holder,
                  top) != outermost) {
      uses.push_back(value);
    }
  };
  for (jit::Value* value : node->inputs()) take(value);
  for (jit::Block* block : node->blocks()) {
    for (jit::Node* inner : block->nodes()) collect_uses(inner, outermost, uses);
    for (jit::Value* value : block->outputs()) take(value);
  }
}

}  // namespace

bool is_constant(const jit::Value* value) {
  return value->node()->kind() == jit::prim::Constant;
}

jit::Value* mapped_or_constant(jit::Value* value, ValueMap& mapped, jit::Graph& graph) {
  const auto found = mapped.find(value);
  if (found != mapped.end()) return found->second;
  TORCH_INTERNAL_ASSERT(is_constant(value));
  jit::Node* constant = graph.createClone(value->node(), [](jit::Value* v) { return v; });
  graph.prependNode(constant);
  return mapped[value] = constant->output();
}

bool writes(const jit::Node* node) {
  if (node->kind() == jit::prim::SetAttr) return true;
  if (node->maybeSchema() && node->schema().is_mutable()) return true;
  for (const jit::Block* block : node->blocks()) {
    for (const jit::Node* inner : block->nodes()) {
      if (writes(inner)) return true;
    }
  }
  return false;
}

bool writes_to_tensors(const jit::Block& block) {
  const auto to_tensor = [](const c10::Argument& argument) {
    return argument.alias_info() && argument.alias_info()->isWrite() &&
           argument.type()->kind() == c10::TypeKind::TensorType;
  };
  for (const jit::Node* node : block.nodes()) {
    if (node->maybeSchema() && node->schema().is_mutable()) {
      const auto& arguments = node->schema().arguments();
      if (std::any_of(arguments.begin(), arguments.end(), to_tensor)) return true;
    }
    for (const jit::Block* inner : node->blocks()) {
      if (writes_to_tensors(*inner)) return true;
    }
  }
  return false;
}

std::vector<jit::Value*> outside_uses(jit::Node* node) {
  std::vector<jit::Value*> uses;
  collect_uses(node, node, uses);
  return uses;
}

GraphPtr subgraph(const std::vector<jit::Node*>& nodes, const std::vector<jit::Value*>& inputs,
                  const std::vector<jit::Value*>& outputs) {
  auto part = std::make_shared<jit::Graph>();
  ValueMap mapped;
  for (const jit::Value* input : inputs) mapped[input] = part->addInput()->setType(input->type());
  const auto lookup = [&](jit::Value* value) -> jit::Value* {
    return mapped_or_constant(value, mapped, *part);
  };
  for (jit::Node* node : nodes) {
    jit::Node* clone = part->insertNode(part->createClone(node, lookup));
    for (std::size_t i = 0; i < node->outputs().size(); ++i) {
      mapped[node->outputs()[i]] = clone->outputs()[i];
    }
  }
  for (jit::Value* output : outputs) part->registerOutput(lookup(output));
  part->lint();
  return part;
}

}  // namespace cachectl::model
