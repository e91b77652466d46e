#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "artifact/medial.h"
#include "base/options.h"

namespace cachectl::artifact {

// All that is known of a medial file before the first activation.
struct MedialPlan {
  std::int64_t classes = 0;
  std::string output_kind = "logits";  // what the backbone gives: logits or probabilities
  MedialRows rows;
  std::vector<MedialLayer> layers;   // in order of depth; int8: with their scale
  std::vector<std::int64_t> blocks;  // rows of each block; they sum to the rows
  int deflate = 0;                   // 0: not compressed; 1-9: shuffle + deflate
  // Of the file, when compressed: what the space on the disk is compared with.
  std::int64_t expected_bytes = 0;
  std::map<std::string, std::string> notes;  // further text attributes of the root
  // The settings that the contents follow from, as "name: value" lines: a partial file
  // is gone on with only when they are the same, else the lines that differ are named.
  std::string settings;

  // Blocks of so many rows, the last one of what is left.
  void cut_into_blocks(std::int64_t rows_per_block);
  std::int64_t row_bytes() const;  // of all layers and the PD, not compressed
};

// The rows of one block: encoded activations (medial_codec.h), one tensor a layer.
struct MedialBlock {
  at::Tensor pd;                        // float32 [rows, classes], contiguous
  std::vector<at::Tensor> activations;  // contiguous, in the stored dtype, by layer
  std::vector<std::int64_t> clipped;    // int8: values beyond the scale, by layer; or empty
};

// Writes a medial file so that it can't be spoilt: everything grows in PATH.partial with a
// journal beside it, and takes its name when it is whole. What a killed run had written is
// found again by its digests. A fault of the disk removes both. One thread at a time.
class MedialWriter {
 public:
  // With common.resume and a partial file it goes on from that one, with the int8 scales
  // found there: Error(kIncompatible) when it was begun with other settings. Without, a
  // partial file is refused, or with common.force begun anew. Throws Error(kCannotOpen)
  // with the figures when the disk has not enough space for it.
  MedialWriter(const std::string& path, MedialPlan plan, const CommonOptions& common,
               std::map<std::string, io::Provenance> inputs);
  ~MedialWriter();
  MedialWriter(const MedialWriter&) = delete;
  MedialWriter& operator=(const MedialWriter&) = delete;

  const MedialPlan& plan() const;    // as it is written
  std::int64_t blocks_done() const;  // the next one to be written
  void write_block(const MedialBlock& block);
  // All blocks must be written.
  io::Provenance commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Encodes whole tensors and writes them: for tests and for users who bring activations.
// activations: by layer, [rows, ...shape] float32; layers' shape is taken from them.
io::Provenance write_medial(const std::string& path, MedialPlan plan, const at::Tensor& pd,
                            const std::vector<at::Tensor>& activations, const CommonOptions& common,
                            const std::map<std::string, io::Provenance>& inputs);

}  // namespace cachectl::artifact
