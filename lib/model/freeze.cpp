#include "model/freeze.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/passes/common_subexpression_elimination.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/passes/frozen_graph_optimizations.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/loop_unrolling.h>
#include <torch/csrc/jit/passes/lower_tuples.h>
#include <torch/csrc/jit/passes/peephole.h>
#include <torch/csrc/jit/passes/remove_exceptions.h>
#include <torch/csrc/jit/passes/remove_mutation.h>
#include <torch/csrc/jit/passes/shape_analysis.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/print_handler.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "model/graph_parts.h"
#include "model/load_guard.h"

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

// Operations by which a program could touch files; no classifier needs them, and
// folding constants would run them at load.
bool touches_files(const jit::Node& node) {
  static const std::set<std::string> refused = {"aten::from_file", "aten::save", "aten::load",
                                                "aten::_save",     "aten::open", "aten::system"};
  return refused.count(node.kind().toQualString()) != 0;
}

void check_block(const jit::Block& block, const std::string& path, const std::string& method) {
  for (const jit::Node* node : block.nodes()) {
    if (touches_files(*node)) {
      fail(ExitCode::kCorrupt,
           "{}: {}: calls {}, which reads or writes files; a backbone may only compute", path,
           method, node->kind().toQualString());
    }
    for (const jit::Block* inner : node->blocks()) check_block(*inner, path, method);
  }
}

void check_program(const jit::Module& module, const std::string& path) {
  for (const jit::Module& part : module.modules()) {
    for (const jit::Method& method : part.get_methods()) {
      check_block(*method.graph()->block(), path, method.name());
      auto inlined = method.graph()->copy();
      jit::Inline(*inlined);  // free functions, which belong to no module
      check_block(*inlined->block(), path, method.name());
    }
  }
}

bool is_readable(const std::string& path) {
  return std::ifstream(path, std::ios::binary).good();
}

jit::Module read(const FreezeOptions& options) {
  const std::string& path = options.path;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    fail(ExitCode::kCannotOpen, "{}: is a folder; expected a TorchScript file", path);
  }
  if (!is_readable(path)) fail(ExitCode::kCannotOpen, "{}: {}", path, errno_text());
  try {
    refuse_code_at_load(path);
    jit::Module module = jit::load(path, at::Device(options.device));
    check_program(module, path);
    return module;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    std::string hint = "export the model with torch.jit.script or torch.jit.trace, then save";
    const std::string what = error.what();
    if (what.find("constants.pkl") != std::string::npos ||
        what.find("Legacy model format") != std::string::npos) {
      hint = "it may be a state dict or a pickled model: " + hint;
    }
    fail(ExitCode::kCorrupt, "{}: not a TorchScript file that can be read ({}); {}", path,
         first_line(error), hint);
  }
}

// Indices and masks stay what they are.
void to_bfloat16(const jit::Module& module) {
  const auto turn = [](const at::Tensor& tensor) {
    if (at::isFloatingType(tensor.scalar_type())) tensor.set_data(tensor.to(at::kBFloat16));
  };
  for (const at::Tensor& parameter : module.parameters()) turn(parameter);
  for (const at::Tensor& buffer : module.buffers()) turn(buffer);
}

jit::Module freeze(jit::Module module, const FreezeOptions& options) {
  const auto forward = module.find_method("forward");
  if (!forward) {
    fail(ExitCode::kCorrupt, "{}: has no method 'forward', so it can't be run as a classifier",
         options.path);
  }
  try {
    module.eval();
    for (at::Tensor parameter : module.parameters()) parameter.set_requires_grad(false);
    if (options.bfloat16) to_bfloat16(module);
    return jit::freeze_module(module);
  } catch (const std::exception& error) {
    fail(ExitCode::kIncompatible, "{}: can't be frozen for inference: {}", options.path,
         first_line(error));
  }
}

