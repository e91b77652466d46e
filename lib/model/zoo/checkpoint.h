#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "zoo/state_dict.h"

namespace cachectl::zoo {

// Training after a whole number of epochs: a safetensors file of weights and momenta.
// Orders and augmentations are drawn by epoch, so nothing else is needed to go on.
struct Checkpoint {
  std::string fingerprint;     // of options and data
  std::int64_t epochs = 0;     // done
  std::vector<double> losses;  // one per epoch
  StateDict weights, momenta;  // share memory with the module and the optimizer
};

void write_checkpoint(const Checkpoint& checkpoint, const std::filesystem::path& path);

// Copies the file's values into the checkpoint's tensors and sets epochs and losses. Throws
// Error: corrupt, or incompatible when the fingerprints differ.
void read_checkpoint(Checkpoint& checkpoint, const std::filesystem::path& path);

}  // namespace cachectl::zoo
