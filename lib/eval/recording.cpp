#include "eval/recording.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/cancel.h"
#include "base/error.h"
#include "base/progress.h"
#include "data/loader.h"

namespace cachectl::eval {

namespace {

void append_backbone(const model::Backbone& backbone, const at::Tensor& inputs,
                     std::vector<std::int32_t>& classes) {
  const at::Tensor raw = backbone.run({inputs}).cpu().contiguous();
  const std::int64_t width = raw.size(1);
  for (std::int64_t row = 0; row < raw.size(0); ++row) {
    const float* const values = raw.data_ptr<float>() + row * width;
    classes.push_back(static_cast<std::int32_t>(std::max_element(values, values + width) - values));
  }
}

}  // namespace

double without_temperature(const float* probabilities, std::int64_t classes, double temperature) {
  const float best = *std::max_element(probabilities, probabilities + classes);
  double sum = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    sum += std::pow(static_cast<double>(probabilities[c]) / best, temperature);
  }
  return 1 / sum;
}

Recording record(const TestPart& part, const runtime::Engine& engine, const runtime::Engine& alone,
                 std::int64_t batch_size, const Options& options) {
  Recording recording;
  for (const runtime::Exit& exit : alone.exits(0)) {
    recording.models.push_back({exit.layer, exit.architecture, exit.temperature});
  }
  const std::size_t models = recording.models.size();
  recording.records.exits.resize(models);
  recording.raw.resize(models);
  recording.plans.resize(engine.plans());

  std::unordered_map<std::int64_t, std::size_t> place;
  for (std::size_t i = 0; i < part.indices.size(); ++i) place[part.indices[i]] = i;
  data::LoaderOptions loading;
  loading.batch_size = batch_size;
  loading.skip_bad = options.data.skip_bad;
  loading.threads = options.common.threads;
  data::BatchLoader loader(*part.dataset, part.transform, part.indices, loading);
  Progress progress("evaluate", part.size(), "samples");
  while (const auto batch = loader.next()) {
    cancel::throw_if_requested();
    const auto first = static_cast<std::size_t>(recording.size());
    const std::size_t end = first + static_cast<std::size_t>(batch->size());
    recording.ids.insert(recording.ids.end(), batch->ids.begin(), batch->ids.end());
    for (const std::int64_t index : batch->indices) {
      recording.indices.push_back(index);
      if (!part.truth.empty()) recording.truth.push_back(part.truth[place.at(index)]);
    }
    append_backbone(engine.backbone(), batch->inputs, recording.records.backbone);

    for (std::size_t m = 0; m < models; ++m) {
      recording.records.exits[m].prediction.resize(end);
      recording.records.exits[m].confidence.resize(end);
      recording.raw[m].resize(end);
    }
    if (models > 0) {
      alone.infer(batch->inputs, [&](const runtime::Answer& answer) {
        if (answer.exit == models) return;
        const std::size_t at = first + static_cast<std::size_t>(answer.sample);
        decision::ExitRecord& exit = recording.records.exits[answer.exit];
        exit.prediction[at] = answer.label;
        exit.confidence[at] = answer.confidence;
        recording.raw[answer.exit][at] = static_cast<float>(without_temperature(
            answer.probabilities, answer.classes, recording.models[answer.exit].temperature));
      });
    }
    for (std::size_t p = 0; p < engine.plans(); ++p) {
      Recording::Answered& answered = recording.plans[p];
      answered.label.resize(end);
      answered.confidence.resize(end);
      answered.exit.resize(end);
      engine.infer_with(p, {batch->inputs}, [&](const runtime::Answer& answer) {
        if (!answer.hit) return;
        const std::size_t at = first + static_cast<std::size_t>(answer.sample);
        answered.label[at] = answer.label;
        answered.confidence[at] = answer.confidence;
        answered.exit[at] = answer.exit;
      });
    }
    progress.advance(batch->size());
  }
  progress.finish();
  return recording;
}

}  // namespace cachectl::eval
