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

// With probability 1 - delta over the certifying samples, the plan's class differs from
// the backbone's on at most a share epsilon of traffic exchangeable with them.
struct Certificate {
  double epsilon = 0, delta = 0;
  std::int64_t samples = 0, differing = 0;  // n, k
  double p_value = 1;
  bool holds = false;
  std::int64_t samples_needed = 0;  // when it does not hold; 0: no number helps
  std::string certify_ids_hash;
  std::string bound = "exact binomial, fixed-sequence testing";
  // What k was counted on: cache models of this precision, asked about activations as the medial
  // file keeps them ("float16"; several: "float16, int8"), against the answers of a backbone of its
  // own precision. storage "": not recorded.
  std::string precision = "float32", storage, backbone_precision = "float32";
  // SHA-256 of the frozen list it was tested in, and how many plans of the list there
  // were, were tested, and were certified.
  std::string list_hash;
  std::int64_t list_size = 0, list_tested = 0, list_certified = 0;
};

// How a run in these precisions lies outside the certificate: "certified at float32 on float16
// activations; this run is at bfloat16 (backbone) and float32 (cache models), outside it". Empty:
// it does not.
std::string outside_of(const Certificate& certificate, const std::string& precision,
                       const std::string& cache_precision);

// Why a plan has no exits.
enum class Emptiness : std::uint8_t {
  kNothingPays,       // no set of cache models within the tolerance costs less than the backbone
  kNothingCertified,  // some would, and none of them passed the test
  kNoCertifiedPays    // some passed, and none of those costs less at the plan's batch size
};
const char* name_of(Emptiness emptiness);  // "nothing pays", ...
// certificate: the empty plan's; nullptr where none was asked for.
Emptiness emptiness_of(const Certificate* certificate);

// A subset that would have been next, with what it would save.
struct RunnerUp {
  std::vector<std::string> layers;
  std::vector<double> thresholds;
  double predicted_saving = 0, predicted_risk = 0;
};

// Of the validation samples the backbone puts into class `label`: how many leave
// early, and how many get another class.
struct ClassShare {
  std::int32_t label = 0;
  std::int64_t samples = 0, hits = 0, differing = 0;
};

struct Plan {
  std::int64_t batch = 0;       // the batch size it is meant for; 0: any
  std::vector<Exit> exits;      // in order of depth; empty: the plain backbone
  double predicted_saving = 0;  // share of the plain cost, on validation
  double predicted_risk = 0;    // share of validation samples answered otherwise
  std::optional<Certificate> certificate;
  std::vector<std::int64_t> reach, hits;  // validation samples, per exit
  std::vector<ClassShare> classes;
  std::vector<RunnerUp> runners_up;  // cheapest first
  // What the self-test inputs must be answered with, and at which exit (exits.size():
  // by the backbone). Empty where the inputs are only good for their shape.
  std::vector<std::int32_t> self_test_labels, self_test_exits;
};

struct PlanFile {
  std::string backbone_hash;
  std::int64_t classes = 0;
  std::string cost_kind;  // "flops" or "latency"
  double tolerance = 0;
  std::string budget;                // "halving", "equal", "joint"
  std::vector<TrainedCache> caches;  // only those that a plan uses; in order of depth
  std::vector<Plan> plans;           // at least one; ascending batch
  // Self-test: a few inputs of the backbone, [n, ...] float32, transformed; the answers
  // are in each plan. Where select had no data set: one input of noise, no answers.
  at::Tensor self_test_inputs;
  // From a raw sample to such an input, as data::Transform::parse takes it; "": unknown.
  std::string transform;
  std::vector<std::string> class_names;  // empty where unknown
  // The samples that any step up to here has seen; a verification must not use them.
  std::vector<std::uint64_t> train_ids, validation_ids, certify_ids;
  io::Provenance provenance;  // filled on reading

  // Of the backbone whose answers all that was made from: "float32", "bfloat16".
  std::string collected_precision() const;
  const Plan& plan_for(std::int64_t batch) const;  // the one whose batch is nearest in ratio
};

void write_plan(const std::string& path, const PlanFile& plan, const CommonOptions& common,
                const std::map<std::string, io::Provenance>& inputs);
PlanFile read_plan(const std::string& path);

}  // namespace cachectl::artifact
