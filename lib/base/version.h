#pragma once

namespace cachectl {

inline constexpr const char* kVersion = CACHECTL_VERSION;  // from CMake's project()

}  // namespace cachectl
