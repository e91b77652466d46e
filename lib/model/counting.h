#pragma once

#include <functional>

#include "model/cost.h"
#include "model/segments.h"

namespace cachectl::model {

// Counts what `work` does on this thread, from the operations LibTorch runs and the
// shapes they get, in control flow too. macs and element_ops are those of the whole batch;
// live_bytes is the most that its allocations held at once, `held_bytes` on top.
// parameters and weight_bytes stay zero.
SegmentCost count_work(const std::function<void()>& work, std::int64_t held_bytes = 0);

}  // namespace cachectl::model
