#include "common/help.h"

#include <fmt/core.h>

#include <ostream>

#include "base/text.h"
#include "common/flags.h"

namespace cachectl::app {
namespace {

constexpr std::size_t kWidth = 96;

void print_wrapped(std::ostream& out, const std::string& text, std::size_t indent) {
  std::string line(indent, ' ');
  for (const auto& word : text::split(text, ' ')) {
    if (line.size() + 1 + word.size() > kWidth && line.size() > indent) {
      out << line << '\n';
      line.assign(indent, ' ');
    }
    if (line.size() > indent) line += ' ';
    line += word;
  }
  out << line << '\n';
}

std::string remark(const Option& option) {
  std::vector<std::string> parts;
  if (option.low && option.high && *option.high < 1e14) {
    parts.push_back(fmt::format("{:g} to {:g}", *option.low, *option.high));
  } else if (option.low) {
    parts.push_back(fmt::format("at least {:g}", *option.low));
  }
  const std::string value = text::join(option.words(), ",");
  if (option.is_required) {
    parts.push_back("required");
  } else if (!value.empty() && value != "false" && option.role == OptionRole::kValue) {
    parts.push_back("default " + value);
  }
  if (!option.key.empty()) parts.push_back("YAML " + option.key);
  return parts.empty() ? "" : " [" + text::join(parts, "; ") + "]";
}

void print_option(std::ostream& out, const Option& option) {
  const bool is_switch = std::holds_alternative<bool*>(option.target);
  std::string left = option.flag.empty() ? option.key + ":" : option.flag;
  if (option.is_positional) left = "FILE";
  // Where it is on, a reader looks for the way to switch it off.
  if (const auto* const on = std::get_if<bool*>(&option.target); on != nullptr && **on) {
    if (const std::string off = off_flag(option); !off.empty()) left += ", " + off;
  }
  if (!is_switch && !option.is_positional) left += " " + option.type_name();
  out << "  " << left << '\n';
  print_wrapped(out, option.help + remark(option), 6);
}

}  // namespace

void print_help(std::ostream& out, const Tool& tool, const std::vector<Command>& commands) {
  out << "cachectl-" << tool.verb << ": " << tool.purpose << "\n\nUsage:\n  cachectl-" << tool.verb
      << ' ' << tool.usage << "\n\n";
  print_wrapped(out, tool.explains, 0);
  out << "\nCommands:\n";
  for (const auto& command : commands) {
    out << fmt::format("  {:10} {}\n", command.name, command.purpose);
  }
  out << "\ncachectl-" << tool.verb << " COMMAND --help shows the options of one.\n";
}

void print_help(std::ostream& out, const Tool& tool, const Command& command,
                const OptionTable& table, std::size_t own_options) {
  const std::string name =
      "cachectl-" + tool.verb + (command.name.empty() ? "" : " " + command.name);
  out << name << ": " << (command.purpose.empty() ? tool.purpose : command.purpose) << "\n";
  if (command.name.empty()) {
    out << "\nUsage:\n  " << name << ' ' << tool.usage << "\n\n";
    print_wrapped(out, tool.explains, 0);
  }
  out << "\nOptions:\n";
  std::size_t index = 0;
  for (const auto& option : table.options()) {
    if (index++ == own_options) out << "\nOptions of every tool:\n";
    print_option(out, option);
  }
  out << "  --list-inputs\n      print the files that would be read, one a line, and stop\n"
         "  --list-settings\n      print the values in effect, as YAML, and stop\n"
         "  --version\n      print the version and stop\n"
         "  --help\n      print this text and stop\n"
         "\nValues come from the defaults, then the YAML file of --config, then the flags.\n"
         "Exit codes: 0 done, 1 internal, 2 usage, 3 cannot open or write, 4 corrupt file,\n"
         "5 incompatible files, 6 nothing processed, 128+n ended by signal n.\n";
  if (!tool.see_also.empty()) {
    std::vector<std::string> names;
    for (const auto& verb : text::split(tool.see_also, ' ')) names.push_back("cachectl-" + verb);
    out << "See also: " << text::join(names, ", ") << "\n";
  }
}

void print_flags(std::ostream& out, const std::vector<Command>& commands,
                 const OptionTable* table) {
  for (const auto& command : commands) {
    if (!command.name.empty()) out << command.name << " -\n";
  }
  for (const char* flag : {"--help", "--version", "--list-inputs", "--list-settings"})
    out << flag << " -\n";
  if (table == nullptr) return;
  for (const auto& option : table->options()) {
    if (option.flag.empty() || option.is_positional) continue;
    const bool is_switch = std::holds_alternative<bool*>(option.target);
    out << option.flag << ' ' << (is_switch ? "-" : option.type_name()) << '\n';
    if (const std::string off = off_flag(option); !off.empty()) out << off << " -\n";
  }
}

}  // namespace cachectl::app
