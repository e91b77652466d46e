#pragma once

#include <string_view>

namespace cachectl::report {

// The page of web/report as web/build.mjs bundles it, with {{title}} and {{data}} to fill.
std::string_view page_template();

}  // namespace cachectl::report
