#pragma once

#include <vector>

#include "artifact/caches.h"
#include "learn/source.h"
#include "train/checkpoint.h"

namespace cachectl::train {

// The kept epochs of those courses that are better than chance, or needed by one that is, with
// samples for the replay at load. Says of the others why they are discarded.
std::vector<artifact::TrainedCache> trained_caches(const std::vector<Course>& courses, bool cascade,
                                                   learn::Source& source);

}  // namespace cachectl::train
