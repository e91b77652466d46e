#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/options.h"
#include "io/artifact.h"

// kind "study": the architectures that were tried for each layer, and the chosen ones.
namespace cachectl::artifact {

// What a trial showed after training with one budget.
struct RungResult {
  std::int64_t rung = 0;
  std::int64_t epochs = 0, samples = 0;     // of that training, from the beginning
  double score = 0;                         // what trials are promoted by
  double utility = 0;                       // FLOPs saved per sample at the tolerance
  double agreement = 0, divergence = 0;     // with the backbone, on the validation part
  double hit_rate = 0, cache_accuracy = 0;  // at the best threshold within the tolerance
  double train_loss = 0;
  double seconds = 0;  // its share of the pass; 0 with --no-provenance
};

// Persisted: never renumber.
enum class TrialState : std::uint8_t {
  kStopped = 0,   // not promoted further
  kFinished = 1,  // reached the last rung
  kFailed = 2     // a loss that is not finite
};
const char* name_of(TrialState state);

struct Trial {
  std::int64_t number = 0;   // from 0, in order of proposal within the bracket
  std::string architecture;  // model::Architecture's text
  std::string origin;        // "first", "random", "mutation of 12"
  double flops = 0;          // C1, per sample
  std::int64_t parameters = 0, weight_bytes = 0;
  TrialState state = TrialState::kStopped;
  std::vector<RungResult> rungs;  // rising; empty: failed in the first

  const RungResult* last() const { return rungs.empty() ? nullptr : &rungs.back(); }
};

struct LayerStudy {
  std::string layer;
  std::vector<std::int64_t> shape;
  double flops_before = 0, flops_after = 0;  // of the backbone; flops_after is C2
  double chance = 0;                         // agreement of always the most frequent class
  std::int64_t bracket = 0;                  // independent searches of one layer, joined by a merge
  bool complete = false;                     // no more trials are to come
  std::vector<Trial> trials;
};

// The best of a layer: among the trials that reached the highest rung, over all brackets.
struct Choice {
  std::string layer;
  const Trial* trial = nullptr;  // nullptr: discarded
  std::string reason;            // why there is none
};

// One search of one layer.
struct StudyUnit {
  std::string layer;
  std::int64_t bracket = 0;

  bool operator==(const StudyUnit& other) const {
    return layer == other.layer && bracket == other.bracket;
  }
};

struct Study {
  std::int64_t classes = 0, validation_samples = 0;
  double tolerance = 0;
  std::string objective, settings;  // settings: what the trials depend on, as YAML lines
  std::string train_ids_hash, validation_ids_hash;
  std::vector<StudyUnit> asked;    // of all shards together; empty in files that don't say
  std::vector<LayerStudy> layers;  // by depth, then bracket
  io::Provenance provenance;       // filled on reading

  bool complete() const;
};

// The units of these layers, which are in order of depth.
std::vector<StudyUnit> units_of(const std::vector<std::string>& layers, std::int64_t brackets);
// Those that were asked for and are not there, in order.
std::vector<StudyUnit> missing(const Study& study);

// Trials of the highest rung that no other one of it beats in utility at no more FLOPs;
// by rising FLOPs.
std::vector<const Trial*> pareto_front(const std::vector<const LayerStudy*>& brackets);
std::vector<Choice> choose(const Study& study);  // one per layer, in order of depth

// Written whole and renamed: a reader sees the last state or the one before.
void write_study(const std::string& path, const Study& study, const CommonOptions& common,
                 const std::map<std::string, io::Provenance>& inputs);
Study read_study(const std::string& path);

}  // namespace cachectl::artifact
