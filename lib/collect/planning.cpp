#include "collect/planning.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_set>

#include "base/error.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/text.h"
#include "data/augment.h"
#include "data/loader.h"
#include "data/split.h"
#include "data/transform.h"

namespace cachectl::collect {
namespace {

// Reads every sample once, so that the rows are known before the first is recorded.
std::vector<std::int64_t> readable(const data::Dataset& dataset, const data::Transform& transform,
                                   std::int64_t threads) {
  data::LoaderOptions loading;
  loading.batch_size = 16;  // nobody takes the inputs: as few as keep the threads busy
  loading.threads = threads;
  loading.skip_bad = true;
  data::BatchLoader loader(dataset, transform, data::all_indices(dataset), loading);
  Progress progress("look for bad samples", dataset.size(), "samples");
  std::vector<std::int64_t> good;
  while (const auto batch = loader.next()) {
    good.insert(good.end(), batch->indices.begin(), batch->indices.end());
    progress.advance(batch->size());
  }
  progress.advance(loader.skipped());
  return good;
}

}  // namespace

void RowPlan::keep(std::int64_t first, std::int64_t last) {
  const auto cut = [&](auto& values) {
    values.erase(values.begin() + last, values.end());
    values.erase(values.begin(), values.begin() + first);
  };
  cut(rows);
  cut(table.ids);
  cut(table.views);
  cut(table.parts);
  cut(table.generations);
  cut(table.partners);
  cut(table.weights);
}

std::vector<std::int64_t> usable_samples(const data::Dataset& dataset,
                                         const data::Transform& transform, const Options& options,
                                         const artifact::MedialReader* before) {
  std::vector<std::int64_t> usable = options.data.skip_bad
                                         ? readable(dataset, transform, options.common.threads)
                                         : data::all_indices(dataset);
  if (before != nullptr) {
    const auto& known = before->rows().ids;
    const std::unordered_set<std::uint64_t> there(known.begin(), known.end());
    const auto is_known = [&](std::int64_t index) { return there.count(dataset.id(index)) > 0; };
    usable.erase(std::remove_if(usable.begin(), usable.end(), is_known), usable.end());
    if (usable.empty()) {
      fail(ExitCode::kNothingProcessed, "{}: all of its samples are in {} already", dataset.name(),
           before->path());
    }
  }
  usable = drawn_samples(dataset, std::move(usable), options);
  if (usable.empty()) {
    fail(ExitCode::kNothingProcessed, "{}: no sample that can be read", dataset.name());
  }
  return usable;
}

std::vector<std::int64_t> drawn_samples(const data::Dataset& dataset,
                                        std::vector<std::int64_t> usable, const Options& options) {
  const auto wanted = static_cast<std::size_t>(options.max_samples);
  if (wanted > 0 && wanted < usable.size()) {
    // By id, so that a set in order of its classes gives all of them.
    const auto seed = static_cast<std::uint64_t>(options.common.seed);
    const auto rank = [&](std::int64_t index) {
      return derive_seed(seed, "max samples", dataset.id(index));
    };
    std::sort(usable.begin(), usable.end(),
              [&](std::int64_t a, std::int64_t b) { return rank(a) < rank(b); });
    usable.resize(wanted);
    std::sort(usable.begin(), usable.end());
  }
  return usable;
}

RowPlan plan_rows(const data::Dataset& dataset, const std::vector<std::int64_t>& usable,
                  const Options& options, std::int32_t generation) {
  const auto seed = static_cast<std::uint64_t>(options.common.seed);
  std::vector<std::uint64_t> ids;
  ids.reserve(usable.size());
  for (const auto index : usable) ids.push_back(dataset.id(index));
  const data::Split split(ids, options.split, seed);
  RowPlan plan;
  for (const data::Part part : data::kParts) {
    for (const auto position : split.indices(part)) {
      const std::int64_t index = usable[static_cast<std::size_t>(position)];
      plan.rows.push_back({index, 0});
      plan.table.add(dataset.id(index), part, generation);
      if (part == data::Part::kTrain) plan.mix_pool.push_back(index);
    }
  }
  const auto pool_size = static_cast<std::int64_t>(plan.mix_pool.size());
  for (std::int64_t view = 1; view <= options.views; ++view) {
    for (const auto index : plan.mix_pool) {
      const data::AugmentDraw draw =
          data::draw_augmentation(options.augment, seed, view, dataset.id(index), pool_size);
      const std::uint64_t partner =
          draw.partner < 0 ? 0
                           : dataset.id(plan.mix_pool.at(static_cast<std::size_t>(draw.partner)));
      plan.rows.push_back({index, static_cast<std::int32_t>(view)});
      plan.table.add_view(dataset.id(index), static_cast<std::int32_t>(view), generation, partner,
                          static_cast<float>(draw.partner < 0 ? 1 : draw.weight));
    }
  }
  return plan;
}

std::vector<artifact::MedialLayer> plan_layers(const model::Backbone& backbone,
                                               const Options& options,
                                               const artifact::MedialReader* before) {
  if (before != nullptr) {
    for (const auto& layer : before->layers()) {
      if (backbone.candidate(layer.name).shape != layer.shape) {
        fail(ExitCode::kIncompatible, "{}: layer {} has activations of {}, the backbone gives {}",
             before->path(), layer.name, text::shape(layer.shape),
             text::shape(backbone.candidate(layer.name).shape));
      }
    }
    return before->layers();
  }
  for (const auto& name : options.layers) (void)backbone.candidate(name);  // names the nearest
  std::vector<artifact::MedialLayer> layers;
  for (const auto& candidate : backbone.candidates()) {
    if (!options.layers.empty() && std::find(options.layers.begin(), options.layers.end(),
                                             candidate.name) == options.layers.end()) {
      continue;
    }
    artifact::MedialLayer layer;
    layer.name = candidate.name;
    layer.shape = candidate.shape;
    layer.stored = io::dtype_from_name(options.storage);
    layer.channel_axis = artifact::MedialLayer::default_channel_axis(layer.shape);
    layers.push_back(std::move(layer));
  }
  if (layers.empty()) {
    fail(ExitCode::kNothingProcessed,
         "{}: no candidate: no layer's output alone determines the result with enough work left; "
         "try --candidates all or a smaller --min-share-left",
         options.backbone.path);
  }
  return layers;
}

std::int64_t samples_that_fit(std::int64_t samples, double bytes, std::int64_t row_bytes,
                              const Options& options) {
  const double rows_per_sample = 1 + options.split.train * static_cast<double>(options.views);
  const double fit = std::floor(bytes / (static_cast<double>(row_bytes) * rows_per_sample));
  return fit >= static_cast<double>(samples) ? samples : static_cast<std::int64_t>(fit);
}

std::pair<std::int64_t, std::int64_t> blocks_of(const Shard& shard, std::int64_t blocks) {
  return {(shard.number - 1) * blocks / shard.of, shard.number * blocks / shard.of};
}

std::string settings_text(const Options& options, const model::Backbone& backbone,
                          const data::Dataset& dataset) {
  std::string text = fmt::format(
      "backbone: {}\nprecision: {}\nmemory_format: {}\ndevice: {}\ndata: {}\ntransform: {}\n",
      backbone.hash(), options.backbone.precision, options.backbone.memory_format,
      options.common.device, dataset.content_hash(),
      text::join(text::split(data::Transform(options.data).text(), '\n'), " | "));
  if (!options.backbone.output.empty()) text += "output: " + options.backbone.output + "\n";
  text += fmt::format("seed: {}\nsplit: {} {} {} {}\nbatch_size: {}\n", options.common.seed,
                      options.split.train, options.split.validation, options.split.certify,
                      options.split.test, options.batch_size);
  if (options.views > 0) {
    text += fmt::format("views: {}, flip {}, shift {}, mixup {} for {}\n", options.views,
                        options.augment.flip, options.augment.shift, options.augment.mixup,
                        options.augment.mixup_share);
  }
  if (!options.shard.empty()) text += "shard: " + options.shard + "\n";
  return text;
}

}  // namespace cachectl::collect
