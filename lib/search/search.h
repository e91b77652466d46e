#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "artifact/study.h"
#include "base/options.h"
#include "learn/student.h"
#include "search/bracket.h"
#include "search/space.h"

namespace cachectl::search {

struct Options {
  CommonOptions common;
  std::string medial, profile, out;
  std::string status;               // print this study instead of searching
  std::vector<std::string> merge;   // join these shards instead of searching
  std::string shard = "1/1";        // i/n
  std::vector<std::string> layers;  // empty: all of the medial file
  double minutes = 0;               // for all layers of this run; 0: no limit
  std::int64_t brackets = 1;        // independent searches a layer, for shards
  bool no_views = false;            // the samples themselves alone
  double memory_gib = 4;            // for activations
  std::vector<std::int64_t> rung_epochs = {12, 30};
  std::vector<double> rung_shares = {0.5, 1};  // of the training samples
  std::string promotion = "halving";           // halving, none
  Strategy strategy;
  Space space;
  learn::Recipe recipe;  // its epochs are the rungs'
};
void describe(OptionTable& table, Options& options);
void run(Options& options);

// What the trials depend on besides the inputs, as YAML lines: shards and resumed studies
// must have the same.
std::string settings_of(Options& options);

// Joins the parts of one study. Throws Error(kIncompatible) that names the two files and
// what tells them apart, Error(kUsage) that names what is in none of them.
artifact::Study merge(const std::vector<std::string>& paths);

// The table of layers and their fronts, or JSON.
void print(const artifact::Study& study, bool json);
// The newer of PATH and its partial file.
artifact::Study read_latest(const std::string& path);

}  // namespace cachectl::search
