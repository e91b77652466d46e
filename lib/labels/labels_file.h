#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/options.h"
#include "data/options.h"
#include "io/artifact.h"
#include "labels/labels.h"

// kind "labels": the truth about samples in a file of its own. docs/formats/labels.md.
namespace cachectl::labels {

struct LabelsFile {
  std::vector<std::uint64_t> ids;
  Labels labels;                         // by position in `ids`
  std::vector<std::string> class_names;  // empty where unknown
  io::Provenance provenance;             // filled on reading
};

struct Options {
  CommonOptions common;
  data::Options data;
  std::string out;  // labels.h5
};
void describe(OptionTable& table, Options& options);
// Copies the labels of a data set. Error(kUsage) when it has none.
void run(Options& options);

io::Provenance write_labels(const std::string& path, const LabelsFile& file,
                            const CommonOptions& common, const io::Provenance& data);
// Throws Error(kCorrupt) for labels out of range, repeated ids, sizes that differ.
LabelsFile read_labels(const std::string& path);

}  // namespace cachectl::labels
