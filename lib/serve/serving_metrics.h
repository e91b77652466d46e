#pragma once

#include <string>

#include "serve/metrics.h"
#include "serve/observer.h"

namespace cachectl::serve {

// What the server counts of its traffic, by the names it has for Prometheus; docs/serve.md
// lists them. Safe from many threads.
class ServingMetrics : public Observer {
 public:
  explicit ServingMetrics(const ModelSlot& model);

  void on_item(const ResolvedItem& item) override;
  void on_batch(const FinishedBatch& batch) override;

  void request(const std::string& protocol, int status);  // "http", "websocket"
  void request_took(const std::string& protocol, Clock::duration took, Clock::duration first);
  void refused(const std::string& reason);  // "queue", "memory", "connections", "deadline"
  void reloaded(bool done);

  // For gauges of who else has something to show.
  Registry& registry() { return registry_; }

  // For the dashboard: per exit the answered items and their latencies.
  struct ExitRow {
    std::string exit;
    Histogram::Snapshot latency;
  };
  std::vector<ExitRow> exits() const;
  const std::vector<double>& latency_bounds() const { return latency_bounds_; }
  double batches() const;
  double flops() const { return flops_.value(); }
  double plain_flops() const { return plain_flops_.value(); }

 private:
  Registry registry_;
  const std::vector<double> latency_bounds_;
  Family<Counter>& requests_;
  Family<Counter>& exits_;
  Family<Counter>& refused_;
  Family<Counter>& reloads_;
  Counter& flops_;
  Counter& plain_flops_;
  Family<Histogram>& item_latency_;
  Family<Histogram>& request_latency_;
  Family<Histogram>& first_answer_;
  Histogram& batch_items_;
  Histogram& batch_seconds_;
  Histogram& queue_wait_;
};

}  // namespace cachectl::serve
