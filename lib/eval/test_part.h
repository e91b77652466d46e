#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "artifact/plan.h"
#include "data/dataset.h"
#include "data/transform.h"
#include "eval/eval.h"
#include "labels/labels.h"

namespace cachectl::eval {

// The samples that the evaluation runs on, and the truth about them.
struct TestPart {
  std::unique_ptr<const data::Dataset> dataset;
  data::Transform transform;
  std::vector<std::int64_t> indices;  // positions in the data set, ascending
  std::vector<std::uint64_t> ids;     // as indices
  std::vector<std::int64_t> truth;    // as indices; labels::kUnknown; empty without labels

  std::int64_t size() const { return static_cast<std::int64_t>(indices.size()); }
};

// By the ids of the medial file's test part where one is named; by --all-samples; else by
// splitting the data set as cachectl-collect does. Throws as evaluate() says.
TestPart open_test_part(const Options& options, const artifact::PlanFile& plan);

// Throws Error(kIncompatible) that says how many of `ids` an earlier step consumed, and
// which step. Samples of `all` with no part in the plan pass.
void require_unseen(const std::vector<std::uint64_t>& ids, const artifact::PlanFile& plan,
                    const std::string& plan_name, const std::string& data_name);

}  // namespace cachectl::eval
