#include "model/cuts.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>

#include "model/graph_parts.h"
#include "model/program.h"

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

bool is_tensor(const jit::Value* value) {
  return value->type()->isSubtypeOf(*c10::TensorType::get());
}

// What a size is made of: a constant, or a multiple of the number of rows.
bool explain(const std::vector<std::int64_t>& numbers, const std::vector<Observation>& seen,
             Rebuilt::Part& part) {
  bool constant = true, multiple = true;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    constant = constant && numbers[i] == numbers[0];
    multiple = multiple && numbers[i] * seen[0].rows == numbers[0] * seen[i].rows;
  }
  if (multiple && numbers[0] % seen[0].rows != 0) multiple = false;
  if (constant) {
    part = {numbers[0], 0};
  } else if (multiple) {
    part = {0, numbers[0] / seen[0].rows};
  }
  return constant || multiple;
}

bool rebuild(jit::Value* value, const std::vector<Observation>& seen, ShapeOnly& shape_only,
             Rebuilt& rebuilt) {
  if (!shape_only(value)) return false;
  std::vector<const Observation::Entry*> entries;
  for (const Observation& observation : seen) {
    const auto entry = observation.entries.find(value);
    if (entry == observation.entries.end() || !entry->second.is_number) return false;
    entries.push_back(&entry->second);
    if (entries.back()->numbers.size() != entries[0]->numbers.size()) return false;
  }
  // A bool has no arithmetic to rebuild it from rows.
  if (value->type()->kind() == c10::TypeKind::BoolType) return false;
  rebuilt.value = value;
  rebuilt.parts.resize(entries[0]->numbers.size());
  for (std::size_t k = 0; k < rebuilt.parts.size(); ++k) {
    std::vector<std::int64_t> numbers;
    numbers.reserve(entries.size());
    for (const auto* entry : entries) numbers.push_back(entry->numbers[k]);
    if (!explain(numbers, seen, rebuilt.parts[k])) return false;
  }
  return true;
}

bool has_rows_first(const std::vector<Observation>& seen, const jit::Value* value) {
  for (const Observation& observation : seen) {
    const auto entry = observation.entries.find(value);
    if (entry == observation.entries.end() || !entry->second.is_tensor) return false;
    const auto& sizes = entry->second.numbers;
    if (!at::isFloatingType(entry->second.dtype)) return false;
    if (sizes.size() < 2 || sizes[0] != observation.rows) return false;
  }
  return true;
}

}  // namespace

Dependencies::Dependencies(const GraphPtr& graph) : graph_(graph) {
  for (jit::Node* node : graph->nodes()) {
    if (node->kind() == jit::prim::Constant) continue;
    for (const jit::Value* output : node->outputs()) producers_[output] = nodes_.size();
    nodes_.push_back(node);
  }
  // Operations that still write in place after freezing fix the order of everything.
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (writes(nodes_[i])) last_write_ = static_cast<std::int64_t>(i);
  }
  const bool ordered = last_write_ >= 0;
  uses_.resize(nodes_.size());
  behind_.resize(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    uses_[i] = outside_uses(nodes_[i]);
    auto& mine = behind_[i];
    mine.assign(nodes_.size(), false);
    mine[i] = true;
    if (ordered) std::fill(mine.begin(), mine.begin() + static_cast<std::ptrdiff_t>(i), true);
    for (const jit::Value* value : uses_[i]) {
      const std::int64_t from = producer(value);
      if (from < 0) continue;
      const auto& theirs = behind_[static_cast<std::size_t>(from)];
      for (std::size_t j = 0; j < nodes_.size(); ++j) {
        if (theirs[j]) mine[j] = true;
      }
    }
  }
}

std::int64_t Dependencies::producer(const jit::Value* value) const {
  const auto found = producers_.find(value);
  return found == producers_.end() ? -1 : static_cast<std::int64_t>(found->second);
}

std::int64_t Dependencies::last_node() const {
  return std::max(producer(graph_->outputs().at(0)), last_write_);
}

