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
  model::CacheModel::State best;
  bool stopped = false;  // by its patience
};

// kind "checkpoint": written whole and renamed. settings: what must be the same to go on.
void write_checkpoint(const std::string& path, std::int64_t epochs_done, std::int64_t epochs,
                      const std::vector<Course>& courses, const std::string& settings,
                      const CommonOptions& common,
                      const std::map<std::string, io::Provenance>& inputs);

// Into courses of the same layers and architectures; returns the epochs done. Throws Error
// (incompatible) when it was begun with other settings.
std::int64_t read_checkpoint(const std::string& path, std::vector<Course>& courses,
                             const std::string& settings);

// The length of the run it is of: with a limit of minutes, what was found to fit.
std::int64_t epochs_of_checkpoint(const std::string& path);

}  // namespace cachectl::train
