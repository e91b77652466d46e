#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "artifact/caches.h"
#include "io/artifact.h"
#include "learn/student.h"

namespace cachectl::train {

// One layer of a training run: the student, and its best epoch so far.
struct Course {
  std::string layer;
  learn::Student student;
  std::vector<artifact::CurvePoint> curve;
  double best_agreement = -1;
  std::int64_t best_epoch = 0;
  std::int64_t gain_epoch = 0;  // of the last gain; ties are kept, but are none
  model::CacheModel::State best;
  bool stopped = false;  // by its patience
};

// How far a run is.
struct Standing {
  std::int64_t epochs_done = 0;
  std::int64_t epochs = 0;            // with a limit of minutes, what was found to fit
  std::vector<std::string> left_out;  // layers that a cascade began anew without
};

// kind "checkpoint": written whole and renamed. settings: what must be the same to go on.
void write_checkpoint(const std::string& path, const Standing& standing,
                      const std::vector<Course>& courses, const std::string& settings,
                      const CommonOptions& common,
                      const std::map<std::string, io::Provenance>& inputs);

// What to begin courses with that a checkpoint is read into. Throws Error (incompatible) when
// it was begun with other settings.
Standing read_standing(const std::string& path, const std::string& settings);

// Into courses of the same layers and architectures.
void read_checkpoint(const std::string& path, std::vector<Course>& courses);

}  // namespace cachectl::train
