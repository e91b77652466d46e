#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/options.h"

// cachectl-backbone train: an architecture of the zoo, trained on a labelled data set.
namespace cachectl::zoo {

struct TrainOptions {
  CommonOptions common;
  data::Options data;  // part "train" is trained on, "inference" measured; `part` is not used
  std::string out;     // TorchScript file

  std::string arch = "resnet20";
  std::string stem, shortcut;  // see Spec
  std::int64_t epochs = 30;    // [1, 10000]
  std::int64_t batch_size = 128;
  double learning_rate = 0.1;  // the peak of the one-cycle schedule
  double momentum = 0.9;       // [0, 1)
  bool no_nesterov = false;
  double weight_decay = 5e-4;
  double label_smoothing = 0;      // [0, 1): share of the target spread over all classes
  bool no_flip = false;            // images are mirrored in half of the views
  std::int64_t shift = 4;          // pixels that images move by at most, borders reflected
  std::string precision = "auto";  // auto, float32, bfloat16
  double held_out = 0.1;  // share kept for measuring where the data has no part of its own for it
};
// The section `backbone_training`.
void describe(OptionTable& table, TrainOptions& options);

struct TrainResult {
  std::int64_t parameters = 0, classes = 0, samples = 0, held_out_samples = 0;
  std::vector<double> losses;                        // mean over each epoch
  double train_accuracy = 0, held_out_accuracy = 0;  // [0, 1], without augmentation
  double seconds = 0;                                // of this run
};

// Trains and writes the file. A checkpoint stands beside it (OUT.partial) after each
// epoch; with common.resume it is gone on from, and the result equals the uninterrupted
// run's. Throws Error: a checkpoint of other options or data is kIncompatible.
TrainResult train(const TrainOptions& options);

// The same, with the figures on stdout.
void run_train(const TrainOptions& options);

}  // namespace cachectl::zoo
