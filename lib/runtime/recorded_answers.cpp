#include "runtime/recorded_answers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "base/cancel.h"
#include "base/error.h"
#include "base/text.h"
#include "model/confidence.h"

namespace cachectl::runtime {
namespace {

// Rows that are read and computed at once: enough to keep the cores busy, few enough
// that the activations of early layers (1 MiB a sample) stay within memory.
std::size_t rows_per_block(const std::vector<std::int64_t>& shape) {
  constexpr std::int64_t kBlockBytes = std::int64_t{64} << 20, kMostRows = 512;
  std::int64_t bytes = sizeof(float);
  for (const auto size : shape) bytes *= size;
  return static_cast<std::size_t>(std::clamp<std::int64_t>(kBlockBytes / bytes, 1, kMostRows));
}

template <class Use>
void for_each_block(const std::vector<std::int64_t>& rows, std::size_t size, Use use) {
  for (std::size_t first = 0; first < rows.size(); first += size) {
    cancel::throw_if_requested();
    const std::size_t last = std::min(first + size, rows.size());
    use(std::vector<std::int64_t>(rows.begin() + static_cast<std::ptrdiff_t>(first),
                                  rows.begin() + static_cast<std::ptrdiff_t>(last)));
  }
}

// prior: the logits it takes, for the same rows; nullptr where it takes none.
std::vector<float> logits_of(const artifact::TrainedCache& cache, const std::vector<float>* prior,
                             std::int64_t classes, const artifact::MedialReader& medial,
                             const std::vector<std::int64_t>& rows) {
  const auto& layer = medial.layer(cache.layer);
  if (layer.shape != cache.input_shape) {
    fail(ExitCode::kIncompatible,
         "{}: {} has activations of {}, but its cache model was trained on {}", medial.path(),
         cache.layer, text::shape(layer.shape), text::shape(cache.input_shape));
  }
  if (medial.classes() != classes) {
    fail(ExitCode::kIncompatible, "{}: {} classes, but the cache models have {}", medial.path(),
         medial.classes(), classes);
  }
  const auto model = artifact::predictor_of(cache, classes, cache.layer);
  std::vector<float> logits;
  logits.reserve(rows.size() * static_cast<std::size_t>(classes));
  for_each_block(rows, rows_per_block(layer.shape), [&](const std::vector<std::int64_t>& block) {
    at::Tensor in_front;
    if (prior != nullptr) {
      in_front = at::empty({static_cast<std::int64_t>(block.size()), classes}, at::kFloat);
      const float* const first = prior->data() + logits.size();
      std::copy(first, first + in_front.numel(), in_front.data_ptr<float>());
    }
    const at::Tensor out =
        model->logits(medial.activations(cache.layer, block), in_front).contiguous();
    const float* values = out.data_ptr<float>();
    logits.insert(logits.end(), values, values + out.numel());
  });
  return logits;
}

}  // namespace

void logits_on(const std::vector<artifact::TrainedCache>& caches, const std::vector<bool>& wanted,
               std::int64_t classes, const artifact::MedialReader& medial,
               const std::vector<std::int64_t>& rows, const UseLogits& use) {
  // By layer, how many that are asked take its logits.
  std::map<std::string, std::size_t> takers;
  std::vector<bool> asked = wanted;
  for (std::size_t d = caches.size(); d-- > 0;) {
    if (takers.count(caches[d].layer) > 0) asked[d] = true;
    if (asked[d] && !caches[d].prior.empty()) ++takers[caches[d].prior];
  }
  std::map<std::string, std::vector<float>> kept;
  for (std::size_t d = 0; d < caches.size(); ++d) {
    if (!asked[d]) continue;
    const std::string& prior = caches[d].prior;
    auto logits =
        logits_of(caches[d], prior.empty() ? nullptr : &kept.at(prior), classes, medial, rows);
    if (!prior.empty() && --takers.at(prior) == 0) kept.erase(prior);
    if (wanted[d]) use(d, logits);
    if (takers.count(caches[d].layer) > 0) kept[caches[d].layer] = std::move(logits);
  }
}

decision::ExitRecord answers_of(const std::vector<float>& logits, std::int64_t classes,
                                double temperature) {
  decision::ExitRecord record;
  for (std::size_t at = 0; at < logits.size(); at += static_cast<std::size_t>(classes)) {
    const model::Decision decision = model::decide(logits.data() + at, classes, temperature);
    record.prediction.push_back(decision.label);
    record.confidence.push_back(decision.confidence);
  }
  return record;
}

std::vector<std::int32_t> backbone_classes(const artifact::MedialReader& medial,
                                           const std::vector<std::int64_t>& rows) {
  std::vector<std::int32_t> labels;
  constexpr std::int64_t kBytes = 64 << 20, kMostRows = 4096;
  const auto per_row = static_cast<std::int64_t>(sizeof(float)) * medial.classes();
  const auto at_once =
      static_cast<std::size_t>(std::clamp(kBytes / per_row, std::int64_t{1}, kMostRows));
  for_each_block(rows, at_once, [&](const std::vector<std::int64_t>& block) {
    const at::Tensor pd = medial.pd(block).contiguous();
    const float* values = pd.data_ptr<float>();
    for (std::size_t i = 0; i < block.size(); ++i) {
      const float* row = values + static_cast<std::int64_t>(i) * medial.classes();
      labels.push_back(
          static_cast<std::int32_t>(std::max_element(row, row + medial.classes()) - row));
    }
  });
  return labels;
}

std::vector<std::uint64_t> ids_of(const artifact::MedialReader& medial,
                                  const std::vector<std::int64_t>& rows) {
  std::vector<std::uint64_t> ids;
  ids.reserve(rows.size());
  for (const auto row : rows) ids.push_back(medial.rows().ids[static_cast<std::size_t>(row)]);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace cachectl::runtime
