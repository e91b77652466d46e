#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "artifact/caches.h"
#include "artifact/profile.h"
#include "decision/cost.h"

// Costs of plans from a profile and trained cache models.
namespace cachectl::select {

// Throws Error(kCorrupt) for cache models that do not stand in the order of the layers they read.
void require_order(const artifact::Profile& profile, const artifact::Caches& caches);

// FLOPs per sample of segments (profile) and cache models (their own).
decision::CostModel flops_model(const artifact::Profile& profile, const artifact::Caches& caches,
                                std::size_t samples);

// Milliseconds that cache models and the shrinking behind them take on this device, per
// candidate, at batch sizes 1, 2, 4, ... up to `largest`. Half of the batch is taken
// for copied. Measured here and now: the result is not the same from run to run.
std::vector<decision::Timing> time_look_ups(const artifact::Caches& caches, std::int64_t largest,
                                            const std::string& device);

// Seconds over the samples in batches of `batch`. The segments' timings are scaled so
// that together they take the backbone's fastest plain time: what the profile's many
// cuts cost is not what a plan's few do. Throws Error(kIncompatible) for a profile
// without timings.
decision::CostModel latency_model(const artifact::Profile& profile, const artifact::Caches& caches,
                                  const std::vector<decision::Timing>& look_ups,
                                  std::size_t samples, std::int64_t batch);

}  // namespace cachectl::select
