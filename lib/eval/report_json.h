#pragma once

#include <nlohmann/json.hpp>

#include "artifact/report.h"

namespace cachectl::eval {

// What --json prints: the report's fields under their own names, but for images and provenance.
// NaN becomes null when it is dumped.
nlohmann::json json_of(const artifact::Report& report);

}  // namespace cachectl::eval