// forward(self, x, ...) becomes a graph of x, ...; arguments that were not given take
// their defaults.
void bind_arguments(const jit::Module& module, jit::Graph& graph, const Tensors& inputs,
                    const std::string& path) {
  const auto arguments = module.get_method("forward").function().getSchema().arguments();
  const std::size_t given = inputs.size() + 1;
  if (given > arguments.size()) {
    fail(ExitCode::kIncompatible, "{}: forward takes {} inputs, but the data set gives {}", path,
         arguments.size() - 1, inputs.size());
  }
  for (std::size_t i = arguments.size(); i > given; --i) {
    const auto& argument = arguments[i - 1];
    if (!argument.default_value()) {
      fail(ExitCode::kIncompatible,
           "{}: forward needs an input '{}', but the data set gives only {}", path, argument.name(),
           inputs.size());
    }
    jit::Value* value = graph.inputs()[i - 1];
    if (value->hasUses()) {
      jit::WithInsertPoint at_start(*graph.nodes().begin());
      value->replaceAllUsesWith(graph.insertConstant(*argument.default_value()));
    }
    graph.eraseInput(i - 1);
  }
  jit::Value* self = graph.inputs()[0];
  if (self->hasUses()) {
    const auto& use = self->uses()[0].user;
    const std::string attribute =
        use->hasAttribute(jit::attr::name) ? use->s(jit::attr::name) : "itself";
    fail(ExitCode::kIncompatible,
         "{}: forward changes the module's own attribute '{}' ({}); a backbone must answer each "
         "input by itself",
         path, attribute, use->kind().toQualString());
  }
  graph.eraseInput(0);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!graph.inputs()[i]->type()->isSubtypeOf(*c10::TensorType::get()) &&
        !graph.inputs()[i]->type()->cast<c10::OptionalType>()) {
      fail(ExitCode::kIncompatible, "{}: forward's input '{}' is a {}; expected a tensor", path,
           arguments[i + 1].name(), graph.inputs()[i]->type()->repr_str());
    }
  }
}

jit::Value* dict_entry(jit::Node* dict, const std::string& key) {
  const auto inputs = dict->inputs();
  for (std::size_t i = 0; i + 1 < inputs.size(); i += 2) {
    const auto name = jit::toIValue(inputs[i]);
    if (name && name->isString() && name->toStringRef() == key) return inputs[i + 1];
  }
  return nullptr;
}

// Which of `count` parts `output` names by its number; -1: none.
std::int64_t number_of(const std::string& output, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (output == std::to_string(i)) return static_cast<std::int64_t>(i);
  }
  return -1;
}

// Of a list or tuple that is computed, or changed after it was made: taken out when it is done.
jit::Value* part_of_result(jit::Graph& graph, jit::Value* result, const std::string& output) {
  constexpr std::size_t kMostParts = 1000;
  jit::WithInsertPoint at_end(graph.return_node());
  if (const auto list = result->type()->cast<c10::ListType>()) {
    if (!list->getElementType()->isSubtypeOf(*c10::TensorType::get())) return nullptr;
    const std::int64_t number = output.empty() ? 0 : number_of(output, kMostParts);
    if (number < 0) return nullptr;
    return graph.insert(jit::Symbol::fromQualString("aten::__getitem__"),
                        {result, graph.insertConstant(number)});
  }
  const auto tuple = result->type()->cast<c10::TupleType>();
  if (!tuple) return nullptr;
  const auto& types = tuple->elements();
  std::int64_t number = output.empty() ? -1 : number_of(output, types.size());
  for (std::size_t i = 0; i < types.size() && number < 0; ++i) {
    const bool is_tensor = types[i]->isSubtypeOf(*c10::TensorType::get());
    const bool named = tuple->schema() && tuple->schema()->arguments()[i].name() == output;
    if (output.empty() ? is_tensor : named) number = static_cast<std::int64_t>(i);
  }
  if (number < 0 ||
      !types[static_cast<std::size_t>(number)]->isSubtypeOf(*c10::TensorType::get())) {
    return nullptr;
  }
  jit::Node* taken = graph.createTupleIndex(result, graph.insertConstant(number),
                                            types[static_cast<std::size_t>(number)]);
  return graph.insertNode(taken)->output();
}

