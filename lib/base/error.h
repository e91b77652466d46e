#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace cachectl {

// Exit codes of every executable. Append only: scripts rely on the numbers.
enum class ExitCode : int {
  kDone = 0,
  kInternal = 1,
  kUsage = 2,            // a flag, a YAML key or a value that can't be
  kCannotOpen = 3,       // missing, unreadable, not writable, disk full
  kCorrupt = 4,          // a file that is not what it says it is
  kIncompatible = 5,     // files that are each sound but don't belong together
  kNothingProcessed = 6  // no sample, no layer, no trial
};

// A fault of the user's or of a file's: says the path, the object in it, what
// was found, what was expected, and what to do. Caught once, in app::run.
// Broken invariants of our own are assertions instead.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

template <class... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// The reason behind errno, for messages about the operating system's refusals.
std::string errno_text();

}  // namespace cachectl
