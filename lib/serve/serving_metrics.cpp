#include "serve/serving_metrics.h"

#include <fmt/format.h>

namespace cachectl::serve {
namespace {

std::string shown(double value) {
  return fmt::format("{:g}", value);
}

std::vector<Reading> plan_info(const ServedModel& model) {
  return {{{{"model", model.name()},
            {"plan", model.facts().hash.substr(0, 12)},
            {"backbone", model.backbone()->hash().substr(0, 12)},
            {"created", model.facts().created},
            {"tolerance", shown(model.facts().tolerance)}},
           1}};
}

std::vector<Reading> thresholds(const ServedModel& model) {
  std::vector<Reading> readings;
  const runtime::Engine& engine = model.engine();
  for (std::size_t p = 0; p < engine.plans(); ++p) {
    for (const runtime::Exit& exit : engine.exits(p)) {
      readings.push_back({{{"batch", std::to_string(engine.plan(p).batch)}, {"exit", exit.layer}},
                          static_cast<double>(exit.threshold)});
    }
  }
  return readings;
}

// One figure of each plan's certificate.
std::vector<Reading> certificates(const ServedModel& model,
                                  double (*figure)(const artifact::Certificate&)) {
  std::vector<Reading> readings;
  for (const artifact::Plan& plan : model.facts().plans) {
    if (!plan.certificate) continue;
    readings.push_back({{{"batch", std::to_string(plan.batch)}}, figure(*plan.certificate)});
  }
  return readings;
}

}  // namespace

ServingMetrics::ServingMetrics(const ModelSlot& model)
    : latency_bounds_(steps_between(1e-4, 30)),
      requests_(registry_.counters("cachectl_requests_total", "Requests by protocol and status.")),
      exits_(registry_.counters("cachectl_exits_total", "Items answered, by exit.")),
      refused_(
          registry_.counters("cachectl_refused_total", "What was refused or given up, by reason.")),
      reloads_(registry_.counters("cachectl_plan_reloads_total", "Attempts to take a new plan.")),
      flops_(registry_.counters("cachectl_flops_total", "FLOPs spent on answers.").at({})),
      plain_flops_(registry_
                       .counters("cachectl_plain_flops_total",
                                 "FLOPs that the backbone alone would have spent on them.")
                       .at({})),
      item_latency_(registry_.histograms("cachectl_item_latency_seconds",
                                         "From a request's arrival to an item's answer, by exit.",
                                         latency_bounds_)),
      request_latency_(registry_.histograms("cachectl_request_latency_seconds",
                                            "From a request's arrival to its last answer.",
                                            latency_bounds_)),
      first_answer_(registry_.histograms("cachectl_first_answer_seconds",
                                         "From a request's arrival to its first answer.",
                                         latency_bounds_)),
      batch_items_(registry_
                       .histograms("cachectl_batch_items", "Items of a batch.",
                                   {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024})
                       .at({})),
      batch_seconds_(
          registry_.histograms("cachectl_batch_seconds", "Time a batch takes.", latency_bounds_)
              .at({})),
      queue_wait_(registry_
                      .histograms("cachectl_queue_wait_seconds",
                                  "Longest wait for a batch to start, of its items.",
                                  latency_bounds_)
                      .at({})) {
  const auto of_model = [&](auto read) { return [&model, read] { return read(*model.get()); }; };
  registry_.gauge("cachectl_plan_info", "The plan in force.", of_model(plan_info));
  registry_.gauge("cachectl_exit_threshold", "Confidence from which on an exit answers.",
                  of_model(thresholds));
  registry_.gauge("cachectl_certificate_holds", "Whether the plan's certificate holds.",
                  of_model([](const ServedModel& each) {
                    return certificates(each, [](const artifact::Certificate& one) {
                      return one.holds ? 1.0 : 0.0;
                    });
                  }));
  registry_.gauge(
      "cachectl_certificate_epsilon", "Share of answers that may differ from the backbone's.",
      of_model([](const ServedModel& each) {
        return certificates(each, [](const artifact::Certificate& one) { return one.epsilon; });
      }));
  registry_.gauge("cachectl_certificate_delta", "Probability that the certificate is wrong.",
                  of_model([](const ServedModel& each) {
                    return certificates(each,
                                        [](const artifact::Certificate& one) { return one.delta; });
                  }));
  registry_.gauge("cachectl_certificate_samples", "Samples that the certificate was tested on.",
                  of_model([](const ServedModel& each) {
                    return certificates(each, [](const artifact::Certificate& one) {
                      return static_cast<double>(one.samples);
                    });
                  }));
}

void ServingMetrics::on_item(const ResolvedItem& item) {
  exits_.at({{"exit", item.exit_name}}).add();
  item_latency_.at({{"exit", item.exit_name}}).observe(seconds_of(item.now - item.arrival));
}

void ServingMetrics::on_batch(const FinishedBatch& batch) {
  batch_items_.observe(static_cast<double>(batch.rows));
  batch_seconds_.observe(batch.stats.milliseconds / 1000);
  queue_wait_.observe(seconds_of(batch.longest_wait));
  flops_.add(batch.stats.flops());
  plain_flops_.add(static_cast<double>(batch.rows) * batch.model.plain_flops());
}

void ServingMetrics::request(const std::string& protocol, int status) {
  requests_.at({{"protocol", protocol}, {"status", std::to_string(status)}}).add();
}

void ServingMetrics::request_took(const std::string& protocol, Clock::duration took,
                                  Clock::duration first) {
  request_latency_.at({{"protocol", protocol}}).observe(seconds_of(took));
  first_answer_.at({{"protocol", protocol}}).observe(seconds_of(first));
}

void ServingMetrics::refused(const std::string& reason) {
  refused_.at({{"reason", reason}}).add();
}

void ServingMetrics::reloaded(bool done) {
  reloads_.at({{"result", done ? "taken" : "kept_old"}}).add();
}

std::vector<ServingMetrics::ExitRow> ServingMetrics::exits() const {
  std::vector<ExitRow> rows;
  item_latency_.for_each([&](const Labels& labels, const Histogram& latency) {
    rows.push_back({labels[0].second, latency.snapshot()});
  });
  return rows;
}

double ServingMetrics::batches() const {
  return static_cast<double>(batch_items_.snapshot().count());
}

}  // namespace cachectl::serve
