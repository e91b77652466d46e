#pragma once

#include <functional>
#include <ostream>
#include <string>

// Builds a file, breaks it in every way there is for its objects, and expects each
// reader to answer with an Error that names the file: never a crash, never a success
// where a required object is gone.
namespace cachectl::format_test {

struct Kind {
  std::string name;
  std::function<void(const std::string& path)> build;  // a small valid file
  std::function<void(const std::string& path)> read;   // as the tools read it
};

inline void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

// Cuts the file short, overwrites bytes; removes, retypes, resizes and poisons each
// object, once as it comes and once with the header's hash made to fit, as a forger would.
// Returns how many were tried.
int expect_all_refused(const Kind& kind);

}  // namespace cachectl::format_test
