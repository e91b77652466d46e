#include "zoo/evaluate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/api/module.h>

#include <optional>

#include "base/error.h"
#include "base/progress.h"
#include "data/loader.h"

namespace cachectl::zoo {

at::Tensor LabelledData::labels_at(const std::vector<std::int64_t>& positions) const {
  return at::tensor(labels.at(positions), at::kLong);
}

LabelledData open_labelled(const data::Options& options, const CommonOptions& common) {
  LabelledData result;
  result.samples = data::open_dataset(options, common);
  if (!labels::has_labels(options, common)) {
    fail(ExitCode::kUsage, "{}: has no labels; they are needed here", result.samples->name());
  }
  result.labels = labels::open_labels(options, common);
  result.transform = data::Transform(options);
  result.skip_bad = options.skip_bad;
  for (const std::int64_t index : data::all_indices(*result.samples)) {
    if (result.labels.values[static_cast<std::size_t>(index)] != labels::kUnknown) {
      result.indices.push_back(index);
    }
  }
  if (result.indices.empty()) {
    fail(ExitCode::kNothingProcessed, "{}: no sample with a label", result.samples->name());
  }
  return result;
}

Accuracy measure_accuracy(torch::jit::Module& module, const LabelledData& data,
                          const std::vector<std::int64_t>& indices, const at::Device& device,
                          std::int64_t batch_size, const CommonOptions& common,
                          const std::string& label) {
  const c10::NoGradGuard no_gradients;
  const bool was_training = module.is_training();
  module.eval();
  data::LoaderOptions loading;
  loading.batch_size = batch_size;
  loading.threads = common.threads;
  loading.skip_bad = data.skip_bad;
  data::BatchLoader loader(*data.samples, data.transform, indices, loading);
  std::optional<Progress> progress;
  if (!label.empty()) progress.emplace(label, static_cast<std::int64_t>(indices.size()), "samples");

  Accuracy accuracy;
  while (const std::optional<data::Batch> batch = loader.next()) {
    const at::Tensor logits = module.forward({batch->inputs.to(device)}).toTensor();
    const at::Tensor right = logits.argmax(1).cpu() == data.labels_at(batch->indices);
    accuracy.samples += batch->size();
    accuracy.correct += right.sum().item<std::int64_t>();
    if (progress) progress->advance(batch->size());
  }
  if (progress) progress->finish();
  module.train(was_training);
  return accuracy;
}

}  // namespace cachectl::zoo
