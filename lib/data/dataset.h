#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/options.h"

namespace cachectl::data {

// Samples in a fixed order, without labels: those are opened apart, by lib/labels,
// which the stages before the evaluation do not link. Safe to read from many
// threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual std::int64_t size() const = 0;

  // Names a sample, the same at every reading and unique within the set. Made of
  // the sample's content for cifar10, cifar100, hdf5 and npy (so it survives a
  // renamed, reordered or extended file; the second of two equal samples gets an
  // id of its own), of the path below the root for folder, of (seed, part,
  // position) for synthetic.
  std::uint64_t id(std::int64_t index) const { return ids_.at(static_cast<std::size_t>(index)); }
  const std::vector<std::uint64_t>& ids() const { return ids_; }

  // The raw sample: uint8 [C, H, W] for images; for tensor files, a row in the
  // file's own dtype. A bad sample throws Error(kCorrupt) that names file and record.
  virtual at::Tensor read(std::int64_t index) const = 0;

  // The classes by name where the source knows them, in order of the label; else empty.
  virtual std::vector<std::string> class_names() const { return {}; }

  // What messages and reports call the set: "cifar10 /data/test_batch.bin".
  virtual std::string name() const = 0;
  // And a sample of it: a file of its own, or the set and the sample's number.
  virtual std::string sample_name(std::int64_t index) const;

  // SHA-256 of kind and ids in order (for folder, with the file sizes): equal
  // content, equal hash, wherever it lies.
  std::string content_hash() const { return content_hash_; }

 protected:
  // To be called once, at the end of construction. salt: what else tells sets apart.
  void set_ids(std::vector<std::uint64_t> ids, const std::string& salt);

 private:
  std::vector<std::uint64_t> ids_;
  std::string content_hash_;
};

// Opens and checks the set that the options name. Throws Error: kUsage for options
// that can't be, kCannotOpen, kCorrupt, kNothingProcessed for a set without samples.
std::unique_ptr<const Dataset> open_dataset(const Options& options, const CommonOptions& common);

}  // namespace cachectl::data
