#pragma once

#include <iosfwd>
#include <vector>

#include "base/options.h"
#include "common/run.h"
#include "common/tools.h"

namespace cachectl::app {

// Of a tool with sub-commands.
void print_help(std::ostream& out, const Tool& tool, const std::vector<Command>& commands);
// Of one command. own_options: how many of the table's options are not every tool's.
void print_help(std::ostream& out, const Tool& tool, const Command& command,
                const OptionTable& table, std::size_t own_options);
// "FLAG TYPE" a line, sub-commands as "NAME -": what the shell completion asks for.
void print_flags(std::ostream& out, const std::vector<Command>& commands, const OptionTable* table);

}  // namespace cachectl::app
