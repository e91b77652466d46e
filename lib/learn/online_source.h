#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"
#include "data/transform.h"
#include "learn/medial_source.h"
#include "model/backbone.h"

namespace cachectl::learn {

// Training samples anew in each epoch: a view of each is drawn and the backbone answers it,
// activations and all. The split and the validation part are the medial file's.
class OnlineSource : public Source {
 public:
  // All must outlive the source. threads: that make batches side by side, fewer where those would
  // not fit into memory_bytes. Throws Error (incompatible) when backbone or data are not those of
  // the medial file, by hash and by id.
  OnlineSource(const artifact::MedialReader& medial, const std::vector<std::string>& names,
               std::shared_ptr<const model::Backbone> backbone, const data::Dataset& dataset,
               const data::Transform& transform, const data::AugmentOptions& augment,
               std::size_t threads, double memory_bytes, std::uint64_t seed);

  std::int64_t classes() const override { return recorded_.classes(); }
  const std::vector<Layer>& layers() const override { return recorded_.layers(); }
  std::int64_t samples() const override { return static_cast<std::int64_t>(indices_.size()); }
  void epoch(std::int64_t epoch, std::int64_t count, std::int64_t batch_size,
             const std::vector<std::size_t>& layers,
             const std::function<void(const Batch&)>& consume) override;
  at::Tensor validation_pd() const override { return recorded_.validation_pd(); }
  at::Tensor validation(std::size_t layer, std::int64_t first, std::int64_t count) override {
    return recorded_.validation(layer, first, count);
  }

 private:
  // Cut behind each of these; kept for the next epoch.
  const model::SegmentChain& chain_up_to(const std::vector<std::size_t>& layers);

  MedialSource recorded_;
  std::shared_ptr<const model::Backbone> backbone_;
  const data::Dataset& dataset_;
  const data::Transform& transform_;
  data::AugmentOptions augment_;
  std::size_t threads_;
  double memory_bytes_;
  bool told_of_room_ = false;
  std::uint64_t seed_;
  std::vector<std::int64_t> indices_;  // of the training samples in the data set
  std::optional<model::SegmentChain> chain_;
  std::vector<std::size_t> cut_behind_;
};

}  // namespace cachectl::learn
