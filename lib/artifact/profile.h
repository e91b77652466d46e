#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "io/artifact.h"

namespace cachectl::artifact {

// Median and spread of repeated timings at one batch size, in milliseconds per batch.
struct Timing {
  std::int64_t batch = 0;
  double median_ms = 0, p10_ms = 0, p90_ms = 0;
};

// What one segment of the backbone costs per sample. Segment i ends at candidate i;
// the last segment ends at the output. FLOPs are 2 per multiply-accumulate.
struct SegmentCost {
  double flops = 0;
  double macs = 0;         // of convolutions and matrix products: flops / 2
  double element_ops = 0;  // values that other operations read; not in flops
  std::int64_t parameters = 0;
  std::int64_t weight_bytes = 0;
  std::int64_t peak_live_bytes = 0;  // LTMA: tensors alive at once, per sample
  std::vector<Timing> timings;
};

struct Candidate {
  std::string name;                 // "layer2.1"
  std::vector<std::int64_t> shape;  // of one sample's activation, without the batch
  std::string dtype;                // "float32", "bfloat16"
  std::int64_t bytes_per_sample = 0;
  double flops_before = 0, flops_after = 0;
  std::vector<Timing> before, after;  // from segment timings
};

// kind "profile": what each layer of a backbone costs on one device.
struct Profile {
  std::string backbone_hash;  // SHA-256 of the TorchScript file
  std::int64_t classes = 0;
  std::string output_kind;                // "logits" or "probabilities"
  std::vector<std::int64_t> input_shape;  // of one sample, the first input
  std::vector<std::string> inputs;        // all: "3x32x32 float32"
  double flops = 0;
  std::int64_t parameters = 0, weight_bytes = 0;
  std::string device, precision, memory_format;
  std::int64_t threads = 0;
  std::vector<std::string> uncounted_operators;
  std::vector<Candidate> candidates;  // in order of depth
  std::vector<SegmentCost> segments;  // candidates.size() + 1
  std::vector<Timing> plain;          // the whole backbone, the fastest plain way
  std::vector<Timing> chain;          // all candidates cut, beside it in the same repeats
  io::Provenance provenance;          // filled on reading

  const Candidate& candidate(const std::string& name) const;  // throws Error, names the known
};

// Throws Error (3, 4): missing objects, sizes that don't fit, values that are not finite.
void write_profile(const std::string& path, const Profile& profile, const CommonOptions& common,
                   const io::Provenance& backbone);
Profile read_profile(const std::string& path);

}  // namespace cachectl::artifact
