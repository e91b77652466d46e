#include "model/program.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/runtime/interpreter.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "model/fusion.h"
#include "model/graph_parts.h"
#include "model/image_layers.h"

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

using Slots = std::vector<c10::IValue>;

// A convolution between slots.
struct Fused {
  std::shared_ptr<const Convolution> convolution;
  std::vector<std::size_t> inputs;  // x, then what is added
  std::size_t output = 0;

  void run(Slots& slots) const {
    const at::Tensor other = inputs.size() > 1 ? slots[inputs[1]].toTensor() : at::Tensor();
    slots[output] = convolution->run(slots[inputs[0]].toTensor(), other);
  }
};

// Either convolutions in a row, or a stretch of other operations, for LibTorch's interpreter.
struct Step {
  std::vector<Fused> convolutions;
  std::optional<ImageLayers> layers;  // the same, together
  std::optional<jit::Code> code;
  std::vector<std::size_t> inputs, outputs;  // slots
  std::vector<std::size_t> last_uses;        // slots that nobody needs behind this step

  void run(Slots& slots) const {
    if (code) {
      jit::Stack stack;
      for (const std::size_t slot : inputs) stack.push_back(slots[slot]);
      release(slots);
      jit::InterpreterState(*code).run(stack);
      for (std::size_t i = 0; i < outputs.size(); ++i) slots[outputs[i]] = std::move(stack[i]);
      return;
    }
    Tensors given;
    for (const std::size_t slot : inputs) given.push_back(slots[slot].toTensor());
    if (auto results = layers->run(given)) {
      for (std::size_t i = 0; i < outputs.size(); ++i) slots[outputs[i]] = std::move((*results)[i]);
    } else {
      for (const Fused& fused : convolutions) fused.run(slots);
    }
    release(slots);
  }
  void release(Slots& slots) const {
    for (const std::size_t slot : last_uses) slots[slot] = c10::IValue();
  }
};

// A graph's nodes as convolutions and the stretches between them.
class Plan {
 public:
  explicit Plan(const GraphPtr& graph) : graph_(graph) {
    for (jit::Value* input : graph->inputs()) slot_of(input);
    inputs_ = slots_.size();
    split();
    if (!fused_any_) return;
    find_last_positions();
    for (auto item = items_.begin(); item != items_.end();) {
      if (!item->convolution) {
        steps_.push_back(make(*item++));
        continue;
      }
      const auto first = item;
      while (item != items_.end() && item->convolution) ++item;
      steps_.push_back(make(first, item));
    }
    result_ = slot_of(graph->outputs().at(0));
    mark_last_uses();
  }
  bool fused_any() const { return fused_any_; }
  std::vector<Step> take_steps() { return std::move(steps_); }
  std::size_t slot_count() const { return slots_.size(); }
  std::size_t result() const { return result_; }

 private:
  struct Item {
    std::optional<FusedConvolution> convolution;
    std::vector<jit::Node*> nodes;
  };

  std::size_t slot_of(const jit::Value* value) {
    return slots_.emplace(value, slots_.size()).first->second;
  }

  void split() {
    std::map<const jit::Node*, FusedConvolution> ends;  // by their last node
    std::set<const jit::Node*> swallowed;
    for (jit::Node* node : graph_->nodes()) {
      auto match = match_convolution(node, swallowed);
      if (!match) continue;
      // Its place is that of its last node, where all it needs is there.
      for (const jit::Node* part : match->nodes) swallowed.insert(part);
      const jit::Node* last = match->nodes.back();
      ends.emplace(last, std::move(*match));
      fused_any_ = true;
    }
    for (jit::Node* node : graph_->nodes()) {
      if (node->kind() == jit::prim::Constant) continue;
      const auto end = ends.find(node);
      if (end != ends.end()) {
        items_.push_back({std::move(end->second), {}});
      } else if (swallowed.count(node) == 0) {
        if (items_.empty() || items_.back().convolution) items_.push_back({std::nullopt, {}});
        items_.back().nodes.push_back(node);
      }
    }
  }

  std::vector<jit::Value*> needs(const Item& item) const {
    if (item.convolution) {
      std::vector<jit::Value*> values = {item.convolution->input};
      if (item.convolution->other) values.push_back(item.convolution->other);
      return values;
    }
    std::vector<jit::Value*> values;
    std::set<const jit::Value*> seen;
    for (jit::Node* node : item.nodes) {
      for (jit::Value* output : node->outputs()) seen.insert(output);
    }
    for (jit::Node* node : item.nodes) {
      for (jit::Value* value : outside_uses(node)) {
        if (seen.insert(value).second) values.push_back(value);
      }
    }
    return values;
  }

