#pragma once

#include <cstdint>
#include <string>

#include "base/options.h"

namespace cachectl::calibrate {

struct Options {
  CommonOptions common;
  std::string medial, caches, out;
  std::string curves;      // also write the curves there, as CSV or JSON by the name's end
  std::int64_t bins = 15;  // of the reliability diagram, [2, 1000]
};
void describe(OptionTable& table, Options& options);

// Adds to each cache model its temperature, its answers on the validation part and its
// threshold curve; reads no other part's activations or distributions. Throws Error.
void run(Options& options);

}  // namespace cachectl::calibrate
