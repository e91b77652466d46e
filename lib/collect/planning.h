#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "artifact/medial.h"
#include "artifact/medial_writer.h"
#include "base/shard.h"
#include "collect/collect.h"
#include "data/dataset.h"
#include "data/transform.h"
#include "model/backbone.h"

// What is to be recorded, settled before anything is.
namespace cachectl::collect {

// One row of the medial file: which sample, and which view of it.
struct Row {
  std::int64_t index = 0;  // position in the data set
  std::int32_t view = 0;
};

// The rows of the whole collection, grouped by part so that a part is read in one run,
// and in a part by the data set's order; behind them the views, one after the other.
struct RowPlan {
  std::vector<Row> rows;
  artifact::MedialRows table;          // the same rows
  std::vector<std::int64_t> mix_pool;  // training samples: where mixup's partners come from

  // Rows [first, last) alone; the pool stays.
  void keep(std::int64_t first, std::int64_t last);
};

// usable: positions of the samples to take. generation: of all rows.
RowPlan plan_rows(const data::Dataset& dataset, const std::vector<std::int64_t>& usable,
                  const Options& options, std::int32_t generation);

// Positions of the samples; with data.skip_bad all are tried, and bad ones left out. Those that
// `before` has are left out; max_samples are drawn by id. Throws Error(kNothingProcessed).
std::vector<std::int64_t> usable_samples(const data::Dataset& dataset,
                                         const data::Transform& transform, const Options& options,
                                         const artifact::MedialReader* before);

// max_samples of them, drawn by id; all where it is 0.
std::vector<std::int64_t> drawn_samples(const data::Dataset& dataset,
                                        std::vector<std::int64_t> usable, const Options& options);

// The layers in order of depth: --layers, or those of --append, or all candidates.
std::vector<artifact::MedialLayer> plan_layers(const model::Backbone& backbone,
                                               const Options& options,
                                               const artifact::MedialReader* before);

// How many samples fit so many bytes, views included, if a row takes row_bytes.
std::int64_t samples_that_fit(std::int64_t samples, double bytes, std::int64_t row_bytes,
                              const Options& options);

// The blocks [first, last) of a shard, of all blocks of the collection.
std::pair<std::int64_t, std::int64_t> blocks_of(const Shard& shard, std::int64_t blocks);

// What the contents follow from: see MedialPlan::settings.
std::string settings_text(const Options& options, const model::Backbone& backbone,
                          const data::Dataset& dataset);

}  // namespace cachectl::collect
