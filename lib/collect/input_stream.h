#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "collect/planning.h"
#include "data/loader.h"
#include "data/transform.h"

namespace cachectl::collect {

// The backbone's inputs for consecutive rows of a plan, read and decoded ahead in threads.
// Views follow one another, so a block may hold the end of one and the begin of the next.
class InputStream {
 public:
  // All must outlive the stream. first: the first row that is wanted.
  InputStream(const data::Dataset& dataset, const data::Transform& transform, const RowPlan& plan,
              const Options& options, std::int64_t first);

  // The next `count` rows, [count, ...]; throws what a sample threw.
  at::Tensor next(std::int64_t count);

 private:
  void open_loader();

  const data::Dataset& dataset_;
  const data::Transform& transform_;
  const RowPlan& plan_;
  const Options& options_;
  std::int64_t row_;         // the next one to be loaded
  std::int64_t handed_ = 0;  // rows of `left_` that were handed out
  at::Tensor left_;          // what was loaded and not yet handed out
  std::unique_ptr<data::BatchLoader> loader_;
};

}  // namespace cachectl::collect
