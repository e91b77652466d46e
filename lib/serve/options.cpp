#include "serve/options.h"

#include <algorithm>
#include <thread>

#include "base/error.h"

namespace cachectl::serve {

std::uint64_t Options::max_body_bytes() const {
  return static_cast<std::uint64_t>(max_body_mb * 1024 * 1024);
}

std::int64_t Options::threads_per_worker() const {
  const std::int64_t threads =
      common.threads > 0 ? common.threads : std::int64_t{std::thread::hardware_concurrency()};
  return std::max<std::int64_t>(1, threads / workers);
}

void Options::validate() const {
  if (max_items > queue_items) {
    fail(ExitCode::kUsage,
         "serve: a request of max_items {} could never enter a queue of queue_items {}", max_items,
         queue_items);
  }
  if (max_body_mb > buffered_mb) {
    fail(ExitCode::kUsage, "serve: a body of max_body_mb {:g} does not fit into buffered_mb {:g}",
         max_body_mb, buffered_mb);
  }
  const char* const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
  if (model.find_first_not_of(plain) != std::string::npos) {
    fail(ExitCode::kUsage,
         "serve: model '{}': the name is part of an address: letters, digits, '-', '.' and '_'",
         model);
  }
}

void describe(OptionTable& table, Options& options) {
  runtime::describe(table, options.engine);
  table.section("serve");
  table.input("plan", options.plan, "what cachectl-select chose; read again when it changes")
      .required();
  table.value("host", &options.host, "address to listen on; the default is this machine alone");
  table.value("port", &options.port, "0: any free one, printed on stdout").range(0, 65535);
  table.value("model", &options.model,
              "the model's name in addresses; else the backbone's file name");
  table
      .value("plain", &options.plain, "serve the backbone alone, without the exits, for comparison")
      .only_flag();
  table.input("token_file", options.token_file,
              "file with the bearer token that clients must send; else none is asked for");

  table.value("workers", &options.workers, "threads that run batches, on one loaded model")
      .range(1, 1024);
  table.value("max_batch", &options.max_batch, "items of a batch").range(1, 65536);
  table.value("delay_ms", &options.delay_ms, "that an item waits for company").range(0, 10'000);
  table
      .value("deadline_ms", &options.deadline_ms,
             "that an item waits for its turn at most; requests may ask for less or more")
      .range(1, 3'600'000);
  table.value("queue_items", &options.queue_items, "items that wait; beyond them 503")
      .range(1, 1e7);
  table.value("io_threads", &options.io_threads, "threads that read, parse and write")
      .range(1, 256);
  table.value("connections", &options.connections, "open at once; beyond them 503").range(1, 1e6);
  table.value("max_items", &options.max_items, "items of one request").range(1, 1e7);
  table.value("max_body_mb", &options.max_body_mb, "MiB of one request or frame")
      .range(0.001, 4096);
  table
      .value("buffered_mb", &options.buffered_mb, "MiB of all requests being read; beyond them 503")
      .range(0.001, 1e6);
  table.value("max_image_mpixels", &options.max_image_mpixels, "million pixels of one image")
      .range(0.001, 64)
      .only_in_yaml();
  table.value("max_depth", &options.max_depth, "levels of nested JSON")
      .range(4, 1000)
      .only_in_yaml();
  table
      .value("header_seconds", &options.header_seconds,
             "from a request's first byte to its last header")
      .range(0.01, 3600)
      .only_in_yaml();
  table.value("body_seconds", &options.body_seconds, "from there to its last byte")
      .range(0.01, 3600)
      .only_in_yaml();
  table
      .value("write_seconds", &options.write_seconds,
             "for a response to be taken; slower readers are cut off")
      .range(0.01, 3600)
      .only_in_yaml();
  table
      .value("idle_seconds", &options.idle_seconds,
             "that a connection stays open without a request")
      .range(0.01, 86400)
      .only_in_yaml();
  table
      .value("drain_seconds", &options.drain_seconds,
             "after SIGTERM, for the answers to what was accepted")
      .range(0, 3600);
  table
      .value("watch_seconds", &options.watch_seconds,
             "between looks at the plan file; 0: SIGHUP only")
      .range(0, 3600);
  table.value("warm_up", &options.warm_up,
              "make the kernels for all sizes of batches before a model is served, not when a "
              "request first needs one");
}

}  // namespace cachectl::serve
