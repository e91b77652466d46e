#pragma once

#include <cstdint>
#include <vector>

#include "learn/lesson.h"
#include "train/checkpoint.h"

// Which epoch of a training is kept.
namespace cachectl::train {

struct Keeping {
  bool cascade = false;
  std::int64_t patience = 0, validate_every = 1;  // of train::Options
};

// Figures of all courses after an epoch. Each keeps its best epoch and stops by its own
// patience; a cascade is one model, whose layers know one another as they were at one time: all
// keep the epoch at which they agree best on average, and stop together. In a cascade a student
// whose answers are no numbers fails.
void validate(learn::Source& source, std::vector<Course>& courses,
              std::vector<learn::Student>& students, std::int64_t epoch, const Keeping& keeping,
              model::Workers& workers);

}  // namespace cachectl::train
