#pragma once

#include <string>

#include "base/options.h"

namespace cachectl::app {

// Assigns the values of a YAML file to the options. The sections of other tools are
// passed over; an unknown key of a section that the table has, or an unknown
// section, throws Error (usage) with file, line and the nearest known key.
void read_config(const std::string& path, OptionTable& table);

}  // namespace cachectl::app
