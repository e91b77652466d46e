#pragma once

#include <string>
#include <string_view>

#include "serve/messages.h"
#include "serve/service.h"

namespace cachectl::serve {

enum class Route {
  kNone,
  kDashboard,   // /
  kStatus,      // /status: what the dashboard shows, JSON
  kMetrics,     // /metrics
  kServer,      // /v2
  kLive,        // /v2/health/live
  kReady,       // /v2/health/ready
  kModel,       // /v2/models/M, and so below: /v2/models/M/versions/1
  kModelReady,  // /v2/models/M/ready
  kInfer,       // /v2/models/M/infer
  kStream       // /v2/models/M/stream
};

// target: a request's, with or without a query behind "?".
Route route_of(std::string_view target, std::string_view model);
bool is_open(Route route);  // to those without a token: says nothing of the traffic
const char* method_of(Route route);

// An HTTP answer, apart from how it is sent.
struct Reply {
  int status = 200;
  std::string type = "application/json";
  Body body;
  int retry_after = 0;
  bool close = false;  // the connection, after it
};
Reply refusal(int status, const std::string& text, int retry_after = 0);

// Of the routes that are answered at once: all but kInfer and kStream.
Reply reply_to(Route route, Service& service);

}  // namespace cachectl::serve
