#pragma once

#include "format/kinds.h"

// Builds a file, breaks it in every way there is for its objects, and expects each
// reader to answer with an Error that names the file: never a crash, never a success
// where a required object is gone.
namespace cachectl::format_test {

// Cuts the file short, overwrites bytes; removes, retypes, resizes and poisons each object:
// once with the seal made to fit, and once with the header's hash too, as a forger would.
// Returns how many were tried.
int expect_all_refused(const Kind& kind);

}  // namespace cachectl::format_test
