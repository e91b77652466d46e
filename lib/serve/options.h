#pragma once

#include <cstdint>
#include <string>

#include "base/options.h"
#include "runtime/engine.h"

// cachectl-serve: a plan as a server that answers each item at its exit.
namespace cachectl::serve {

struct Options {
  CommonOptions common;
  runtime::EngineOptions engine;  // the backbone among them

  std::string plan;                // input
  std::string host = "127.0.0.1";  // address to listen on
  std::int64_t port = 8080;        // 0: any free one
  std::string model;               // its name in addresses; "": the backbone's file name
  bool plain = false;              // the backbone alone, for comparison
  std::string token_file;          // input; "": no token is asked for

  // Batches.
  std::int64_t workers = 2;
  std::int64_t max_batch = 64;      // rows
  double delay_ms = 2;              // that an item waits for company
  double deadline_ms = 10'000;      // that an item waits in all, where its request says nothing
  std::int64_t queue_items = 1024;  // that wait; beyond them 503
  std::int64_t io_threads = 2;      // that read, parse and write
  std::int64_t connections = 1024;  // open at once
  std::int64_t max_items = 1024;    // of one request
  double max_body_mb = 32;          // of one request or frame
  double buffered_mb = 256;         // of all bodies being read
  double max_image_mpixels = 16;    // of one image
  std::int64_t max_depth = 16;      // of nested JSON
  double header_seconds = 10;       // from a request's first byte to its last header
  double body_seconds = 30;         // from there to its last byte
  double write_seconds = 30;        // for a response or a message to be taken
  double idle_seconds = 75;         // without a request on an open connection
  double drain_seconds = 30;        // for what was accepted, after SIGTERM
  double watch_seconds = 1;         // between looks at the plan file; 0: none
  bool warm_up = true;              // make all kernels before a model is served

  std::uint64_t max_body_bytes() const;
  std::int64_t threads_per_worker() const;
  // Throws Error(kUsage) for values that are each allowed but not together.
  void validate() const;
};

void describe(OptionTable& table, Options& options);

}  // namespace cachectl::serve
