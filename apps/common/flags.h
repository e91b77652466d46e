#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/options.h"

namespace cachectl::app {

// The command line as words per option; Option::assign() parses them.
struct Flags {
  std::map<const Option*, std::vector<std::string>> words;
  bool help = false, version = false, list_inputs = false, list_settings = false,
       list_flags = false;
};

// What switches a boolean off: "--no-shrink"; "" for other options, and where the flag itself
// says no already.
std::string off_flag(const Option& option);

// argv[0] is passed over. Throws Error (usage); an unknown flag names the nearest one.
Flags parse_flags(OptionTable& table, int argc, char** argv);

}  // namespace cachectl::app
