#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/options.h"
#include "model/backbone.h"

namespace cachectl::select {

struct Options {
  CommonOptions common;
  std::string medial, caches, profile, out;
  std::string verify;  // a plan whose certificate is tested on `medial` instead

  double tolerance = 0.01;         // of the estimated accuracy drop, [0, 1]
  std::string budget = "halving";  // halving, equal, joint
  double epsilon = 0;              // (0, 1): certify P[differs] <= epsilon; 0: no certificate
  double delta = 0.05;             // (0, 1): with probability 1 - delta
  std::int64_t list_steps = 64;    // allowances tried for the certificate's list of plans
  std::string cost = "flops";      // flops, latency
  std::vector<std::int64_t> batch = {1, 8, 32, 128};  // with latency: a plan for each
  std::int64_t top = 10;                              // runners-up kept and shown

  std::int64_t max_caches = 0;               // 0: any number
  double max_model_mib = 0;                  // of the plan's cache models together; 0: any size
  std::vector<std::string> require, forbid;  // layers

  bool per_class = false;      // print which classes lose what
  std::int64_t self_test = 8;  // samples kept in the plan, replayed at load
  std::string part = "all";    // with verify: all, or one part of the medial file
  double verify_epsilon = 0;   // with verify: tested instead of what the plan promises; 0: that
  data::Options data;          // where the self-test samples come from
  // With latency: stages and cache models are timed together. Without its path, apart.
  model::BackboneOptions backbone;
};
void describe(OptionTable& table, Options& options);

// Writes the plan file, or with options.verify prints the outcome of the test. The
// certify part of the medial file is read only when a certificate is asked for, and
// then only after the list of plans is frozen. Throws Error.
void run(Options& options);

}  // namespace cachectl::select