Observation observe(const Dependencies& dependencies, const Tensors& inputs) {
  GraphPtr copy = std::make_shared<jit::Graph>();
  std::map<const jit::Value*, jit::Value*> mapped;
  const auto lookup = [&](jit::Value* value) -> jit::Value* {
    const auto found = mapped.find(value);
    if (found != mapped.end()) return found->second;
    jit::Node* constant = copy->createClone(value->node(), [](jit::Value* v) { return v; });
    copy->prependNode(constant);
    return mapped[value] = constant->output();
  };
  for (jit::Value* input : dependencies.graph()->inputs()) {
    mapped[input] = copy->addInput()->setType(input->type());
  }
  std::vector<const jit::Value*> watched;
  for (jit::Node* node : dependencies.nodes()) {
    jit::Node* clone = copy->insertNode(copy->createClone(node, lookup));
    for (std::size_t i = 0; i < node->outputs().size(); ++i) {
      mapped[node->outputs()[i]] = clone->outputs()[i];
      copy->registerOutput(clone->outputs()[i]);
      watched.push_back(node->outputs()[i]);
    }
  }
  const std::vector<c10::IValue> values = Program(copy).run_values({inputs.begin(), inputs.end()});
  Observation seen;
  seen.rows = inputs.at(0).size(0);
  for (std::size_t i = 0; i < watched.size(); ++i) {
    Observation::Entry entry;
    const c10::IValue& value = values[i];
    if (value.isTensor() && value.toTensor().defined()) {
      const at::Tensor& tensor = value.toTensor();
      entry.dtype = tensor.scalar_type();
      if (tensor.dim() == 0 && at::isIntegralType(entry.dtype, false)) {
        entry.is_number = true;
        entry.numbers = {tensor.item().toLong()};
      } else {
        entry.is_tensor = true;
        entry.numbers = tensor.sizes().vec();
      }
    } else if (value.isBool()) {
      entry.is_number = true;
      entry.numbers = {value.toBool() ? 1 : 0};
    } else if (value.isInt()) {
      entry.is_number = true;
      entry.numbers = {value.toInt()};
    } else if (value.isIntList()) {
      entry.is_number = true;
      entry.numbers = value.toIntVector();
    } else {
      continue;
    }
    seen.entries[watched[i]] = std::move(entry);
  }
  return seen;
}

std::vector<Cut> find_cuts(const Dependencies& dependencies, const std::vector<Observation>& seen) {
  std::vector<Cut> cuts;
  const std::int64_t last = dependencies.last_node();
  if (last < 0) return cuts;
  jit::Value* const result = dependencies.graph()->outputs().at(0);
  const std::int64_t result_node = dependencies.producer(result);
  const auto& nodes = dependencies.nodes();
  const auto& needed = dependencies.behind(static_cast<std::size_t>(last));
  ShapeOnly shape_only(dependencies, seen);
  // What every node gives that the rest could rebuild instead of computing it.
  std::map<const jit::Value*, Rebuilt> known;
  std::vector<bool> rebuildable(nodes.size(), false);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    bool all = !nodes[i]->outputs().empty();
    for (jit::Value* output : nodes[i]->outputs()) {
      Rebuilt rebuilt;
      if (rebuild(output, seen, shape_only, rebuilt)) {
        known.emplace(output, std::move(rebuilt));
      } else {
        all = false;
      }
    }
    rebuildable[i] = all;
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!needed[i] || static_cast<std::int64_t>(i) == last) continue;
    if (nodes[i]->outputs().size() != 1) continue;
    jit::Value* value = nodes[i]->output();
    if (!is_tensor(value) || !has_rows_first(seen, value)) continue;
    const auto& before = dependencies.behind(i);
    std::set<jit::Value*> crossing;
    for (std::size_t j = 0; j < nodes.size(); ++j) {
      if (!needed[j] || before[j] || rebuildable[j]) continue;
      for (jit::Value* used : dependencies.uses(j)) {
        const std::int64_t from = dependencies.producer(used);
        const bool is_before = from < 0 || before[static_cast<std::size_t>(from)];
        if (is_before || rebuildable[static_cast<std::size_t>(from)]) crossing.insert(used);
      }
    }
    // What comes behind the cut may only write to an output that is there before it.
    const bool is_made = result_node < 0 || before[static_cast<std::size_t>(result_node)];
    if (is_made && result != value) crossing.insert(result);
    Cut cut{value, i, {}};
    bool alone = crossing.count(value) != 0;
    for (jit::Value* used : crossing) {
      if (!alone) break;
      if (used == value) continue;
      const auto found = known.find(used);
      alone = found != known.end();
      if (alone) cut.rebuilt.push_back(found->second);
    }
    if (!alone) continue;
    std::sort(cut.rebuilt.begin(), cut.rebuilt.end(), [](const Rebuilt& a, const Rebuilt& b) {
      return a.value->unique() < b.value->unique();
    });
    cuts.push_back(std::move(cut));
  }
  // In order of depth: of two cuts one lies behind the other.
  std::stable_sort(cuts.begin(), cuts.end(), [&](const Cut& a, const Cut& b) {
    return a.node != b.node && dependencies.behind(b.node)[a.node];
  });
  return cuts;
}

