#include "serve/routes.h"

#include "serve/page.h"
#include "serve/status.h"

namespace cachectl::serve {
namespace {

bool take(std::string_view& text, std::string_view start) {
  if (text.substr(0, start.size()) != start) return false;
  text.remove_prefix(start.size());
  return true;
}

Route route_below_model(std::string_view rest) {
  take(rest, "/versions/1");
  if (rest.empty()) return Route::kModel;
  if (rest == "/ready") return Route::kModelReady;
  if (rest == "/infer") return Route::kInfer;
  if (rest == "/stream") return Route::kStream;
  return Route::kNone;
}

Reply ready(Service& service, bool of_model) {
  const bool is_ready = !service.draining();
  Json said = {{"ready", is_ready}};
  if (of_model) said["name"] = service.models().get()->name();
  return {is_ready ? 200 : 503,
          "application/json",
          {text_of(said), 0},
          is_ready ? 0 : service.retry_after()};
}

}  // namespace

Route route_of(std::string_view target, std::string_view model) {
  std::string_view path = target.substr(0, target.find('?'));
  if (path == "/") return Route::kDashboard;
  if (path == "/status") return Route::kStatus;
  if (path == "/metrics") return Route::kMetrics;
  if (!take(path, "/v2")) return Route::kNone;
  if (path.empty() || path == "/") return Route::kServer;
  if (path == "/health/live") return Route::kLive;
  if (path == "/health/ready") return Route::kReady;
  if (!take(path, "/models/") || !take(path, model)) return Route::kNone;
  return route_below_model(path);
}

bool is_open(Route route) {
  return route == Route::kDashboard || route == Route::kLive || route == Route::kReady ||
         route == Route::kModelReady;
}

const char* method_of(Route route) {
  return route == Route::kInfer ? "POST" : "GET";
}

Reply refusal(int status, const std::string& text, int retry_after) {
  return {status, "application/json", {error_message(text), 0}, retry_after};
}

Reply reply_to(Route route, Service& service) {
  switch (route) {
    case Route::kDashboard:
      return {200, "text/html; charset=utf-8", {std::string(dashboard::page_template()), 0}};
    case Route::kStatus:
      return {200, "application/json", {status_json(service), 0}};
    case Route::kMetrics:
      return {200,
              "text/plain; version=0.0.4; charset=utf-8",
              {service.metrics().registry().text(), 0}};
    case Route::kServer:
      return {200, "application/json", {server_metadata(), 0}};
    case Route::kLive:
      return {200, "application/json", {text_of({{"live", true}}), 0}};
    case Route::kReady:
    case Route::kModelReady:
      return ready(service, route == Route::kModelReady);
    case Route::kModel:
      return {200, "application/json", {model_metadata(*service.models().get()), 0}};
    default:
      return refusal(404, "nothing is served under this address");
  }
}

}  // namespace cachectl::serve
