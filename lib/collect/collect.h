#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/options.h"
#include "io/artifact.h"
#include "model/backbone.h"

// The second stage: runs the backbone once over unlabelled data and records, per
// candidate layer, what the cache models learn from.
namespace cachectl::collect {

struct Options {
  CommonOptions common;
  model::BackboneOptions backbone;
  data::Options data;
  data::SplitOptions split;
  data::AugmentOptions augment = data::AugmentOptions::usual();  // where there are `views`
  std::string profile;              // names the candidates; "": those of the backbone
  std::string storage = "float16";  // float32, float16, bfloat16, int8
  std::int64_t deflate = 0;         // 0: not compressed; 1-9: shuffle + deflate
  std::vector<std::string> layers;  // of the candidates; empty: all
  std::int64_t views = 0;           // augmented ones of each training sample
  std::int64_t max_samples = 0;     // 0: all; else so many, drawn by id
  double max_gib = 0;               // 0: what the disk holds; else samples are left out
  std::int64_t batch_size = 64;
  std::string shard;               // "2/5": the second of five parts of the rows
  std::string append;              // medial file: only samples that it has not
  std::vector<std::string> merge;  // medial files: nothing is recorded, they are joined
  std::string out;                 // medial.h5

  void validate() const;  // throws Error(kUsage)
};

void describe(OptionTable& table, Options& options);
void run(Options& options);

// Where the time of a run went, in seconds of the thread that computes unless told.
struct Timings {
  double total = 0;
  double inputs = 0;    // waiting for decoded samples
  double backbone = 0;  // segments
  double waiting = 0;   // for the writer
  double commit = 0;    // to complete the file
  // Of the writer's own thread:
  double conversion = 0;  // to the stored dtype, with the search for NaN
  double writing = 0;     // hashing, compressing, writing
};

struct Result {
  io::Provenance provenance;
  Timings timings;
  std::int64_t rows = 0, resumed_rows = 0, bytes = 0;  // bytes: of the file
};

// What run() does, without printing.
Result record(const Options& options);

}  // namespace cachectl::collect
