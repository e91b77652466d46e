#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace cachectl::model {

// What running a part of a network costs, for one sample.
struct SegmentCost {
  double macs = 0;         // multiply-accumulates of convolutions and matrix products
  double element_ops = 0;  // values that other ops (activation, pooling, norm) read; not in flops()
  std::int64_t parameters = 0;    // of the weights and biases used, batch norms folded
  std::int64_t weight_bytes = 0;  // at the precision they are run in
  std::int64_t live_bytes = 0;    // LTMA: most bytes of tensors alive at once, weights apart
  std::map<std::string, std::int64_t> uncounted;  // ops without a rule, and how often each ran

  double flops() const { return 2 * macs; }
  SegmentCost& operator+=(const SegmentCost& other);  // live_bytes: the greater of both
};

}  // namespace cachectl::model
