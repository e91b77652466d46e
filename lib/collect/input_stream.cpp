#include "collect/input_stream.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>

namespace cachectl::collect {

InputStream::InputStream(const data::Dataset& dataset, const data::Transform& transform,
                         const RowPlan& plan, const Options& options, std::int64_t first)
    : dataset_(dataset), transform_(transform), plan_(plan), options_(options), row_(first) {}

void InputStream::open_loader() {
  assert(row_ < static_cast<std::int64_t>(plan_.rows.size()));
  const std::int32_t view = plan_.rows[static_cast<std::size_t>(row_)].view;
  std::vector<std::int64_t> indices;
  for (auto i = static_cast<std::size_t>(row_); i < plan_.rows.size() && plan_.rows[i].view == view;
       ++i) {
    indices.push_back(plan_.rows[i].index);
  }
  data::LoaderOptions loading;
  loading.batch_size = options_.batch_size;
  loading.threads = options_.common.threads;
  loading.seed = static_cast<std::uint64_t>(options_.common.seed);
  loading.view = view;
  loading.pool = plan_.mix_pool;
  if (view > 0) loading.augment = options_.augment;
  loader_ = std::make_unique<data::BatchLoader>(dataset_, transform_, std::move(indices), loading);
}

at::Tensor InputStream::next(std::int64_t count) {
  std::vector<at::Tensor> pieces;
  while (count > 0) {
    const std::int64_t there = left_.defined() ? left_.size(0) - handed_ : 0;
    if (there == 0) {
      if (!loader_) open_loader();
      const auto batch = loader_->next();
      if (!batch) {
        loader_.reset();
        continue;
      }
      for (std::int64_t i = 0; i < batch->size(); ++i) {
        [[maybe_unused]] const Row& row = plan_.rows[static_cast<std::size_t>(row_ + i)];
        assert(batch->indices[static_cast<std::size_t>(i)] == row.index);
      }
      row_ += batch->size();
      left_ = batch->inputs;
      handed_ = 0;
      continue;
    }
    const std::int64_t taken = std::min(count, there);
    pieces.push_back(left_.narrow(0, handed_, taken));
    handed_ += taken;
    count -= taken;
  }
  return pieces.size() == 1 ? pieces.front() : at::cat(pieces);
}

}  // namespace cachectl::collect
