#include "zoo/zoo.h"

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/api/module.h>

#include <functional>
#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "zoo/architectures.h"

namespace cachectl::zoo {

namespace {

struct Entry {
  Architecture architecture;
  std::function<Layer(const Spec&)> describe;
};

Entry cifar(std::string name, std::string summary) {
  return {{std::move(name), std::move(summary), 32, 8, 1, false, true}, cifar_resnet};
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = {
      cifar("resnet8", "ResNet of 8 layers for small images, for demos"),
      cifar("resnet20", "ResNet of 20 layers for small images (He et al. 2016)"),
      cifar("resnet32", "the same with 32 layers"),
      cifar("resnet44", "the same with 44 layers"),
      cifar("resnet56", "the same with 56 layers"),
      cifar("resnet110", "the same with 110 layers"),
      {{"resnet18", "ResNet-18 (He et al. 2016)", 224, 8, 1, true, false}, resnet18},
      {{"resnet50", "ResNet-50 (He et al. 2016)", 224, 8, 1, true, false}, resnet50},
      {{"mobilenet_v2", "MobileNetV2 (Sandler et al. 2018)", 224, 8, 1, true, false}, mobilenet_v2},
      {{"mobilefacenet", "MobileFaceNet with a classifier block (Chen et al. 2018)", 112, 32, 16,
        false, false},
       mobilefacenet},
      {{"efficientnet_b0", "EfficientNet-B0 (Tan and Le 2019)", 224, 8, 1, true, false},
       efficientnet_b0},
      {{"vgg11", "VGG-11 (Simonyan and Zisserman 2015)", 224, 32, 1, false, false}, vgg11},
      {{"vit_small", "vision transformer, 6 blocks of 192 (Dosovitskiy et al. 2021)", 32, 8, 8,
        false, false},
       vit_small},
  };
  return all;
}

const Entry& find_entry(const std::string& name) {
  for (const Entry& entry : entries()) {
    if (entry.architecture.name == name) return entry;
  }
  const std::string near = text::nearest(name, architecture_names());
  fail(ExitCode::kUsage, "no architecture is called '{}'{} (cachectl-backbone list shows them all)",
       name, near.empty() ? "" : ": did you mean '" + near + "'?");
}

std::int64_t count_parameters(const Layer& layer) {
  std::int64_t count = 0;
  for (const TensorSpec& tensor : layer.tensors) {
    if (tensor.is_buffer) continue;
    count += std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1},
                             std::multiplies<>());
  }
  for (const auto& [name, child] : layer.children) count += count_parameters(child);
  return count;
}

void check_choice(const std::string& what, const std::string& value,
                  const std::vector<std::string>& allowed) {
  for (const std::string& name : allowed) {
    if (name == value) return;
  }
  fail(ExitCode::kUsage, "{} '{}': expected {}", what, value, text::join(allowed, " or "));
}

}  // namespace

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> all = [] {
    std::vector<Architecture> result;
    for (const Entry& entry : entries()) result.push_back(entry.architecture);
    return result;
  }();
  return all;
}

std::vector<std::string> architecture_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries()) names.push_back(entry.architecture.name);
  return names;
}

const Architecture& find_architecture(const std::string& name) {
  return find_entry(name).architecture;
}

Spec completed(const Spec& spec) {
  const Architecture& architecture = find_architecture(spec.arch);
  Spec result = spec;
  if (result.classes < 2) fail(ExitCode::kUsage, "{} classes: at least 2 are needed", spec.classes);
  if (result.input_size == 0) result.input_size = architecture.input_size;
  if (result.input_size < architecture.min_input_size ||
      result.input_size % architecture.input_multiple != 0) {
    fail(ExitCode::kUsage, "{} takes no {}x{} images: the side must be at least {}{}", spec.arch,
         spec.input_size, spec.input_size, architecture.min_input_size,
         architecture.input_multiple == 1
             ? ""
             : " and a multiple of " + std::to_string(architecture.input_multiple));
  }
  if (!architecture.has_stems && !spec.stem.empty()) {
    fail(ExitCode::kUsage, "{} has one stem: leave out --stem {}", spec.arch, spec.stem);
  }
  if (!architecture.has_shortcuts && !spec.shortcut.empty()) {
    fail(ExitCode::kUsage, "{} has one kind of shortcut: leave out --shortcut {}", spec.arch,
         spec.shortcut);
  }
  if (architecture.has_stems) {
    if (result.stem.empty()) result.stem = result.input_size <= 64 ? "cifar" : "imagenet";
    check_choice("stem", result.stem, {"cifar", "imagenet"});
  }
  if (architecture.has_shortcuts) {
    if (result.shortcut.empty()) result.shortcut = "pad";
    check_choice("shortcut", result.shortcut, {"pad", "conv"});
  }
  return result;
}

torch::jit::Module build(const Spec& spec, std::uint64_t seed) {
  return compile(find_entry(spec.arch).describe(completed(spec)), /*fill=*/true, seed);
}

torch::jit::Module build_unfilled(const Spec& spec) {
  return compile(find_entry(spec.arch).describe(completed(spec)), /*fill=*/false, 0);
}

std::int64_t parameter_count(const torch::jit::Module& module) {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : module.parameters()) count += parameter.numel();
  return count;
}

std::int64_t parameter_count(const Spec& spec) {
  return count_parameters(find_entry(spec.arch).describe(completed(spec)));
}

}  // namespace cachectl::zoo
