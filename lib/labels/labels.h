#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/options.h"
#include "data/dataset.h"
#include "data/options.h"

// The truth about samples. Only the final evaluation and the training of backbones may
// know it: this library stands apart from lib/data, and of the executables only
// cachectl-eval, cachectl-backbone and cachectl-labels link it (cmake/label_access.cmake holds
// that).
namespace cachectl::labels {

inline constexpr std::int64_t kUnknown = -1;

struct Labels {
  // One per sample of the data set, in its order, in [0, classes); kUnknown for a label
  // that was bad and skipped.
  std::vector<std::int64_t> values;
  std::int64_t classes = 0;
  std::int64_t skipped = 0;  // bad ones, with skip_bad

  std::vector<std::int64_t> at(const std::vector<std::int64_t>& indices) const;
};

// False for a flat image folder, and for tensor files whose options name no labels.
bool has_labels(const data::Options& options, const CommonOptions& common);

// The labels of open_dataset(options, common). A label out of range throws Error(kCorrupt)
// that names file and record, or with skip_bad becomes kUnknown, counted in a warning.
// Error(kUsage) when the set has none.
Labels open_labels(const data::Options& options, const CommonOptions& common);

// By sample id: the way to join labels with what was recorded by id.
std::unordered_map<std::uint64_t, std::int64_t> by_id(const data::Dataset& dataset,
                                                      const Labels& labels);

}  // namespace cachectl::labels
