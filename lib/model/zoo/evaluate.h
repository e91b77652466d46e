#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/options.h"
#include "data/transform.h"
#include "labels/labels.h"

namespace torch::jit {
struct Module;
}

namespace cachectl::zoo {

// Samples with their labels, ready to be trained on or measured.
struct LabelledData {
  std::unique_ptr<const data::Dataset> samples;
  labels::Labels labels;
  data::Transform transform;
  std::vector<std::int64_t> indices;  // in use: those whose label is known
  bool skip_bad = false;

  at::Tensor labels_at(const std::vector<std::int64_t>& positions) const;  // int64 [B]
};
// Throws Error, among them kUsage for a set without labels.
LabelledData open_labelled(const data::Options& options, const CommonOptions& common);

struct Accuracy {
  std::int64_t samples = 0, correct = 0;
  double share() const { return static_cast<double>(correct) / static_cast<double>(samples); }
};
// Of the module as it is, in evaluation mode for the while. indices: positions in the data.
// label: of the progress bar; "": none.
Accuracy measure_accuracy(torch::jit::Module& module, const LabelledData& data,
                          const std::vector<std::int64_t>& indices, const at::Device& device,
                          std::int64_t batch_size, const CommonOptions& common,
                          const std::string& label);

}  // namespace cachectl::zoo
