#pragma once

#include <string>
#include <vector>

#include "artifact/caches.h"
#include "artifact/medial.h"
#include "artifact/profile.h"
#include "decision/cost.h"
#include "decision/curve.h"
#include "decision/records.h"
#include "select/select.h"
#include "select/subset.h"

namespace cachectl::select {

// What selection decides on: everything known from the profile, the calibrated cache
// models and the validation part, and nothing of the certify part.
struct Problem {
  artifact::Profile profile;
  artifact::Caches caches;
  decision::Records validation;
  std::vector<decision::Curve> curves;
  Limits limits;
  std::vector<std::int64_t> batches;       // one plan for each; 0: any batch
  std::vector<decision::CostModel> costs;  // per batch
};

// Reads and checks that the files belong together. Throws Error.
Problem read_problem(const Options& options, const artifact::MedialReader& medial);

}  // namespace cachectl::select