// The graph's result becomes the one tensor that `output` names.
void select_output(jit::Graph& graph, const std::string& output, const std::string& path) {
  if (graph.outputs().size() != 1) return;
  jit::Value* result = graph.outputs()[0];
  if (result->type()->isSubtypeOf(*c10::TensorType::get())) return;
  jit::Node* node = result->node();
  jit::Value* chosen = nullptr;
  // What else uses a list may change it.
  const bool is_list = node->kind() == jit::prim::ListConstruct && result->uses().size() == 1;
  if (node->kind() == jit::prim::TupleConstruct || is_list) {
    const auto parts = node->inputs();
    std::vector<std::string> names;
    if (const auto tuple = result->type()->cast<c10::TupleType>(); tuple && tuple->schema()) {
      for (const auto& field : tuple->schema()->arguments()) names.push_back(field.name());
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool is_tensor = parts[i]->type()->isSubtypeOf(*c10::TensorType::get());
      if (output.empty()
              ? is_tensor
              : output == std::to_string(i) || (i < names.size() && output == names[i])) {
        chosen = parts[i];
        break;
      }
    }
  } else if (node->kind() == jit::prim::DictConstruct && result->uses().size() == 1) {
    if (!output.empty()) {
      chosen = dict_entry(node, output);
    } else {
      for (const char* key : {"logits", "out", "output", "scores", "probabilities"}) {
        if (!chosen) chosen = dict_entry(node, key);
      }
      if (!chosen && node->inputs().size() == 2) chosen = node->inputs()[1];
    }
  } else if (const auto dict = result->type()->cast<c10::DictType>(); dict && !output.empty()) {
    jit::WithInsertPoint at_end(graph.return_node());
    chosen = graph.insert(jit::Symbol::fromQualString("aten::__getitem__"),
                          {result, graph.insertConstant(output)});
  } else {
    chosen = part_of_result(graph, result, output);
  }
  if (!chosen) {
    fail(ExitCode::kIncompatible, "{}: forward returns a {}; {}: name it by backbone.output", path,
         result->type()->repr_str(),
         output.empty() ? "which of its tensors is the answer is not known"
                        : "no tensor in it is called '" + output + "'");
  }
  graph.eraseOutput(0);
  graph.registerOutput(chosen);
}

// Ranks, dtypes and devices of the inputs are facts from here on, so that the
// branches which ask for them can go; sizes stay open.
void decide_branches(GraphPtr& graph, const Tensors& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    graph->inputs()[i]->setType(c10::TensorType::create(inputs[i].scalar_type(), inputs[i].device(),
                                                        inputs[i].dim(), false));
  }
  for (int round = 0; round < 2; ++round) {
    jit::PropagateInputShapes(graph);
    jit::PeepholeOptimize(graph);
    jit::ConstantPropagation(graph);
    jit::EliminateDeadCode(graph);
  }
  jit::EraseShapeInformation(graph);
  for (jit::Value* input : graph->inputs()) input->setType(c10::TensorType::get());
}

// Warnings and prints of the model's author, which would come with every batch.
void remove_messages(jit::Block& block) {
  for (auto it = block.nodes().begin(); it != block.nodes().end();) {
    jit::Node* node = *it++;
    for (jit::Block* inner : node->blocks()) remove_messages(*inner);
    if (node->kind() == jit::aten::warn || node->kind() == jit::prim::Print) node->destroy();
  }
}

void make_functional(GraphPtr& graph) {
  remove_messages(*graph->block());
  jit::LowerSimpleTuples(graph);
  jit::UnrollConstantLoops(graph);
  jit::ConstantPropagation(graph);
  jit::EliminateExceptions(graph);
  jit::PeepholeOptimize(graph);
  jit::RemoveListMutation(graph);
  jit::RemoveTensorMutation(graph);
  jit::ConstantPropagation(graph);
  jit::EliminateDeadCode(graph);
}

