#include "learn/online_source.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "data/loader.h"

namespace cachectl::learn {

OnlineSource::OnlineSource(const artifact::MedialReader& medial,
                           const std::vector<std::string>& names,
                           std::shared_ptr<const model::Backbone> backbone,
                           const data::Dataset& dataset, const data::Transform& transform,
                           const data::AugmentOptions& augment, std::size_t threads,
                           double memory_bytes, std::uint64_t seed)
    : recorded_(medial, names, false, memory_bytes, seed),
      backbone_(std::move(backbone)),
      dataset_(dataset),
      transform_(transform),
      augment_(augment),
      threads_(threads),
      memory_bytes_(memory_bytes),
      seed_(seed) {
  const auto* recorded = medial.provenance().find("backbone");
  if (recorded != nullptr && recorded->content_hash != backbone_->hash()) {
    fail(ExitCode::kIncompatible, "{} was recorded with another backbone ({:.12}) than {} ({:.12})",
         medial.path(), recorded->content_hash, backbone_->options().path, backbone_->hash());
  }
  artifact::require_same_transform(medial, transform.text());
  std::unordered_map<std::uint64_t, std::int64_t> position;
  for (std::int64_t i = 0; i < dataset.size(); ++i) position[dataset.id(i)] = i;
  for (const auto row : medial.rows_of(data::Part::kTrain)) {
    const auto id = medial.rows().ids[static_cast<std::size_t>(row)];
    const auto found = position.find(id);
    if (found == position.end()) {
      fail(ExitCode::kIncompatible, "{}: training sample {:016x} is not in {}", medial.path(), id,
           dataset.name());
    }
    indices_.push_back(found->second);
  }
}

const model::SegmentChain& OnlineSource::chain_up_to(const std::vector<std::size_t>& layers) {
  if (!chain_ || layers != cut_behind_) {
    std::vector<std::string> names;
    names.reserve(layers.size());
    for (const auto layer : layers) names.push_back(recorded_.layers()[layer].name);
    chain_.emplace(backbone_->cut(names));
    cut_behind_ = layers;
  }
  return *chain_;
}

void OnlineSource::epoch(std::int64_t epoch, std::int64_t count, std::int64_t batch_size,
                         const std::vector<std::size_t>& layers,
                         const std::function<void(const Batch&)>& consume) {
  std::vector<std::int64_t> wanted;
  for (const auto sample : epoch_order(samples(), count, seed_, epoch)) {
    wanted.push_back(indices_[static_cast<std::size_t>(sample)]);
  }
  const auto total = static_cast<std::int64_t>(wanted.size());
  data::LoaderOptions options;
  options.batch_size = batch_size;
  options.threads = std::max<std::int64_t>(1, static_cast<std::int64_t>(threads_) / 2);
  options.augment = augment_;
  options.seed = derive_seed(seed_, "views");
  options.view = epoch + 1;
  options.pool = indices_;
  data::BatchLoader loader(dataset_, transform_, std::move(wanted), options);
  const model::SegmentChain& chain = chain_up_to(layers);
  // A batch on one thread, and others beside it, as many as memory has room for.
  std::int64_t live_bytes = 0;  // of a sample's pass
  for (const auto& cost : backbone_->costs()) live_bytes = std::max(live_bytes, cost.live_bytes);
  const double batch_bytes =
      static_cast<double>(batch_size) *
      (static_cast<double>(live_bytes) + sample_bytes(recorded_.layers(), layers));
  const auto room = static_cast<std::int64_t>(memory_bytes_ / std::max(1.0, batch_bytes));
  const std::int64_t ahead =
      std::clamp<std::int64_t>(room, 1, kAhead + static_cast<std::int64_t>(threads_));
  if (ahead < static_cast<std::int64_t>(threads_) && !told_of_room_) {
    log::info("memory_gib has room for {} batches at once, and keeps {} of the {} threads idle",
              ahead, static_cast<std::int64_t>(threads_) - ahead, threads_);
    told_of_room_ = true;
  }
  prefetch(
      batches_in(total, batch_size), std::min(threads_, static_cast<std::size_t>(ahead)), ahead,
      [&](std::int64_t) {
        auto loaded = loader.next();
        if (!loaded) fail(ExitCode::kCorrupt, "{}: samples ended early", dataset_.name());
        return [&, inputs = std::move(loaded->inputs)] {
          Batch batch;
          model::Tensors live = {inputs};
          for (std::size_t segment = 0; segment + 1 < chain.size(); ++segment) {
            live = chain.run(segment, live);
            batch.activations.push_back(live[0]
                                            .to(at::kCPU, at::kFloat)
                                            .contiguous(live[0].dim() == 4
                                                            ? at::MemoryFormat::ChannelsLast
                                                            : at::MemoryFormat::Contiguous));
          }
          batch.pd = backbone_->probabilities(chain.run(chain.size() - 1, live)[0]).cpu();
          return batch;
        };
      },
      consume);
}

}  // namespace cachectl::learn
