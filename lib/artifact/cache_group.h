#pragma once

#include <vector>

#include "artifact/caches.h"
#include "io/hdf5.h"

// Cache models as a group of an HDF5 file: the same in caches and plan files.
namespace cachectl::artifact {

// Groups "0000", "0001", ... below `group`, in the order given. with_calibration_data
// false leaves out what only selection needs (answers, curves, training curve).
void write_cache_models(io::Group& group, const std::vector<TrainedCache>& caches,
                        bool with_calibration_data);

// Throws Error (corrupt) for missing or malformed objects, values that can't be, and a cache
// model that does not answer its sample inputs as it did when it was written.
std::vector<TrainedCache> read_cache_models(const io::Group& group);

}  // namespace cachectl::artifact
