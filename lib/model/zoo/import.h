#pragma once

#include <string>

#include "base/options.h"
#include "data/options.h"

// cachectl-backbone import: an architecture of the zoo, filled from public weights.
namespace cachectl::zoo {

struct ImportOptions {
  CommonOptions common;
  data::Options data;   // for `check`; mean and std are recorded in the file
  std::string weights;  // safetensors or torch.save
  std::string out;      // TorchScript file

  std::string arch;
  std::string stem, shortcut;  // "": told from the weights
  std::int64_t classes = 0;    // 0: told from the weights
  std::int64_t input_size =
      0;               // pixels a side; 0: told from the weights, or the architecture's own
  bool check = false;  // measure the accuracy on `data`
};
void describe(OptionTable& table, ImportOptions& options);

struct ImportResult {
  std::int64_t parameters = 0, classes = 0, input_size = 0;
  std::int64_t samples = 0;  // of the check; 0: none
  double accuracy = 0;       // [0, 1]
};
// Throws Error: kIncompatible, listing every tensor that is missing, extra or misshaped.
ImportResult import_weights(const ImportOptions& options);

// The same, with the figures on stdout.
void run_import(const ImportOptions& options);

}  // namespace cachectl::zoo
