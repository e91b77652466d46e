#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "artifact/caches.h"
#include "base/options.h"
#include "io/artifact.h"

// kind "plan": everything that deployment needs besides the backbone.
namespace cachectl::artifact {

// One exit of a plan: which cache model, and from which confidence on it answers.
struct Exit {
  std::int64_t cache = 0;  // index into PlanFile::caches
  double threshold = 1;    // answers where confidence >= threshold
};

struct Certificate {
  double epsilon = 0, delta = 0;
  std::int64_t samples = 0, differing = 0;  // n, k
  double p_value = 1;
  bool holds = false;
  std::int64_t samples_needed = 0;  // when it does not hold
  std::string certify_ids_hash;
  std::string bound = "exact binomial, fixed-sequence testing";
};

struct Plan {
  std::int64_t batch = 0;       // the batch size it is meant for; 0: any
  std::vector<Exit> exits;      // in order of depth; empty: the plain backbone
  double predicted_saving = 0;  // share of the plain cost, on validation
  double predicted_risk = 0;    // share of validation samples answered otherwise
  std::optional<Certificate> certificate;
};

struct PlanFile {
  std::string backbone_hash;
  std::int64_t classes = 0;
  std::string cost_kind;  // "flops" or "latency"
  double tolerance = 0;
  std::string budget;                // "halving", "equal", "joint"
  std::vector<TrainedCache> caches;  // only those that a plan uses; in order of depth
  std::vector<Plan> plans;           // at least one; ascending batch
  // Self-test: a few inputs of the backbone and the answers expected of each plan.
  at::Tensor self_test_inputs;
  io::Provenance provenance;  // filled on reading

  const Plan& plan_for(std::int64_t batch) const;  // the one whose batch is nearest in ratio
};

void write_plan(const std::string& path, const PlanFile& plan, const CommonOptions& common,
                const std::map<std::string, io::Provenance>& inputs);
PlanFile read_plan(const std::string& path);

}  // namespace cachectl::artifact
