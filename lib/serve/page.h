#pragma once

#include <string_view>

namespace cachectl::dashboard {

// The page of web/dashboard as web/build.mjs bundles it.
std::string_view page_template();

}  // namespace cachectl::dashboard
