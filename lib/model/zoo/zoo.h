#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace torch::jit {
struct Module;
}

// Backbones by name: architectures built in C++ as TorchScript, no Python. Their
// parameters are named as in torchvision or in the public checkpoints.
namespace cachectl::zoo {

struct Architecture {
  std::string name;
  std::string summary;
  std::int64_t input_size;      // side in pixels that it was made for
  std::int64_t min_input_size;  // smaller inputs vanish on the way
  std::int64_t input_multiple;  // the side must be a multiple of it
  bool has_stems;               // "cifar": stride 1, no pooling; "imagenet"
  bool has_shortcuts;           // "pad": subsampled and zero-padded; "conv": 1x1 convolution
};

// In the order in which `cachectl-backbone list` shows them.
const std::vector<Architecture>& architectures();
std::vector<std::string> architecture_names();
const Architecture& find_architecture(const std::string& name);  // throws Error, with the nearest

// What is built. The empty values are filled by completed().
struct Spec {
  std::string arch;
  std::int64_t classes = 10;
  std::int64_t input_size = 0;  // side in pixels; 0: the architecture's own
  std::string stem;             // "": cifar up to 64 pixels, imagenet above
  std::string shortcut;         // "": pad
};

// The spec with nothing left open. Throws Error (kUsage) where it can't be built.
Spec completed(const Spec& spec);

// A scripted classifier: forward(x: [B, 3, S, S] f32) -> logits [B, classes], in
// training mode, parameters with requires_grad set. Equal seeds give equal weights.
torch::jit::Module build(const Spec& spec, std::uint64_t seed);
// The same with parameters left at zero, to be filled from a state dict.
torch::jit::Module build_unfilled(const Spec& spec);

std::int64_t parameter_count(const torch::jit::Module& module);
std::int64_t parameter_count(const Spec& spec);  // without building it

}  // namespace cachectl::zoo
