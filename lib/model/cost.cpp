#include "model/cost.h"

#include <algorithm>

namespace cachectl::model {

SegmentCost& SegmentCost::operator+=(const SegmentCost& other) {
  macs += other.macs;
  element_ops += other.element_ops;
  parameters += other.parameters;
  weight_bytes += other.weight_bytes;
  live_bytes = std::max(live_bytes, other.live_bytes);
  for (const auto& [op, count] : other.uncounted) uncounted[op] += count;
  return *this;
}

}  // namespace cachectl::model