// A view wants the values to lie as the shape says, which they do not where a convolution left
// them channels last. Where nothing writes, a copy serves as well as a view.
void reshape_instead_of_view(jit::Block& block) {
  for (auto it = block.nodes().begin(); it != block.nodes().end();) {
    jit::Node* node = *it++;
    for (jit::Block* inner : node->blocks()) reshape_instead_of_view(*inner);
    const bool to_shape = node->kind() == jit::aten::view &&
                          node->input(1)->type()->kind() == c10::TypeKind::ListType;
    if (!to_shape) continue;
    node->replaceWithNewSymbol(jit::aten::reshape);
    node->destroy();
  }
}

void add_tensors(const c10::IValue& value, Tensors& found) {
  if (value.isTensor()) {
    found.push_back(value.toTensor());
  } else if (value.isList()) {
    for (const c10::IValue& part : value.toListRef()) add_tensors(part, found);
  } else if (value.isTuple()) {
    for (const c10::IValue& part : value.toTupleRef().elements()) add_tensors(part, found);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) add_tensors(entry.value(), found);
  }
}

// What a forward prints is not for the results on stdout.
class WithoutPrints {
 public:
  WithoutPrints() : before_(jit::getPrintHandler()) {
    jit::setPrintHandler([](const std::string&) {});
  }
  ~WithoutPrints() { jit::setPrintHandler(before_); }
  WithoutPrints(const WithoutPrints&) = delete;
  WithoutPrints& operator=(const WithoutPrints&) = delete;

 private:
  jit::PrintHandler before_;
};

Tensors run_original(jit::Module module, const Tensors& inputs) {
  const WithoutPrints quiet;
  const jit::GraphOptimizerEnabledGuard as_written(false);
  std::vector<c10::IValue> arguments(inputs.begin(), inputs.end());
  Tensors found;
  add_tensors(module.forward(std::move(arguments)), found);
  return found;
}

}  // namespace

std::string first_line(const std::exception& error) {
  // TorchScript errors bring source and frames; the reason is the last line that says "Error:".
  const std::string what = error.what();
  std::string reason;
  for (const auto& line : text::split(what, '\n')) {
    const std::string words = text::trim(line);
    if (words.empty() || words.rfind("Exception raised from", 0) == 0) break;
    if (reason.empty() || words.find("Error: ") != std::string::npos) reason = words;
  }
  return reason.empty() ? what.substr(0, what.find('\n')) : reason;
}

Frozen load_frozen(const FreezeOptions& options, const Tensors& inputs, const std::string& output) {
  using Units = std::vector<std::shared_ptr<const jit::CompilationUnit>>;
  const auto functions = std::make_shared<Units>();
  const jit::Module loaded = read(options);
  functions->push_back(loaded._ivalue()->compilation_unit());
  const jit::Module frozen = freeze(loaded, options);
  functions->push_back(frozen._ivalue()->compilation_unit());
  GraphPtr graph = frozen.get_method("forward").graph()->copy();
  bind_arguments(frozen, *graph, inputs, options.path);
  try {
    make_functional(graph);
    select_output(*graph, output, options.path);
    jit::EliminateDeadCode(graph);
    decide_branches(graph, inputs);
    make_functional(graph);
    jit::OptimizeFrozenGraph(graph);
    jit::EliminateCommonSubexpression(graph);
    jit::EliminateDeadCode(graph);
    if (!writes_to_tensors(*graph->block())) reshape_instead_of_view(*graph->block());
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(ExitCode::kIncompatible, "{}: its graph can't be prepared for these inputs: {}",
         options.path, first_line(error));
  }
  return {graph, functions, [loaded](const Tensors& given) { return run_original(loaded, given); }};
}

}  // namespace cachectl::model
