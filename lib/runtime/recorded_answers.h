#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "artifact/caches.h"
#include "artifact/medial.h"
#include "decision/records.h"

// What cache models answer for recorded activations.
namespace cachectl::runtime {

// Logits [rows.size() * classes] of cache models for rows of the medial file, read in
// blocks: use(cache, logits) for each that is wanted, in order. `caches` may be a cascade; who is
// not wanted is asked only where a wanted one takes its logits. Throws Error(kIncompatible) that
// names both when shapes or classes differ.
using UseLogits = std::function<void(std::size_t, const std::vector<float>&)>;
void logits_on(const std::vector<artifact::TrainedCache>& caches, const std::vector<bool>& wanted,
               std::int64_t classes, const artifact::MedialReader& medial,
               const std::vector<std::int64_t>& rows, const UseLogits& use);

// Class and confidence of each sample, rounded as the engine rounds them.
decision::ExitRecord answers_of(const std::vector<float>& logits, std::int64_t classes,
                                double temperature);

// The class the backbone gave: the greatest of its distribution, of equal ones the first.
std::vector<std::int32_t> backbone_classes(const artifact::MedialReader& medial,
                                           const std::vector<std::int64_t>& rows);

// Ids of rows, without repeats, ascending.
std::vector<std::uint64_t> ids_of(const artifact::MedialReader& medial,
                                  const std::vector<std::int64_t>& rows);

}  // namespace cachectl::runtime
