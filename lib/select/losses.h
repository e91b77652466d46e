#pragma once

#include <cstdint>
#include <vector>

#include "decision/records.h"

namespace cachectl::select {

// What a candidate's answer for a sample costs in agreement: `one` is a whole sample that
// differs from the backbone. [candidate][sample]
struct Losses {
  std::int32_t one = 1;
  std::vector<std::vector<std::int32_t>> of;
};

// 0 where the candidate agrees with the backbone, 1 where not.
Losses counted_losses(const decision::Records& records);

// The probability that an answer of this confidence differs, by a logistic regression of
// agreement on the log-odds of the confidence, per candidate, drawn towards "the
// calibrated confidence is right". A count of few errors, fitted to, says little of the
// next sample: thresholds that just avoid the wrong answers of one part meet others in
// the next. What all samples say together does not bend so easily, and it tells plans
// apart that have no error at all.
Losses smoothed_losses(const decision::Records& records);

}  // namespace cachectl::select
