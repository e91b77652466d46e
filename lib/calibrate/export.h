#pragma once

#include <string>

#include "artifact/caches.h"

namespace cachectl::calibrate {

// Throws Error(kUsage) when the name ends neither in .csv nor in .json.
void require_known_format(const std::string& path);

// The data behind the figures of hit rate, cache accuracy and drop over thresholds, and
// (JSON only) of the reliability diagrams. CSV: layer,threshold,hit_rate,
// cache_accuracy,drop. Throws Error(kCannotOpen).
void export_curves(const std::string& path, const artifact::Caches& caches);

}  // namespace cachectl::calibrate
