#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "artifact/study.h"
#include "learn/source.h"
#include "learn/student.h"
#include "model/workers.h"
#include "search/space.h"

namespace cachectl::search {

// A budget of training: epochs over a share of the training samples.
struct Rung {
  std::int64_t epochs = 1;
  double share = 1;
};

// How trials are proposed, trained and compared.
struct Strategy {
  std::string proposals = "evolution";  // evolution, random
  std::vector<Rung> rungs;              // rising
  std::int64_t eta = 4;                 // one in so many is promoted, [2, 64]
  std::int64_t trials = 64;
  std::int64_t group = 8;             // trained in one pass, [1, 256]
  std::int64_t patience = 0;          // stop after so many trials without a gain; 0: never
  std::int64_t population = 16;       // of the evolution: the youngest that count
  std::int64_t tournament = 5;        // of the evolution: the best of so many is the parent
  std::string objective = "utility";  // utility, accuracy
  double flops_penalty = 1;  // of `accuracy`: lost per share of C2 that the cache model costs
  double tolerance = 0.01;   // of `utility`
  bool record_seconds = true;
};

// When to stop on the clock: no new trials after `no_new`, nothing more after `end`;
// seconds from the bracket's start; 0: never.
struct Clock {
  double no_new = 0, end = 0;
};

// Goes on with the search of one layer until it is complete. What is proposed and promoted
// follows from `study` and the seed alone, so that a study cut short goes on as if it had
// not been. layer: index into the source's layers. save: after each pass.
void run_bracket(artifact::LayerStudy& study, learn::Source& source, std::size_t layer,
                 const LayerSpace& space, const Strategy& strategy, const learn::Recipe& recipe,
                 std::uint64_t seed, const Clock& clock, model::Workers& workers,
                 const std::function<void()>& save);

// The next proposals, none of them tried before where the space has others.
std::vector<artifact::Trial> propose(const artifact::LayerStudy& study, const LayerSpace& space,
                                     const Strategy& strategy, std::uint64_t seed,
                                     std::size_t count);

}  // namespace cachectl::search
