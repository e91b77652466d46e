#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/options.h"

namespace cachectl::data {

// Persisted in artifacts: never renumber.
enum class Part : std::uint8_t { kTrain = 0, kValidation = 1, kCertify = 2, kTest = 3 };
inline constexpr std::array<Part, 4> kParts = {Part::kTrain, Part::kValidation, Part::kCertify,
                                               Part::kTest};
std::string part_name(Part part);              // "train", "validation", "certify", "test"
Part part_from_name(const std::string& name);  // throws Error(kUsage)

// Cuts a data set by sample id: ids are ranked by a hash of (seed, id) and the ranking
// is cut at the shares. So the parts have exactly their shares (largest remainder), are
// disjoint, don't depend on the samples' order, and new samples move only those next
// to a cut.
class Split {
 public:
  // ids: in the data set's order, without repeats. Throws Error(kUsage) for shares that
  // don't sum to 1.
  Split(const std::vector<std::uint64_t>& ids, const SplitOptions& options, std::uint64_t seed);

  Part part(std::int64_t index) const { return parts_.at(static_cast<std::size_t>(index)); }
  const std::vector<Part>& parts() const { return parts_; }
  // Positions of a part's samples in the data set, ascending.
  const std::vector<std::int64_t>& indices(Part part) const {
    return indices_[static_cast<std::size_t>(part)];
  }
  std::vector<std::uint64_t> ids(Part part) const;
  std::string ids_hash(Part part) const;

 private:
  std::vector<std::uint64_t> ids_;
  std::vector<Part> parts_;
  std::array<std::vector<std::int64_t>, 4> indices_;
};

// SHA-256 of a set of ids, whatever their order: what stages record about the samples
// they consumed, and compare.
std::string ids_hash(std::vector<std::uint64_t> ids);

}  // namespace cachectl::data
