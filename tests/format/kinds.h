#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

// Every kind of file that the tools exchange: a small valid one, and its reader.
namespace cachectl::format_test {

struct Kind {
  std::string name;   // "plan"
  std::string magic;  // the kind that its header names: calibrated files are "caches"
  std::function<void(const std::string& path)> build;
  std::function<void(const std::string& path)> read;  // as the tools read it, all of it
  // The values of large data sets are left out of the seal: flipped bits in them are found
  // by --verify and not on opening.
  bool has_bulk = false;
};
const std::vector<Kind>& all_kinds();

inline void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.name;
}

}  // namespace cachectl::format_test
