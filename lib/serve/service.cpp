#include "serve/service.h"

#include <algorithm>
#include <cmath>

#include "serve/process.h"
#include "serve/refusal.h"

namespace cachectl::serve {
namespace {

// Of the largest size, in one request: decoding keeps other connections waiting.
constexpr std::int64_t kImagesAtOnce = 8;

BatchingOptions batching(const Options& options) {
  BatchingOptions made;
  made.workers = options.workers;
  made.threads_per_worker = options.threads_per_worker();
  made.max_batch = options.max_batch;
  made.delay = seconds(options.delay_ms / 1000);
  made.queue_items = options.queue_items;
  return made;
}

std::vector<Reading> one(double value) {
  return {{{}, value}};
}

}  // namespace

Service::Service(const Options& options, std::shared_ptr<const ServedModel> model, Access access)
    : options_(options),
      access_(std::move(access)),
      models_(std::move(model)),
      metrics_(models_),
      bodies_(static_cast<std::uint64_t>(options.buffered_mb * 1024 * 1024)),
      batcher_(batching(options), models_, {&metrics_}) {
  add_gauges();
}

RequestLimits Service::limits() const {
  RequestLimits limits;
  limits.max_items = options_.max_items;
  limits.max_depth = options_.max_depth;
  limits.max_image_pixels = static_cast<std::int64_t>(options_.max_image_mpixels * 1e6);
  limits.max_request_pixels = kImagesAtOnce * limits.max_image_pixels;
  return limits;
}

int Service::retry_after() const {
  return static_cast<int>(std::clamp(std::ceil(batcher_.seconds_of_queue()), 1.0, 30.0));
}

void Service::refuse_for_queue() {
  metrics_.refused("queue");
  throw Refusal(503, "too many items wait already", retry_after());
}

void Service::require_room() {
  if (batcher_.queued() >= batcher_.capacity()) refuse_for_queue();
}

std::shared_ptr<Query> Service::submit(const InferRequest& request, Clock::time_point arrival,
                                       Query::Callbacks callbacks) {
  const double wait = request.deadline_ms.value_or(options_.deadline_ms) / 1000;
  // From now on, not from the header's arrival: a long body has limits of its own.
  auto query = std::make_shared<Query>(request.inputs, arrival, Clock::now() + seconds(wait),
                                       std::move(callbacks));
  const Admission admission = batcher_.submit(query);
  if (admission == Admission::kFull) refuse_for_queue();
  if (admission == Admission::kClosed) throw Refusal(503, "the server is ending", retry_after());
  return query;
}

void Service::add_gauges() {
  Registry& registry = metrics_.registry();
  registry.gauge("cachectl_queue_items", "Items that wait for a batch.",
                 [this] { return one(static_cast<double>(batcher_.queued())); });
  registry.gauge("cachectl_queue_capacity_items", "Items that may wait.",
                 [this] { return one(static_cast<double>(batcher_.capacity())); });
  registry.gauge("cachectl_connections", "Open connections.", [this] {
    return std::vector<Reading>{
        {{{"protocol", "http"}}, static_cast<double>(http_connections.load())},
        {{{"protocol", "websocket"}}, static_cast<double>(stream_connections.load())}};
  });
  registry.gauge("cachectl_draining", "1 while the server ends.",
                 [this] { return one(draining_ ? 1 : 0); });
  registry.gauge("process_resident_memory_bytes", "Resident memory size in bytes.",
                 [] { return one(resident_bytes()); });
  registry.gauge("process_open_fds", "Number of open file descriptors.",
                 [] { return one(open_descriptors()); });
  registry.gauge("process_start_time_seconds", "Start time since unix epoch in seconds.",
                 [] { return one(start_time()); });
  registry.counted("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                   [] { return cpu_seconds(); });
}

}  // namespace cachectl::serve
