#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/options.h"
#include "zoo/zoo.h"

namespace cachectl::zoo {

// What a TorchScript file of ours tells about itself, beside the model: a file named
// cachectl.json in the archive, which other programs pass over.
struct Record {
  Spec spec;
  std::vector<double> mean, std;         // that the inputs were normalised with
  std::vector<std::string> class_names;  // empty where unknown
  std::string weights;                   // "trained on ...", "imported from ..."
  double accuracy = -1;                  // on held-out data, in [0, 1]; -1: not measured
  // Of the run that made it; empty with --no-provenance.
  std::string tool, command, created;
  std::string config;

  std::string json() const;
  // Throws Error (corrupt).
  static Record from_json(const std::string& text, const std::string& where);
};
// The record's part that depends on the run alone.
Record record_of(const Spec& spec, const CommonOptions& common);

// Atomic; equal modules and records give equal bytes, whatever the path. The module is
// written in evaluation mode.
void save_backbone(torch::jit::Module& module, const Record& record,
                   const std::filesystem::path& path);

// Loads any TorchScript file to the CPU, in evaluation mode. Throws Error: cannot open,
// corrupt. record_json: of our own files, else "".
torch::jit::Module load_backbone(const std::filesystem::path& path,
                                 std::string* record_json = nullptr);

}  // namespace cachectl::zoo
