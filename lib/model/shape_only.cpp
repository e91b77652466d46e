#include <algorithm>
#include <set>
#include <string>

#include "model/cuts.h"
#include "model/graph_parts.h"

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

bool asks_for_shape(const jit::Node* node) {
  static const std::set<std::string> kinds = {"aten::size",
                                              "aten::dim",
                                              "aten::numel",
                                              "aten::sym_size",
                                              "aten::is_floating_point",
                                              "prim::dtype",
                                              "prim::device",
                                              "prim::layout",
                                              "prim::is_cuda",
                                              "prim::requires_grad",
                                              "prim::is_nested",
                                              "aten::__is__",
                                              "aten::__isnot__",
                                              "aten::is_complex"};
  return kinds.count(node->kind().toQualString()) != 0;
}

// Operations whose result's sizes, or whose result as a number, come from the values they are
// given.
bool turns_values_into_sizes(const jit::Node& node) {
  static const std::set<std::string> kinds = {"aten::nonzero",
                                              "aten::nonzero_numpy",
                                              "aten::argwhere",
                                              "aten::masked_select",
                                              "aten::index",
                                              "aten::unique_dim",
                                              "aten::unique_consecutive",
                                              "aten::_unique",
                                              "aten::_unique2",
                                              "aten::bincount",
                                              "aten::repeat_interleave",
                                              "aten::item",
                                              "aten::Int",
                                              "aten::Float",
                                              "aten::Bool",
                                              "aten::IntImplicit",
                                              "aten::FloatImplicit",
                                              "aten::ScalarImplicit",
                                              "aten::_local_scalar_dense",
                                              "prim::tolist",
                                              "aten::is_nonzero"};
  return kinds.count(node.kind().toQualString()) != 0;
}

bool picks_by_second(const jit::Node& node) {
  if (node.kind() == jit::aten::index) return true;
  return node.inputs().size() > 1 &&
         node.kind().toQualString() == std::string("aten::repeat_interleave") &&
         node.inputs()[1]->type()->kind() == c10::TypeKind::IntType;
}

bool holds_such(const jit::Block* block) {
  for (const jit::Node* node : block->nodes()) {
    if (turns_values_into_sizes(*node)) return true;
    if (std::any_of(node->blocks().begin(), node->blocks().end(), holds_such)) return true;
  }
  return false;
}

// Operations by which a multiple of the number of rows stays one, and a constant a constant.
bool keeps_proportion(const jit::Node& node) {
  static const std::set<std::string> kinds = {"aten::mul",
                                              "aten::add",
                                              "aten::sub",
                                              "aten::neg",
                                              "aten::div",
                                              "aten::floordiv",
                                              "aten::floor_divide",
                                              "aten::true_divide",
                                              "aten::floor",
                                              "aten::trunc",
                                              "aten::Int",
                                              "aten::Float",
                                              "aten::IntImplicit",
                                              "aten::FloatImplicit",
                                              "aten::ScalarImplicit",
                                              "aten::item",
                                              "aten::to",
                                              "aten::detach",
                                              "aten::clone",
                                              "aten::tensor",
                                              "aten::__getitem__",
                                              "aten::slice",
                                              "aten::len",
                                              "aten::list",
                                              "prim::NumToTensor",
                                              "prim::ListConstruct",
                                              "prim::ListUnpack",
                                              "prim::TupleConstruct",
                                              "prim::TupleUnpack",
                                              "prim::TupleIndex",
                                              "prim::unchecked_cast"};
  return kinds.count(node.kind().toQualString()) != 0;
}

}  // namespace

ShapeOnly::ShapeOnly(const Dependencies& dependencies, const std::vector<Observation>& seen)
    : dependencies_(dependencies), seen_(seen) {
  // By what is computed from what, not by the order that writes in place keep: those change values,
  // and sizes stay.
  const auto& nodes = dependencies.nodes();
  in_doubt_.resize(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    in_doubt_[i] = makes_sizes_of_values(*nodes[i]) || is_no_proportion(*nodes[i]);
    for (const jit::Value* used : dependencies.uses(i)) {
      const std::int64_t from = dependencies.producer(used);
      if (from >= 0 && in_doubt_[static_cast<std::size_t>(from)]) in_doubt_[i] = true;
    }
  }
}

