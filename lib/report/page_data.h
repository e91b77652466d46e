#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "artifact/report.h"

// What the page's script reads: the report's fields under their own names.
namespace cachectl::report {

// Curves with more points than this are thinned, evenly in hit rate; ends are kept.
inline constexpr std::size_t kCurvePoints = 400;
// Larger sides of example images are brought below this by averaging whole pixels.
inline constexpr std::int64_t kImageSide = 192;

// NaN and infinite values become null; ids are text, since they need 64 bits.
nlohmann::json page_data(const artifact::Report& report);

// JSON that may stand inside a <script> element whatever its strings hold: none of
// < > & appears, and nothing outside ASCII; bytes that are not UTF-8 are replaced.
std::string script_safe(const nlohmann::json& data);

// Text that may stand in an element or a quoted attribute.
std::string escape_html(const std::string& text);

}  // namespace cachectl::report
