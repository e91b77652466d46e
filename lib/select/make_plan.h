#pragma once

#include <string>
#include <vector>

#include "artifact/plan.h"
#include "select/plan_list.h"
#include "select/problem.h"

namespace cachectl::select {

// A plan for one of the problem's batches, with the exits it was made of.
struct MadePlan {
  decision::Exits exits;
  artifact::Plan plan;  // exits still numbered by candidate
};

// Under the tolerance: for each batch the best subset and thresholds of the budget.
std::vector<MadePlan> plans_within(const Problem& problem, double tolerance,
                                   const std::string& budget, std::size_t top, std::size_t threads);

// What a list of plans was certified on.
struct CertifyPart {
  std::string ids_hash;
  std::string storage, backbone_precision;  // as artifact::Certificate
};

// For each batch the cheapest certified plan of the list, the certificate filled in;
// where there is none, the empty plan with the certificate that failed.
std::vector<MadePlan> plans_certified(const Problem& problem, const std::vector<ListedPlan>& list,
                                      const Certified& certified, const Options& options,
                                      const CertifyPart& part);

// The file's plans and the cache models they use, numbered anew.
void assemble(const Problem& problem, const std::vector<MadePlan>& plans, artifact::PlanFile& file);

}  // namespace cachectl::select
