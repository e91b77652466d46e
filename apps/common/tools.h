#pragma once

#include <string>
#include <vector>

namespace cachectl::app {

// One executable, as help, the dispatcher and the shell completion know it.
struct Tool {
  std::string verb;      // "profile": the executable is cachectl-profile
  std::string purpose;   // one line
  std::string usage;     // the flags that matter, behind the executable's name
  std::string explains;  // what a newcomer should know, a few sentences
  std::string see_also;  // verbs
};

const std::vector<Tool>& tools();  // in the order of the chain
const Tool& tool(const std::string& verb);

}  // namespace cachectl::app