bool ShapeOnly::operator()(const jit::Value* value) {
  if (!follows(value)) return false;
  const std::int64_t node = dependencies_.producer(value);
  return node < 0 || !in_doubt_[static_cast<std::size_t>(node)];
}

// Whether sizes behind the node may hang on what the data are.
bool ShapeOnly::makes_sizes_of_values(const jit::Node& node) {
  if (node.blocks().empty()) {
    if (!turns_values_into_sizes(node)) return false;
    // Of an index the positions count, not what is indexed: its sizes are those of the positions.
    const std::size_t first = picks_by_second(node) ? 1 : 0;
    for (std::size_t i = first; i < node.inputs().size(); ++i) {
      if (!follows(node.inputs()[i])) return true;
    }
    return false;
  }
  // A condition of values has become a number by one of these before it comes here.
  return std::any_of(node.blocks().begin(), node.blocks().end(), holds_such);
}

// Whether the node computes a number from one that differs between batches, in a way that need not
// go on as it began: a limit, a comparison, the number of pieces.
bool ShapeOnly::is_no_proportion(const jit::Node& node) {
  if (!node.blocks().empty() || asks_for_shape(&node) || keeps_proportion(node)) return false;
  const bool number =
      std::any_of(node.outputs().begin(), node.outputs().end(), [&](const jit::Value* output) {
        const auto kind = output->type()->kind();
        return kind == c10::TypeKind::IntType || kind == c10::TypeKind::BoolType ||
               kind == c10::TypeKind::FloatType || kind == c10::TypeKind::ListType ||
               (!seen_.empty() && seen_[0].is_number(output));
      });
  if (!number) return false;
  bool varies = false, all_vary = true;
  for (const jit::Value* input : node.inputs()) {
    if (!follows(input)) return false;  // not of sizes alone: nobody takes it for a fact
    const bool fixed = is_fixed(input);
    varies = varies || !fixed;
    all_vary = all_vary && !fixed;
  }
  // Two multiples of the number of rows that are equal once always are.
  const bool compares = node.kind() == jit::aten::eq || node.kind() == jit::aten::ne;
  return varies && !(compares && all_vary);
}

// Whether all batches that were looked at have the same number here.
bool ShapeOnly::is_fixed(const jit::Value* value) {
  if (is_constant(value)) return true;
  if (!seen_.empty() && seen_[0].is_number(value)) {
    const auto& first = seen_[0].entries.at(value).numbers;
    return std::all_of(seen_.begin(), seen_.end(), [&](const Observation& one) {
      return one.is_number(value) && one.entries.at(value).numbers == first;
    });
  }
  const std::int64_t node = dependencies_.producer(value);
  if (node < 0) return false;
  const jit::Node* producer = dependencies_.nodes()[static_cast<std::size_t>(node)];
  if (!producer->blocks().empty()) return false;
  if (asks_for_shape(producer)) return true;  // a device or another thing that is no number
  return std::all_of(producer->inputs().begin(), producer->inputs().end(),
                     [&](const jit::Value* input) { return is_fixed(input); });
}

bool ShapeOnly::follows(const jit::Value* value) {
  if (is_constant(value)) return true;
  const std::int64_t node = dependencies_.producer(value);
  if (node < 0) return false;
  const auto found = known_.find(node);
  if (found != known_.end()) return found->second;
  const jit::Node* producer = dependencies_.nodes()[static_cast<std::size_t>(node)];
  bool result = producer->blocks().empty();
  if (result && !asks_for_shape(producer)) {
    for (const jit::Value* input : producer->inputs()) result = result && follows(input);
  }
  known_[node] = result;
  return result;
}

}  // namespace cachectl::model
