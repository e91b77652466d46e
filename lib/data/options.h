#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"

namespace cachectl::data {

// Where samples come from and how they become a model's input. docs/data.md says
// what each kind reads.
struct Options {
  std::string kind = "synthetic";  // synthetic, cifar10, cifar100, folder, hdf5, npy
  std::string path;                // file or folder; relative to CommonOptions::data_root
  // Which part of a set that has both: train (the backbone's) or inference (what
  // a deployed backbone sees). Synthetic draws, CIFAR folders follow it; a path
  // that is one file or one image folder is taken as it is.
  std::string part = "inference";
  std::int64_t max_samples = 0;  // the first so many; 0: all
  bool skip_bad = false;         // count and drop bad samples instead of failing

  // From the raw sample to the input, in this order; then mean and std.
  std::vector<std::string> transform;  // "resize 256", "resize 224 224", "center_crop 224"
  // float32, or stored: the file's own dtype as it is, for models that take whole numbers
  // (tokens); then mean and std must be empty.
  std::string dtype = "float32";
  std::vector<double> mean, std;  // per channel, or one for all; empty: 0 and 1

  std::string object = "/images";  // hdf5: the data set in the file, [N, ...]
  std::string labels;  // hdf5: the object with the labels; npy: their file. Read by lib/labels only

  std::int64_t samples = 10000;        // synthetic: how many
  std::int64_t synthetic_seed = 2026;  // synthetic: which set; apart from the run's seed
  std::int64_t image_size = 32;        // synthetic: pixels a side
  double difficulty = 1;               // synthetic: 0 all trivial, 1 the standard mixture, 2 harder
};

// Declares the options in YAML section `section`. Flags carry the section's name
// ("--data-kind"), so that a tool may take two data sets; "data" has a plain --skip-bad.
void describe(OptionTable& table, Options& options, const std::string& section = "data");

// Shares of a data set's samples; they sum to 1.
struct SplitOptions {
  double train = 0.5;       // cache models learn from these
  double validation = 0.1;  // architectures, temperatures, thresholds, subsets
  double certify = 0.1;     // the certificate only
  double test = 0.3;        // cachectl-eval only

  void validate() const;  // throws Error(kUsage) when the shares don't sum to 1
};
void describe(OptionTable& table, SplitOptions& options, const std::string& section = "split");

// Random views of a sample. Off as constructed.
struct AugmentOptions {
  bool flip = false;       // left and right, every other view
  std::int64_t shift = 0;  // up to so many pixels each way, borders reflected
  double mixup = 0;        // alpha of Beta(alpha, alpha), the weight of the pair; 0: off
  double mixup_share = 1;  // of the views that are mixed with another sample
  double cutmix = 0;       // share of the views that get a patch of another sample, not mixed

  bool any() const { return flip || shift > 0 || mixup > 0 || cutmix > 0; }
  static AugmentOptions usual() { return {true, 4, 1, 0.5, 0.5}; }
};
void describe(OptionTable& table, AugmentOptions& options, const std::string& section = "augment");

}  // namespace cachectl::data
