#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "decision/records.h"
#include "eval/test_part.h"
#include "runtime/engine.h"

namespace cachectl::eval {

// A cache model to be measured alone.
struct AloneModel {
  std::string layer, architecture;
  double temperature = 1;
};

// What was answered to the samples of the test part, in its order.
struct Recording {
  std::vector<AloneModel> models;       // by depth; Recording::records.exits belongs to them
  decision::Records records;            // the backbone's class; each cache model's answer
  std::vector<std::vector<float>> raw;  // per model: confidence at temperature 1
  // Per plan of the engine: what its run answered, and at which exit (exits: the backbone).
  struct Answered {
    std::vector<std::int32_t> label;
    std::vector<float> confidence;
    std::vector<std::size_t> exit;
  };
  std::vector<Answered> plans;
  std::vector<std::int64_t> truth;  // as TestPart, and less what the loader skipped
  std::vector<std::int64_t> indices;
  std::vector<std::uint64_t> ids;

  std::int64_t size() const { return static_cast<std::int64_t>(indices.size()); }
};

// The confidence that these probabilities, softmax(logits / temperature), have at temperature 1.
double without_temperature(const float* probabilities, std::int64_t classes, double temperature);

// Streams the test part once: through the plain backbone; through every cache model of
// `alone` (an engine that never shrinks, one plan); and under each plan of `engine`.
Recording record(const TestPart& part, const runtime::Engine& engine, const runtime::Engine& alone,
                 std::int64_t batch_size, const Options& options);

}  // namespace cachectl::eval
