#pragma once

#include <string>

#include "serve/service.h"

namespace cachectl::serve {

// What the dashboard shows, as JSON: the plan in force, counts since the start, the queue.
std::string status_json(Service& service);

}  // namespace cachectl::serve