GraphPtr extract(const Dependencies& dependencies, const Cut* from, const Cut* to) {
  auto part = std::make_shared<jit::Graph>();
  ValueMap mapped;
  jit::Value* entry = nullptr;
  if (from) {
    entry = part->addInput()->setType(c10::TensorType::get());
    mapped[from->value] = entry;
  } else {
    for (jit::Value* input : dependencies.graph()->inputs()) {
      mapped[input] = part->addInput()->setType(c10::TensorType::get());
    }
  }
  const auto lookup = [&](jit::Value* value) -> jit::Value* {
    return mapped_or_constant(value, mapped, *part);
  };
  if (from && !from->rebuilt.empty()) {
    jit::Value* rows = part->insert(jit::aten::size, {entry, part->insertConstant(0)});
    const auto number = [&](const Rebuilt::Part& p) -> jit::Value* {
      if (p.factor == 0) return part->insertConstant(p.constant);
      if (p.factor == 1) return rows;
      return part->insert(jit::aten::mul, {rows, part->insertConstant(p.factor)});
    };
    for (const Rebuilt& rebuilt : from->rebuilt) {
      if (rebuilt.value->type()->kind() == c10::TypeKind::ListType) {
        std::vector<jit::Value*> parts;
        for (const auto& p : rebuilt.parts) parts.push_back(number(p));
        mapped[rebuilt.value] =
            part->insertNode(part->createList(c10::IntType::get(), parts))->output();
      } else if (is_tensor(rebuilt.value)) {
        jit::Node* scalar = part->create(jit::prim::NumToTensor, {number(rebuilt.parts[0])});
        mapped[rebuilt.value] = part->insertNode(scalar)->output();
      } else {
        mapped[rebuilt.value] = number(rebuilt.parts[0]);
      }
    }
  }
  jit::Value* result = to ? to->value : dependencies.graph()->outputs().at(0);
  const std::int64_t last = to ? dependencies.producer(result) : dependencies.last_node();
  if (last >= 0) {
    const auto& wanted = dependencies.behind(static_cast<std::size_t>(last));
    for (std::size_t i = 0; i < dependencies.nodes().size(); ++i) {
      if (!wanted[i] || (from && dependencies.behind(from->node)[i])) continue;
      jit::Node* node = dependencies.nodes()[i];
      const auto have = [&](const jit::Value* value) {
        return is_constant(value) || mapped.count(value) != 0;
      };
      const auto& outputs = node->outputs();
      if (!outputs.empty() && std::all_of(outputs.begin(), outputs.end(), have))
        continue;  // rebuilt
      // What only served a rebuilt size is not needed here; lint() finds what is.
      const auto& uses = dependencies.uses(i);
      if (!std::all_of(uses.begin(), uses.end(), have)) continue;
      jit::Node* clone = part->insertNode(part->createClone(node, lookup));
      for (std::size_t k = 0; k < node->outputs().size(); ++k) {
        if (!have(node->outputs()[k])) mapped[node->outputs()[k]] = clone->outputs()[k];
      }
    }
  }
  part->registerOutput(lookup(result));
  jit::EliminateDeadCode(part);
  part->lint();
  return part;
}

}  // namespace cachectl::model
