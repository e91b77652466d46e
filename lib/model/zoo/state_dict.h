#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

#include "zoo/zoo.h"

// Weights by name, as other programs save them. Files are taken for hostile: nothing in
// them is executed, every size and offset is checked before memory is taken.
namespace cachectl::zoo {

using StateDict = std::map<std::string, at::Tensor>;  // contiguous, dtype as in the file

// A .safetensors file, or one of torch.save (zip archive or the format before 1.6), told
// apart by contents. Throws Error: cannot open, corrupt; incompatible for a whole model
// instead of a state dict.
StateDict read_state_dict(const std::filesystem::path& path);

StateDict read_safetensors(const std::filesystem::path& path,
                           std::map<std::string, std::string>* metadata = nullptr);
// Atomic. Tensors of dtype float32, float16, bfloat16, float64 or int64.
void write_safetensors(const std::filesystem::path& path, const StateDict& tensors,
                       const std::map<std::string, std::string>& metadata = {});

// A dict of tensors in torch.save's format, or below the key state_dict, model or net of
// one. Optimizer states and other values beside it are passed over.
StateDict read_torch_checkpoint(const std::filesystem::path& path);

// What a spec leaves open, read from the weights' names and shapes: the classes where
// `classes` is 0, the stem, the shortcut, the input size where it decides about shapes.
Spec guess_from_weights(const Spec& spec, const StateDict& tensors, const std::string& where);

// Copies the tensors into the module's parameters and buffers. A missing, extra, misshaped
// or non-finite tensor throws Error (incompatible) that lists them all; only
// num_batches_tracked may be missing. A prefix "module." on all names (DataParallel's) is dropped.
void fill(torch::jit::Module& module, const StateDict& tensors, const std::string& where);

// All parameters and buffers, sharing memory with the module.
StateDict state_of(const torch::jit::Module& module);

}  // namespace cachectl::zoo
