#pragma once

#include <string>
#include <vector>

#include "artifact/report.h"

namespace cachectl::eval {

// One table of a report in full precision; what was not measured is an empty cell.
struct Sheet {
  std::string name;  // "exits"
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};
std::vector<Sheet> sheets_of(const artifact::Report& report);

// RFC 4180: cells with commas, quotes or line breaks are quoted.
std::string csv_of(const Sheet& sheet);

}  // namespace cachectl::eval
