#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/split.h"
#include "io/artifact.h"

// kind "medial": for each candidate layer the activations, and once the backbone's
// output distributions (PD), the sample ids and their split. No labels.
// docs/formats/medial.md describes the file, object by object.
namespace cachectl::artifact {

// A row is one sample, or one augmented view of a training sample.
struct MedialRows {
  std::vector<std::uint64_t> ids;   // of the sample; a view has its sample's id
  std::vector<std::int32_t> views;  // 0: the sample itself; 1..N: its augmented views
  std::vector<data::Part> parts;    // views belong to kTrain alone
  // 0: the first collection; then one more with each --append: what is new to an update.
  std::vector<std::int32_t> generations;
  // Of mixup: the id of the other training sample (0: none) and the row's own weight.
  std::vector<std::uint64_t> partners;
  std::vector<float> weights;

  std::int64_t size() const { return static_cast<std::int64_t>(ids.size()); }
  // Appends the sample itself.
  void add(std::uint64_t id, data::Part part, std::int32_t generation = 0);
  // Appends an augmented view of a training sample.
  void add_view(std::uint64_t id, std::int32_t view, std::int32_t generation, std::uint64_t partner,
                float weight);
};

struct MedialLayer {
  std::string name;
  std::vector<std::int64_t> shape;         // of one activation
  io::DType stored = io::DType::kFloat16;  // float32, float16, bfloat16, int8
  // Of int8: an activation is scale[c] * stored + offset[c], c along this axis of `shape`.
  std::int64_t channel_axis = 0;
  std::vector<float> scale, offset;

  std::int64_t values() const;     // of one activation
  std::int64_t row_bytes() const;  // as stored
  // The axis that holds channels: the first of [C, H, W], the last of [T, D].
  static std::int64_t default_channel_axis(const std::vector<std::int64_t>& shape);
};

class MedialReader {
 public:
  // Checks the header, every object's presence, type and size, the rows and the PDs.
  explicit MedialReader(const std::string& path);
  ~MedialReader();
  MedialReader(MedialReader&&) noexcept;
  MedialReader& operator=(MedialReader&&) noexcept;

  const std::string& path() const;
  const io::Provenance& provenance() const;
  std::int64_t classes() const;
  const std::string& output_kind() const;  // "logits" or "probabilities"
  const std::string& transform() const;    // from a raw sample to an input; "" where unknown
  const MedialRows& rows() const;
  const std::vector<MedialLayer>& layers() const;           // in order of depth
  const MedialLayer& layer(const std::string& name) const;  // throws Error, names the known
  // Rows of each block: what was recorded, hashed and compressed at once.
  const std::vector<std::int64_t>& blocks() const;

  // Rows of a part, in the order of the file. Views are left out unless asked for, and
  // so are generations before `since`.
  std::vector<std::int64_t> rows_of(data::Part part, bool with_views = false,
                                    std::int32_t since = 0) const;
  // Of the samples in a part: data::ids_hash.
  std::string ids_hash(data::Part part) const;

  // [n, classes] float32: probabilities, each row sums to 1.
  at::Tensor pd(const std::vector<std::int64_t>& rows) const;
  // Activations as float32 [n, ...shape]; rows in any order, also repeated; read in runs.
  // Safe from several threads at once.
  at::Tensor activations(const std::string& layer, const std::vector<std::int64_t>& rows) const;
  // The same without the conversion: in the stored dtype (bfloat16 as kBFloat16).
  at::Tensor stored(const std::string& layer, const std::vector<std::int64_t>& rows) const;

  // Of merged files: the files that hold the activations, by path. Else empty.
  std::vector<std::string> sources() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A stage that recorded which samples it consumed (by data::ids_hash) checks what it is
// given next: throws Error(kIncompatible) that names the part, the file and who recorded.
void require_same_ids(const MedialReader& medial, data::Part part, const std::string& recorded_hash,
                      const std::string& recorded_by);
// Throws Error(kIncompatible) that names the first sample that is in one part in one
// file and in another part in the other.
void require_same_purpose(const MedialReader& a, const MedialReader& b);

// Error (incompatible) where the file was recorded from inputs made otherwise.
void require_same_transform(const MedialReader& medial, const std::string& transform);
// For rows that are to lie beside the file's: made from inputs in the same way, by the backbone at
// the same precision. what: whose these are.
void require_made_alike(const MedialReader& medial, const std::string& transform,
                        const std::string& precision, const std::string& what);

// Of the backbone when its answers were collected, which cache models learn and certificates speak
// of: "float32" or "bfloat16". From a medial file's record.
std::string precision_of_collection(const io::Provenance& medial);

}  // namespace cachectl::artifact
