#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "select/subset.h"

// The list of plans that a certificate is tested over, and the choice from it.
namespace cachectl::select {

struct ListedPlan {
  decision::Exits exits;
  double estimated_risk = 0;   // smoothed (losses.h): a finer order than that of counts
  std::int64_t differing = 0;  // counted on the validation samples
  std::vector<double> costs;   // over the validation samples, per cost model
};

struct ListOptions {
  double greatest_risk = 0.02;  // estimated on validation; bolder plans are left out
  std::size_t steps = 64;       // at most so many allowances between 0 and that
  std::size_t threads = 1;
};

// Plans on the Pareto front of (estimated risk, cost) under any of the cost models,
// from the safest to the boldest, none dearer than the backbone under the model whose
// front it is on. A function of validation data alone: it is frozen when it returns.
std::vector<ListedPlan> plan_list(const decision::Records& validation,
                                  const std::vector<decision::Curve>& curves,
                                  const std::vector<decision::CostModel>& costs,
                                  const Limits& limits, const ListOptions& options);

// SHA-256 over the plans in their order: candidates and thresholds.
std::string hash_of(const std::vector<ListedPlan>& list);

struct Certified {
  std::int64_t samples = 0;             // n
  std::vector<std::int64_t> differing;  // k of each plan that was tested
  std::vector<double> p_values;         // of the same
  std::size_t plans = 0;                // certified, from the front of the list
  // Per cost model the cheapest certified plan, an index into the list; -1: none that
  // costs less than the backbone.
  std::vector<std::int64_t> cheapest;
  // With none certified: how many samples the safest plan would need if it went on
  // losing at the rate seen; 0 where that is epsilon or above, and no number helps.
  std::int64_t samples_needed = 0;
};

// Learn-then-Test: fixed-sequence testing of the list on samples that had no part in it.
Certified certify(const std::vector<ListedPlan>& list, const decision::Records& certifying,
                  double epsilon, double delta);

}  // namespace cachectl::select
