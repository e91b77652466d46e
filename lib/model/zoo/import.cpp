#include "zoo/import.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/log.h"
#include "base/table.h"
#include "base/text.h"
#include "zoo/backbone_file.h"
#include "zoo/evaluate.h"
#include "zoo/state_dict.h"
#include "zoo/zoo.h"

namespace cachectl::zoo {

namespace {

constexpr std::int64_t kCheckBatch = 128;

// The accuracy does not depend on folding; the frozen copy is merely faster.
Accuracy check(const torch::jit::Module& module, const ImportOptions& options) {
  const LabelledData data = open_labelled(options.data, options.common);
  const at::Device device(options.common.device);
  torch::jit::Module copy = module.clone();
  copy.to(device);
  copy.eval();
  torch::jit::Module frozen =
      torch::jit::freeze(copy, std::vector<std::string>{"training"}, /*optimize_numerics=*/true);
  return measure_accuracy(frozen, data, data.indices, device, kCheckBatch, options.common,
                          "accuracy on " + data.samples->name());
}

}  // namespace

void describe(OptionTable& table, ImportOptions& options) {
  table.input("weights", options.weights, "state dict: .safetensors, or .pth of torch.save")
      .required();
  table.output("out", options.out, "TorchScript file to write").required();
  table.value("arch", &options.arch, "architecture; cachectl-backbone list shows them")
      .choices(architecture_names())
      .required()
      .only_flag();
  table.value("stem", &options.stem, "cifar, imagenet; default: told from the weights").only_flag();
  table.value("shortcut", &options.shortcut, "pad, conv; default: told from the weights")
      .only_flag();
  table.value("classes", &options.classes, "0: told from the weights").range(0, 1e7).only_flag();
  table.value("input_size", &options.input_size, "pixels a side; 0: told from the weights")
      .range(0, 4096)
      .only_flag();
  table.value("check", &options.check, "measure the accuracy on the labelled samples of `data`")
      .only_flag();
  data::describe(table, options.data);
}

ImportResult import_weights(const ImportOptions& options) {
  Spec open;
  open.arch = options.arch;
  open.stem = options.stem;
  open.shortcut = options.shortcut;
  open.classes = options.classes;
  open.input_size = options.input_size;
  const StateDict tensors = read_state_dict(options.weights);
  const Spec spec = completed(guess_from_weights(open, tensors, options.weights));
  torch::jit::Module module = build_unfilled(spec);
  fill(module, tensors, options.weights);
  module.eval();

  ImportResult result;
  result.parameters = parameter_count(module);
  result.classes = spec.classes;
  result.input_size = spec.input_size;
  Record record = record_of(spec, options.common);
  record.mean = options.data.mean;
  record.std = options.data.std;
  record.weights = fmt::format("imported from {}, SHA-256 {}",
                               std::filesystem::path(options.weights).filename().string(),
                               sha256_of_file(options.weights));
  if (options.check) {
    const Accuracy accuracy = check(module, options);
    result.samples = accuracy.samples;
    result.accuracy = record.accuracy = accuracy.share();
  }
  save_backbone(module, record, options.out);
  return result;
}

void run_import(const ImportOptions& options) {
  const ImportResult result = import_weights(options);
  if (options.common.json) {
    nlohmann::ordered_json json = {{"out", options.out},
                                   {"architecture", options.arch},
                                   {"classes", result.classes},
                                   {"parameters", result.parameters},
                                   {"input", {3, result.input_size, result.input_size}}};
    if (result.samples > 0) {
      json["samples"] = result.samples;
      json["accuracy"] = result.accuracy;
    }
    std::cout << json.dump(2) << '\n';
    return;
  }
  Table table({"backbone", "input", "classes", "parameters", "accuracy"});
  table.add({options.out, text::shape({3, result.input_size, result.input_size}),
             std::to_string(result.classes), text::count(static_cast<double>(result.parameters)),
             result.samples > 0
                 ? fmt::format("{:.2f} % of {}", 100 * result.accuracy, result.samples)
                 : "not measured (--check)"});
  table.print(std::cout);
}

}  // namespace cachectl::zoo
