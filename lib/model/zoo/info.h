#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"

// cachectl-backbone list and info.
namespace cachectl::zoo {

struct ListOptions {
  CommonOptions common;
  std::int64_t classes = 1000;  // parameters are counted for
};
void describe(OptionTable& table, ListOptions& options);
void run_list(const ListOptions& options);

struct InfoOptions {
  CommonOptions common;
  std::string file;                 // any TorchScript file
  std::vector<std::int64_t> input;  // shape of one input, to try; empty: guessed
};
void describe(OptionTable& table, InfoOptions& options);

struct ModuleInfo {
  std::string name;  // "layer1.0"
  std::string type;
  std::int64_t parameters = 0;
};
struct BackboneInfo {
  std::string hash;  // SHA-256 of the file
  std::int64_t file_bytes = 0;
  std::int64_t parameters = 0, parameter_bytes = 0;
  std::vector<std::int64_t> input;   // of one sample, that forward took; empty: none found
  std::vector<std::int64_t> output;  // of one sample
  std::vector<ModuleInfo> modules;   // two levels deep, in order
  std::string record;                // JSON, where the file is one of ours
};
// Loads the file and tries it. Throws Error: cannot open, corrupt.
BackboneInfo backbone_info(const std::string& file, const std::vector<std::int64_t>& input);
void run_info(const InfoOptions& options);

}  // namespace cachectl::zoo
