#include "runtime/rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <numeric>

namespace cachectl::runtime {

std::int64_t Rows::waiting() const {
  return std::count_if(samples.begin(), samples.end(),
                       [](std::int64_t sample) { return sample >= 0; });
}

Rows rows_of(model::Tensors inputs, std::int64_t first) {
  assert(!inputs.empty());
  Rows rows;
  rows.samples.resize(static_cast<std::size_t>(inputs[0].size(0)));
  std::iota(rows.samples.begin(), rows.samples.end(), first);
  rows.live = std::move(inputs);
  return rows;
}

Rows survivors(const Rows& rows) {
  Rows kept;
  std::vector<std::int64_t> positions;
  for (std::size_t row = 0; row < rows.samples.size(); ++row) {
    if (!rows.waits(row)) continue;
    positions.push_back(static_cast<std::int64_t>(row));
    kept.samples.push_back(rows.samples[row]);
  }
  // All tensors lie on one device: the index goes there once, and nobody waits for it.
  const at::Tensor index = at::tensor(positions, at::kLong)
                               .to(rows.live.at(0).device(), at::kLong, /*non_blocking=*/true);
  for (const at::Tensor& tensor : rows.live) {
    kept.live.push_back(model::select_rows(tensor, index));
  }
  if (rows.prior.defined()) kept.prior = model::select_rows(rows.prior, index);
  return kept;
}

Rows merge(const std::vector<Rows>& parts) {
  assert(!parts.empty());
  std::vector<Rows> waiting;
  for (const Rows& part : parts) {
    if (const std::int64_t left = part.waiting(); left == part.size()) {
      if (left > 0) waiting.push_back(part);
    } else if (left > 0) {
      waiting.push_back(survivors(part));
    }
  }
  if (waiting.empty()) return {};
  if (waiting.size() == 1) return std::move(waiting[0]);
  Rows merged;
  for (std::size_t tensor = 0; tensor < waiting[0].live.size(); ++tensor) {
    std::vector<at::Tensor> pieces;
    pieces.reserve(waiting.size());
    for (const Rows& part : waiting) pieces.push_back(part.live.at(tensor));
    merged.live.push_back(at::cat(pieces));
  }
  if (waiting[0].prior.defined()) {
    std::vector<at::Tensor> pieces;
    pieces.reserve(waiting.size());
    for (const Rows& part : waiting) pieces.push_back(part.prior);
    merged.prior = at::cat(pieces);
  }
  for (const Rows& part : waiting) {
    merged.samples.insert(merged.samples.end(), part.samples.begin(), part.samples.end());
  }
  return merged;
}

}  // namespace cachectl::runtime
