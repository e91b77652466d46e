#pragma once

#include <string>
#include <vector>

#include "artifact/plan.h"
#include "select/plan_list.h"

namespace cachectl::select {

// The plans, runners-up and certificates on stdout: tables, or JSON. list and certified
// are empty without a certificate.
void print_plans(const artifact::PlanFile& file, const std::vector<ListedPlan>& list,
                 const Certified& certified, bool per_class, bool json);

// What a person should be told of a plan in one sentence.
std::string sentence(const artifact::Plan& plan);

}  // namespace cachectl::select
