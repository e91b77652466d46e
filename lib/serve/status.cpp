#include "serve/status.h"

#include <chrono>

#include "base/version.h"
#include "serve/json.h"
#include "serve/process.h"

namespace cachectl::serve {
namespace {

double depth_of(const model::Candidate& candidate) {
  return 1 - candidate.share_left();
}

Json certificate_of(const artifact::Certificate& one) {
  return {{"holds", one.holds},     {"epsilon", one.epsilon},     {"delta", one.delta},
          {"samples", one.samples}, {"differing", one.differing}, {"bound", one.bound}};
}

Json plans_of(const ServedModel& model) {
  Json plans = Json::array();
  const runtime::Engine& engine = model.engine();
  for (std::size_t p = 0; p < engine.plans(); ++p) {
    Json exits = Json::array();
    for (const runtime::Exit& exit : engine.exits(p)) {
      exits.push_back({{"name", exit.layer},
                       {"depth", depth_of(model.backbone()->candidate(exit.layer))},
                       {"threshold", exit.threshold},
                       {"architecture", exit.architecture}});
    }
    Json plan = {{"batch", engine.plan(p).batch}, {"exits", exits}};
    if (p < model.facts().plans.size()) {
      const artifact::Plan& selected = model.facts().plans[p];
      plan["predicted_saving"] = selected.predicted_saving;
      if (selected.certificate) plan["certificate"] = certificate_of(*selected.certificate);
    }
    plans.push_back(plan);
  }
  return plans;
}

Json layers_of(const ServedModel& model) {
  Json layers = Json::array();
  for (const model::Candidate& candidate : model.backbone()->candidates()) {
    layers.push_back({{"name", candidate.name}, {"depth", depth_of(candidate)}});
  }
  return layers;
}

Json exits_of(const ServingMetrics& metrics) {
  Json exits = Json::object();
  for (const ServingMetrics::ExitRow& row : metrics.exits()) {
    exits[row.exit] = {{"items", row.latency.count()}, {"latency", row.latency.counts}};
  }
  return exits;
}

// Seconds since 1970 need more digits than a float has.
std::int64_t milliseconds_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::string status_json(Service& service) {
  const std::shared_ptr<const ServedModel> model = service.models().get();
  const ServingMetrics& metrics = service.metrics();
  const Json status = {
      {"version", kVersion},
      {"now_ms", milliseconds_now()},
      {"started_ms", static_cast<std::int64_t>(1000 * start_time())},
      {"model",
       {{"name", model->name()},
        {"backbone", model->backbone()->hash().substr(0, 12)},
        {"classes", model->engine().classes()},
        {"input", model->item_shape()},
        {"takes_images", model->takes_images()}}},
      {"plan",
       {{"hash", model->facts().hash.substr(0, 12)},
        {"created", model->facts().created},
        {"tolerance", model->facts().tolerance}}},
      {"plans", plans_of(*model)},
      {"layers", layers_of(*model)},
      {"latency_bounds", metrics.latency_bounds()},
      {"exits", exits_of(metrics)},
      {"batches", static_cast<std::uint64_t>(metrics.batches())},
      {"flops", metrics.flops()},  // soon beyond what 64 bits count
      {"plain_flops", metrics.plain_flops()},
      {"queue",
       {{"items", service.batcher().queued()}, {"capacity", service.batcher().capacity()}}},
      {"connections",
       {{"http", service.http_connections.load()},
        {"websocket", service.stream_connections.load()}}},
      {"draining", service.draining()}};
  return text_of(status);
}

}  // namespace cachectl::serve
