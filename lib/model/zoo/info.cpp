#include "zoo/info.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/table.h"
#include "base/text.h"
#include "zoo/backbone_file.h"
#include "zoo/zoo.h"

namespace cachectl::zoo {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepest = 2;  // levels of modules that are shown

std::string stems_and_shortcuts(const Architecture& architecture) {
  if (architecture.has_stems) return "--stem cifar|imagenet";
  if (architecture.has_shortcuts) return "--shortcut pad|conv";
  return "";
}

void collect_modules(const torch::jit::Module& module, const std::string& prefix, int depth,
                     std::vector<ModuleInfo>& into) {
  for (const auto& child : module.named_children()) {
    const std::int64_t count = parameter_count(child.value);
    const std::string name = prefix + child.name;
    const auto type = child.value.type()->name();
    into.push_back({name, type ? type->name() : "", count});
    if (depth < kDeepest) collect_modules(child.value, name + ".", depth + 1, into);
  }
}

// Of one sample: the output's shape, or nothing where forward refuses the input.
std::vector<std::int64_t> try_forward(torch::jit::Module& module,
                                      const std::vector<std::int64_t>& input) {
  const c10::NoGradGuard no_gradients;
  std::vector<std::int64_t> batch = {1};
  batch.insert(batch.end(), input.begin(), input.end());
  try {
    const c10::IValue output = module.forward({at::zeros(batch)});
    if (!output.isTensor() || output.toTensor().dim() < 1) return {};
    return output.toTensor().sizes().slice(1).vec();
  } catch (const std::exception&) {  // whatever this shape is to that model
    return {};
  }
}

// Inputs worth trying: what the record says, then the usual sides with the channels of
// the first kernel, or the width of the first matrix.
std::vector<std::vector<std::int64_t>> guesses(const torch::jit::Module& module,
                                               const std::string& record) {
  std::vector<std::vector<std::int64_t>> result;
  if (!record.empty()) {
    const Record ours = Record::from_json(record, "record");
    result.push_back({3, ours.spec.input_size, ours.spec.input_size});
  }
  for (const at::Tensor& parameter : module.parameters()) {
    if (parameter.dim() == 4) {
      for (const std::int64_t side : {32, 224, 112, 28, 64, 96, 299}) {
        result.push_back({parameter.size(1), side, side});
      }
      break;
    }
    if (parameter.dim() == 2) {
      result.push_back({parameter.size(1)});
      break;
    }
  }
  return result;
}

Json to_json(const std::string& file, const BackboneInfo& info) {
  Json json = {{"file", file},
               {"sha256", info.hash},
               {"bytes", info.file_bytes},
               {"parameters", info.parameters},
               {"parameter_bytes", info.parameter_bytes},
               {"input", info.input},
               {"output", info.output}};
  json["modules"] = Json::array();
  for (const ModuleInfo& module : info.modules) {
    json["modules"].push_back(
        {{"name", module.name}, {"type", module.type}, {"parameters", module.parameters}});
  }
  if (!info.record.empty()) json["record"] = Json::parse(info.record);
  return json;
}

void print_record(const Record& record) {
  Table table({"made by cachectl-backbone", ""});
  table.add({"architecture", record.spec.arch});
  table.add({"weights", record.weights});
  if (record.accuracy >= 0) {
    table.add({"accuracy", fmt::format("{:.2f} %", 100 * record.accuracy)});
  }
  if (!record.mean.empty()) table.add({"mean", fmt::format("{}", fmt::join(record.mean, " "))});
  if (!record.std.empty()) table.add({"std", fmt::format("{}", fmt::join(record.std, " "))});
  if (!record.class_names.empty()) {
    table.add({"class names", text::join(record.class_names, ", ")});
  }
  if (!record.created.empty()) table.add({"created", record.created});
  if (!record.command.empty()) table.add({"command", record.command});
  table.print(std::cout);
}

}  // namespace

void describe(OptionTable& table, ListOptions& options) {
  table.value("classes", &options.classes, "count the parameters for so many classes")
      .range(2, 1e7)
      .only_flag();
}

void run_list(const ListOptions& options) {
  Json json = Json::array();
  Table table({"architecture", "input", "parameters", "options", ""});
  for (const Architecture& architecture : architectures()) {
    Spec spec;
    spec.arch = architecture.name;
    spec.classes = options.classes;
    const std::int64_t parameters = parameter_count(spec);
    const std::int64_t side = architecture.input_size;
    json.push_back({{"name", architecture.name},
                    {"summary", architecture.summary},
                    {"input", {3, side, side}},
                    {"smallest_side", architecture.min_input_size},
                    {"parameters", parameters},
                    {"classes", options.classes}});
    table.add({architecture.name, text::shape({3, side, side}),
               text::count(static_cast<double>(parameters)), stems_and_shortcuts(architecture),
               architecture.summary});
  }
  if (options.common.json) {
    std::cout << json.dump(2) << '\n';
  } else {
    table.print(std::cout);
  }
}

void describe(OptionTable& table, InfoOptions& options) {
  table.input("file", options.file, "TorchScript file").required().positional();
  table.value("input", &options.input, "shape of one input: 3,224,224; default: guessed")
      .range(1, 1e9)
      .only_flag();
}

BackboneInfo backbone_info(const std::string& file, const std::vector<std::int64_t>& input) {
  BackboneInfo info;
  torch::jit::Module module = load_backbone(file, &info.record);
  if (!module.find_method("forward")) {
    fail(ExitCode::kIncompatible, "{}: a TorchScript file without a forward method", file);
  }
  info.hash = sha256_of_file(file);
  info.file_bytes = static_cast<std::int64_t>(std::filesystem::file_size(file));
  for (const at::Tensor& parameter : module.parameters()) {
    info.parameters += parameter.numel();
    info.parameter_bytes += static_cast<std::int64_t>(parameter.nbytes());
  }
  collect_modules(module, "", 1, info.modules);
  if (!info.record.empty()) Record::from_json(info.record, file);
  const auto tries =
      input.empty() ? guesses(module, info.record) : std::vector<std::vector<std::int64_t>>{input};
  for (const auto& shape : tries) {
    info.output = try_forward(module, shape);
    if (info.output.empty()) continue;
    info.input = shape;
    break;
  }
  if (!input.empty() && info.input.empty()) {
    fail(ExitCode::kIncompatible, "{}: forward takes no input of {}", file, text::shape(input));
  }
  return info;
}

void run_info(const InfoOptions& options) {
  const BackboneInfo info = backbone_info(options.file, options.input);
  if (options.common.json) {
    std::cout << to_json(options.file, info).dump(2) << '\n';
    return;
  }
  Table table({"backbone", options.file});
  table.add({"SHA-256", info.hash});
  table.add({"file", text::bytes(static_cast<double>(info.file_bytes))});
  table.add({"parameters", fmt::format("{} in {}", info.parameters,
                                       text::bytes(static_cast<double>(info.parameter_bytes)))});
  table.add({"input", info.input.empty() ? "not guessed: give --input" : text::shape(info.input)});
  table.add({"output", info.input.empty() ? "" : text::shape(info.output)});
  table.print(std::cout);
  if (!info.record.empty()) {
    std::cout << '\n';
    print_record(Record::from_json(info.record, options.file));
  }
  std::cout << '\n';
  Table modules({"module", "type", "parameters"});
  for (const ModuleInfo& module : info.modules) {
    modules.add({module.name, module.type, text::count(static_cast<double>(module.parameters))});
  }
  modules.print(std::cout);
}

}  // namespace cachectl::zoo
