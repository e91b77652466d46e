#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

// Logs go to stderr, prefixed with the tool's name; stdout carries results only.
namespace cachectl::log {

enum class Level { kDebug, kInfo, kWarning, kError, kQuiet };

Level level_from_name(std::string_view name);  // debug, info, warning, error, quiet; throws Error
void start(const std::string& tool, Level level);
bool stderr_is_terminal();

void write(Level level, std::string_view message);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace cachectl::log
