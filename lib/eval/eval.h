#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "artifact/report.h"
#include "base/options.h"
#include "data/options.h"
#include "runtime/engine.h"

// cachectl-eval: what a plan does on samples that no earlier step has seen.
namespace cachectl::eval {

struct Options {
  CommonOptions common;
  runtime::EngineOptions engine;  // the backbone among them
  data::Options data;
  data::SplitOptions split;

  std::string plan;                 // input
  std::string out;                  // report.h5; "": tables only
  std::string html;                 // the page, written by the app from run()'s report; "": none
  std::string csv;                  // folder for one CSV per table; "": none
  std::string caches;               // all trained cache models, measured alone; "": the plan's
  std::string medial;               // takes the test part's ids from it; "": split anew
  std::vector<std::string> beside;  // reports of other methods, whose curves stand beside ours
  bool all_samples = false;         // the whole data set instead of its test part
  bool use_labels = true;           // false: as if the data had none

  bool timing = true;                                   // RQ3 and the latency of RQ4
  std::vector<std::int64_t> batches = {1, 8, 32, 128};  // of the latency
  std::int64_t repeats = 100;                           // pairs per batch size
  double minutes = 3;               // of timing per batch size; fewer repeats beyond, 10 at least
  std::int64_t curve_batch = 32;    // of the latency in RQ4
  std::int64_t curve_repeats = 20;  // pairs per point of the curve
  std::int64_t curve_points = 200;  // kept of a threshold curve
  std::int64_t bins = 15;           // of the reliability diagrams
  std::int64_t resamples = 2000;    // of the bootstrap
  std::int64_t examples = 12;       // sample images that leave early, and as many late
};

void describe(OptionTable& table, Options& options);

// Measures. Throws Error: kIncompatible when the plan is for another backbone or transform,
// or when a sample of the test part served an earlier step; kNothingProcessed when the
// part is empty; what reading the files throws.
artifact::Report evaluate(const Options& options);

// The tables on stdout, or JSON with common.json.
void print_report(const artifact::Report& report, bool json);
// exits.csv, alone.csv, latency.csv, ... in the folder, which is made.
void write_csv(const artifact::Report& report, const std::string& folder);

// evaluate(), the outputs, the print. Returns the report as written, with its provenance.
artifact::Report run(Options& options);

}  // namespace cachectl::eval
