#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/error.h"
#include "base/progress.h"

namespace cachectl::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kQuiet:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

spdlog::logger& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    return std::make_shared<spdlog::logger>("cachectl", sink);
  }();
  return *instance;
}

}  // namespace

Level level_from_name(std::string_view name) {
  if (name == "debug") return Level::kDebug;
  if (name == "info") return Level::kInfo;
  if (name == "warning") return Level::kWarning;
  if (name == "error") return Level::kError;
  if (name == "quiet") return Level::kQuiet;
  fail(ExitCode::kUsage, "log level '{}': expected debug, info, warning, error or quiet", name);
}

bool stderr_is_terminal() {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  return terminal;
}

void start(const std::string& tool, Level level) {
  logger().set_pattern(stderr_is_terminal() ? tool + ": %^%v%$" : tool + ": %l: %v");
  logger().set_level(to_spdlog(level));
  logger().flush_on(spdlog::level::trace);
}

void write(Level level, std::string_view message) {
  progress_detail::clear_line();
  logger().log(to_spdlog(level), message);
}

}  // namespace cachectl::log
