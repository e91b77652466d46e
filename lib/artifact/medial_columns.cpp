#include "artifact/medial_columns.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>

namespace cachectl::artifact {
namespace {

// Rows this close together are read at once, gap and all: cheaper than two calls.
constexpr std::int64_t kGapBytes = 32 << 10;
// What is read at once at most when rows have to be picked from it.
constexpr std::int64_t kSpanBytes = 8 << 20;

}  // namespace

void Column::add(const io::Dataset& data, std::shared_ptr<const io::PositionedFile> file) {
  Extent extent{rows_, data.rows(), data, std::move(file), data.offset(), data.rows_per_chunk()};
  rows_ += extent.rows;
  if (extent.rows > 0) extents_.push_back(std::move(extent));
}

const Column::Extent& Column::extent_of(std::int64_t row) const {
  assert(row >= 0 && row < rows_);
  const auto behind = std::upper_bound(
      extents_.begin(), extents_.end(), row,
      [](std::int64_t value, const Extent& extent) { return value < extent.first; });
  return *std::prev(behind);
}

void Column::read_run(const Extent& extent, std::int64_t first, std::int64_t count,
                      void* out) const {
  const std::int64_t row = first - extent.first;
  if (extent.offset) {
    extent.file->read_at(*extent.offset + row * row_bytes_, out,
                         static_cast<std::size_t>(count * row_bytes_));
  } else {
    extent.data.read_rows(row, count, out);
  }
}

void Column::read(const std::vector<std::int64_t>& rows, void* out) const {
  if (row_bytes_ == 0) return;
  auto* const bytes = static_cast<char*>(out);
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (!std::is_sorted(rows.begin(), rows.end())) {
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return rows[a] < rows[b]; });
  }
  std::vector<char> scratch;
  for (std::size_t i = 0; i < order.size();) {
    const Extent& extent = extent_of(rows[order[i]]);
    const std::int64_t end = extent.first + extent.rows;
    std::int64_t first = rows[order[i]];
    std::int64_t last = first;  // included
    std::size_t next = i + 1;
    // As far as rows and their places in `out` follow one another.
    while (next < order.size() && rows[order[next]] == last + 1 && last + 1 < end &&
           order[next] == order[next - 1] + 1) {
      last = rows[order[next++]];
    }
    const bool picks = next < order.size() && rows[order[next]] < end &&
                       (rows[order[next]] - last) * row_bytes_ <= kGapBytes;
    if (extent.rows_per_chunk == 0 && (!picks || (last - first + 1) * row_bytes_ >= kGapBytes)) {
      read_run(extent, first, last - first + 1,
               bytes + static_cast<std::int64_t>(order[i]) * row_bytes_);
      i = next;
      continue;
    }
    // Otherwise a span of rows, whole chunks where there are any, from which to pick.
    const std::int64_t chunk = std::max<std::int64_t>(1, extent.rows_per_chunk);
    const std::int64_t gap = std::max(chunk, std::max<std::int64_t>(1, kGapBytes / row_bytes_));
    const std::int64_t longest = std::max(chunk, kSpanBytes / row_bytes_);
    const auto chunk_start = [&](std::int64_t row) {
      return extent.first + (row - extent.first) / chunk * chunk;
    };
    first = chunk_start(first);
    last = rows[order[i]];
    next = i + 1;
    while (next < order.size() && rows[order[next]] < end && rows[order[next]] - last <= gap &&
           chunk_start(rows[order[next]]) + chunk - first <= longest) {
      last = rows[order[next++]];
    }
    const std::int64_t count = std::min(end, chunk_start(last) + chunk) - first;
    scratch.resize(static_cast<std::size_t>(count * row_bytes_));
    read_run(extent, first, count, scratch.data());
    for (; i < next; ++i) {
      std::memcpy(bytes + static_cast<std::int64_t>(order[i]) * row_bytes_,
                  scratch.data() + (rows[order[i]] - first) * row_bytes_,
                  static_cast<std::size_t>(row_bytes_));
    }
  }
}

}  // namespace cachectl::artifact
