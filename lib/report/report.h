#pragma once

#include <string>

#include "artifact/report.h"

// report.html: what cachectl-eval measured, as one page that explains itself.
namespace cachectl::report {

// Writes PATH as a single self-contained file (no network, no other file), replacing it
// when it is whole. Throws Error (cannot open) when that fails.
void write_html(const std::string& path, const artifact::Report& report);

// The same page as text.
std::string html(const artifact::Report& report);

}  // namespace cachectl::report
