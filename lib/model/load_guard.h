#pragma once

#include <string>

namespace cachectl::model {

// Refuses a TorchScript file of which LibTorch would run a part while reading it, before the
// program can be checked: `__setstate__`, and computed defaults of arguments or constants of
// classes. Throws Error (4); a std::exception where the file is no archive of TorchScript.
void refuse_code_at_load(const std::string& path);

}  // namespace cachectl::model
