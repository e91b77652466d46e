#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/split.h"
#include "io/artifact.h"

// kind "medial": for each candidate layer the activations, and once the backbone's
// output distributions (PD), the sample ids and their split. No labels.
namespace cachectl::artifact {

// A row is one sample, or one augmented view of a training sample.
struct MedialRows {
  std::vector<std::uint64_t> ids;   // of the sample; a view has its sample's id
  std::vector<std::int32_t> views;  // 0: the sample itself; 1..N: its augmented views
  std::vector<data::Part> parts;    // views belong to kTrain alone
};

struct MedialLayer {
  std::string name;
  std::vector<std::int64_t> shape;  // of one activation
  io::DType stored;                 // float32, float16, bfloat16, int8
};

class MedialReader {
 public:
  explicit MedialReader(const std::string& path);
  ~MedialReader();
  MedialReader(MedialReader&&) noexcept;

  const std::string& path() const;
  const io::Provenance& provenance() const;
  std::int64_t classes() const;
  const MedialRows& rows() const;
  const std::vector<MedialLayer>& layers() const;           // in order of depth
  const MedialLayer& layer(const std::string& name) const;  // throws Error, names the known

  // Rows of a part, in the order of the file. Views are left out unless asked for.
  std::vector<std::int64_t> rows_of(data::Part part, bool with_views = false) const;
  std::string ids_hash(data::Part part) const;

  at::Tensor pd(const std::vector<std::int64_t>& rows) const;  // [n, classes] float32
  // Activations as float32 [n, ...shape]; rows in any order, read in runs.
  at::Tensor activations(const std::string& layer, const std::vector<std::int64_t>& rows) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cachectl::artifact
