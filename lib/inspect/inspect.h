#pragma once

#include <string>

#include "base/options.h"

namespace cachectl::inspect {

struct Options {
  CommonOptions common;
  std::string file;
  bool verify = false;  // read all values and compare with the recorded hash
};

void describe(OptionTable& table, Options& options);

// Prints to stdout. Throws Error for a file that is none of cachectl's.
void run(const Options& options);

}  // namespace cachectl::inspect
