#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/options.h"

namespace cachectl::app {

// What an executable, or one of its sub-commands, takes and does.
struct Command {
  std::string name;     // "" for a tool without sub-commands
  std::string purpose;  // one line, for sub-commands
  CommonOptions* common;
  std::function<void(OptionTable&)> describe;
  std::function<void()> body;
};

// The whole of a main: parses flags over YAML over defaults, answers --help, --version,
// --list-inputs, --list-settings and the shell completion, checks inputs and outputs before the
// work, runs the body, and turns what it throws into a message and an exit code.
int run(const std::string& verb, int argc, char** argv, CommonOptions& common,
        const std::function<void(OptionTable&)>& describe, const std::function<void()>& body);
int run(const std::string& verb, int argc, char** argv, const std::vector<Command>& commands);

}  // namespace cachectl::app
