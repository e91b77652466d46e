#include "zoo/state_dict.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace cachectl::zoo {

namespace {

const char kBatchCount[] = "num_batches_tracked";

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

StateDict without_wrapper_prefix(const StateDict& tensors) {
  const std::string prefix = "module.";
  StateDict result;
  for (const auto& [name, tensor] : tensors) {
    if (name.compare(0, prefix.size(), prefix) != 0) return tensors;
    result.emplace(name.substr(prefix.size()), tensor);
  }
  return result;
}

// "2 missing: a, b".
void note(std::vector<std::string>& faults, const std::vector<std::string>& names,
          const std::string& what) {
  if (names.empty()) return;
  faults.push_back(fmt::format("{} {}: {}", names.size(), what, text::join(names, ", ")));
}

bool is_finite(const at::Tensor& tensor) {
  return !tensor.is_floating_point() || at::isfinite(tensor).all().item<bool>();
}

// Size of dimension `dim` of the first of these tensors that is there, or 0.
std::int64_t size_in(const StateDict& tensors, const std::vector<std::string>& names,
                     std::int64_t dim) {
  for (const std::string& name : names) {
    const auto found = tensors.find(name);
    if (found != tensors.end() && found->second.dim() > dim) return found->second.size(dim);
  }
  return 0;
}

}  // namespace

StateDict state_of(const torch::jit::Module& module) {
  StateDict state;
  for (const auto& parameter : module.named_parameters()) {
    state.emplace(parameter.name, parameter.value);
  }
  for (const auto& buffer : module.named_buffers()) state.emplace(buffer.name, buffer.value);
  return state;
}

Spec guess_from_weights(const Spec& open, const StateDict& raw, const std::string& where) {
  const StateDict tensors = without_wrapper_prefix(raw);
  const Architecture& architecture = find_architecture(open.arch);
  Spec spec = open;
  if (architecture.has_shortcuts && spec.shortcut.empty()) {
    spec.shortcut = tensors.count("fc.weight") != 0 ? "conv" : "pad";
  }
  if (spec.classes == 0) {
    spec.classes = size_in(tensors,
                           {"fc.weight", "linear.weight", "heads.head.weight",
                            "classifier.6.weight", "classifier.2.weight", "classifier.1.weight"},
                           0);
    if (spec.arch == "mobilefacenet") spec.classes = size_in(tensors, {"classifier.2.weight"}, 0);
    if (spec.classes == 0) {
      fail(ExitCode::kIncompatible, "{}: no last layer of {} in it to tell the classes from: {}",
           where, open.arch, "give --classes to see which tensors are missing");
    }
  }
  if (spec.arch == "resnet18" || spec.arch == "resnet50") {
    const std::int64_t kernel = size_in(tensors, {"conv1.weight"}, 3);
    if (spec.stem.empty() && kernel == 3) spec.stem = "cifar";
    if (spec.stem.empty() && kernel == 7) spec.stem = "imagenet";
  }
  if (spec.stem == "cifar" && spec.input_size == 0) spec.input_size = 32;
  if (spec.input_size == 0 && spec.arch == "vit_small") {
    spec.input_size = 8 * size_in(tensors, {"conv_proj.weight"}, 3);
  }
  if (spec.input_size == 0 && spec.arch == "mobilefacenet") {
    spec.input_size = 16 * size_in(tensors, {"conv_6_dw.conv.weight"}, 3);
  }
  return spec;
}

void fill(torch::jit::Module& module, const StateDict& raw, const std::string& where) {
  const c10::NoGradGuard no_gradients;
  const StateDict tensors = without_wrapper_prefix(raw);
  const StateDict state = state_of(module);
  std::vector<std::string> missing, extra, misshaped, infinite;
  for (const auto& [name, target] : state) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (!ends_with(name, kBatchCount)) missing.push_back(name);
    } else if (found->second.sizes() != target.sizes()) {
      misshaped.push_back(fmt::format("{} ({}; expected {})", name,
                                      text::shape(found->second.sizes().vec()),
                                      text::shape(target.sizes().vec())));
    } else if (!is_finite(found->second)) {
      infinite.push_back(name);
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (state.count(name) == 0) extra.push_back(name);
  }
  std::vector<std::string> faults;
  note(faults, missing, "missing");
  note(faults, extra, "not of this architecture");
  note(faults, misshaped, "of another shape");
  note(faults, infinite, "with values that are infinite or no number");
  if (!faults.empty()) {
    fail(ExitCode::kIncompatible, "{}: the weights don't fit: {}", where, text::join(faults, "; "));
  }
  for (const auto& [name, target] : state) {
    const auto found = tensors.find(name);
    if (found != tensors.end()) at::Tensor(target).copy_(found->second);
  }
}

}  // namespace cachectl::zoo
