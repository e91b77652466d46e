#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "artifact/medial.h"
#include "learn/source.h"

namespace cachectl::learn {

// A medial file's training and validation parts. Layers asked for together that fit into the
// memory given are read once and kept at the precision they are stored in; of others,
// batches are read from the file in shuffled blocks.
class MedialSource : public Source {
 public:
  // Throws Error (nothing processed) when a part is empty. names: the layers offered, in
  // the order of the file; views: whether augmented views are drawn.
  MedialSource(const artifact::MedialReader& medial, const std::vector<std::string>& names,
               bool views, double memory_bytes, std::uint64_t seed);

  std::int64_t classes() const override { return medial_.classes(); }
  const std::vector<Layer>& layers() const override { return layers_; }
  std::int64_t samples() const override { return static_cast<std::int64_t>(rows_.size()); }
  std::int64_t views() const { return views_; }  // most rows of one sample
  void epoch(std::int64_t epoch, std::int64_t count, std::int64_t batch_size,
             const std::vector<std::size_t>& layers,
             const std::function<void(const Batch&)>& consume) override;
  at::Tensor validation_pd() const override { return validation_pd_; }
  at::Tensor validation(std::size_t layer, std::int64_t first, std::int64_t count) override;

 private:
  struct Kept {
    at::Tensor train, validation;
  };
  // Keeps these layers if memory allows all of them, and drops the others.
  void keep(const std::vector<std::size_t>& layers);
  // Batches of these training rows from the file, for layers that can't be kept.
  void stream(const std::vector<std::int64_t>& rows, std::int64_t epoch, std::int64_t batch_size,
              const std::vector<std::size_t>& layers,
              const std::function<void(const Batch&)>& consume);
  double bytes_of(std::size_t layer) const;

  const artifact::MedialReader& medial_;
  std::vector<Layer> layers_;
  double memory_bytes_;
  std::uint64_t seed_;
  std::vector<std::int64_t> train_rows_, validation_rows_;  // of the file
  std::vector<std::vector<std::int64_t>> rows_;             // by sample: positions in train_rows_
  std::int64_t views_ = 1;
  at::Tensor train_pd_, validation_pd_;
  std::map<std::size_t, Kept> kept_;
};

}  // namespace cachectl::learn