  void find_last_positions() {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      for (const jit::Value* value : needs(items_[i])) last_use_[value] = i;
    }
    last_use_[graph_->outputs().at(0)] = items_.size();
  }

  // Convolutions in a row.
  Step make(std::vector<Item>::const_iterator first, std::vector<Item>::const_iterator end) {
    Step step;
    std::vector<const jit::Value*> made;
    for (auto item = first; item != end; ++item) {
      Fused fused{std::make_shared<const Convolution>(item->convolution->spec), {}, 0};
      for (const jit::Value* value : needs(*item)) {
        fused.inputs.push_back(slot_of(value));
        const bool inside = std::find(made.begin(), made.end(), value) != made.end();
        if (!inside && std::find(step.inputs.begin(), step.inputs.end(), fused.inputs.back()) ==
                           step.inputs.end()) {
          step.inputs.push_back(fused.inputs.back());
        }
      }
      made.push_back(item->convolution->output);
      fused.output = slot_of(made.back());
      step.convolutions.push_back(std::move(fused));
    }
    const auto behind = static_cast<std::size_t>(end - items_.cbegin());
    for (const jit::Value* value : made) {
      const auto last = last_use_.find(value);
      if (last != last_use_.end() && last->second >= behind) step.outputs.push_back(slot_of(value));
    }
    step.layers.emplace(layers_of(step));
    return step;
  }

  // The step's convolutions, their slots numbered anew.
  static ImageLayers layers_of(const Step& step) {
    std::map<std::size_t, std::size_t> numbers;
    for (const std::size_t slot : step.inputs) numbers.emplace(slot, numbers.size());
    std::vector<ImageLayer> layers;
    for (const Fused& fused : step.convolutions) {
      ImageLayer layer;
      layer.convolution = fused.convolution;
      layer.input = numbers.at(fused.inputs[0]);
      if (fused.inputs.size() > 1) layer.other = numbers.at(fused.inputs[1]);
      layer.output = numbers.emplace(fused.output, numbers.size()).first->second;
      layers.push_back(std::move(layer));
    }
    std::vector<std::size_t> outputs;
    for (const std::size_t slot : step.outputs) outputs.push_back(numbers.at(slot));
    return ImageLayers(std::move(layers), step.inputs.size(), std::move(outputs));
  }

  Step make(const Item& item) {
    Step step;
    for (const jit::Value* value : needs(item)) step.inputs.push_back(slot_of(value));
    const std::size_t place = static_cast<std::size_t>(&item - items_.data());
    std::vector<jit::Value*> outputs;
    for (jit::Node* node : item.nodes) {
      for (jit::Value* output : node->outputs()) {
        const auto last = last_use_.find(output);
        if (last != last_use_.end() && last->second > place) outputs.push_back(output);
      }
    }
    step.code.emplace(subgraph(item.nodes, needs(item), outputs), "part");
    for (const jit::Value* value : outputs) step.outputs.push_back(slot_of(value));
    return step;
  }

  void mark_last_uses() {
    std::set<std::size_t> later = {result_};
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      for (const std::size_t slot : step->inputs) {
        if (later.insert(slot).second) step->last_uses.push_back(slot);
      }
    }
  }

  GraphPtr graph_;
  std::map<const jit::Value*, std::size_t> slots_;
  std::size_t inputs_ = 0, result_ = 0;
  std::vector<Item> items_;
  std::map<const jit::Value*, std::size_t> last_use_;
  std::vector<Step> steps_;
  bool fused_any_ = false;
};

}  // namespace

struct Program::State {
  GraphPtr graph;
  jit::Code code;
  std::vector<bool> written;  // per input: the graph writes to it or to a view of it
  std::vector<Step> steps;    // empty: the interpreter runs the whole graph
  std::size_t slots = 0, result = 0;
};

Program::Program(const GraphPtr& graph, Kernels kernels)
    : state_(std::make_unique<State>(State{graph, jit::Code(graph, "segment"), {}, {}, 0, 0})) {
  const jit::AliasDb aliases(graph);
  for (const jit::Value* input : graph->inputs()) {
    state_->written.push_back(aliases.hasWriters(input));
  }
  if (kernels != Kernels::kFused || writes_to_tensors(*graph->block())) return;
  Plan plan(graph);
  if (!plan.fused_any()) return;
  state_->steps = plan.take_steps();
  state_->slots = plan.slot_count();
  state_->result = plan.result();
}
Program::~Program() = default;
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;

std::vector<c10::IValue> Program::run_values(std::vector<c10::IValue> inputs) const {
  const c10::NoGradGuard no_grad;
  const at::AutoDispatchBelowADInplaceOrView below;
  TORCH_CHECK(inputs.size() == state_->written.size(), "expected ", state_->written.size(),
              " inputs, not ", inputs.size());
  if (!state_->steps.empty()) {
    inputs.resize(state_->slots);
    for (const Step& step : state_->steps) step.run(inputs);
    return {std::move(inputs[state_->result])};
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (state_->written[i] && inputs[i].isTensor()) inputs[i] = inputs[i].toTensor().clone();
  }
  jit::InterpreterState(state_->code).run(inputs);
  return inputs;
}

at::Tensor Program::run(Tensors inputs) const {
  std::vector<c10::IValue> stack(std::make_move_iterator(inputs.begin()),
                                 std::make_move_iterator(inputs.end()));
  inputs.clear();
  return std::move(run_values(std::move(stack)).at(0)).toTensor();
}

}  // namespace cachectl::model
