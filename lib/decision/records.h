#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// What cache models answered for recorded samples, and the exits of a plan as
// plain values. Candidates are numbered by depth, from 0.
namespace cachectl::decision {

// One cache model's answers, after temperature scaling.
struct ExitRecord {
  std::vector<std::int32_t> prediction;  // [N] class
  std::vector<float> confidence;         // [N] probability of that class, in (0, 1]
};

// The answers of all candidates' cache models for the same N samples.
struct Records {
  std::vector<std::int32_t> backbone;  // [N] the backbone's class
  std::vector<ExitRecord> exits;       // by depth

  std::size_t samples() const { return backbone.size(); }
  std::size_t candidates() const { return exits.size(); }
  bool is_wrong(std::size_t candidate, std::size_t sample) const {
    return exits[candidate].prediction[sample] != backbone[sample];
  }
  // Asserts equal lengths and confidences in [0, 1].
  void check() const;
};

// A hit where confidence >= threshold. A threshold above 1 never hits.
struct Exit {
  std::size_t candidate = 0;
  float threshold = 1;
};
inline bool operator==(const Exit& a, const Exit& b) {
  return a.candidate == b.candidate && a.threshold == b.threshold;
}

constexpr float kNeverHits = 2;

// Candidates strictly increasing. Empty: the backbone alone.
using Exits = std::vector<Exit>;

}  // namespace cachectl::decision
