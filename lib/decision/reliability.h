#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "decision/records.h"

namespace cachectl::decision {

// Samples whose confidence lies in (low, high]; the first bin takes 0, too.
struct Bin {
  double low = 0, high = 0;
  std::int64_t samples = 0;
  double confidence = 0;  // mean over the bin; 0 when it is empty
  double agreement = 0;   // share whose class is the backbone's; 0 when it is empty
};

// Bins of equal width over [0, 1].
std::vector<Bin> reliability(const ExitRecord& record, const std::vector<std::int32_t>& backbone,
                             std::size_t bins = 15);

// Expected calibration error: the bins' |agreement - confidence|, weighted by their samples.
double expected_calibration_error(const std::vector<Bin>& bins);

}  // namespace cachectl::decision
