#include "common/flags.h"

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/text.h"

namespace cachectl::app {

std::string off_flag(const Option& option) {
  const bool is_switch = std::holds_alternative<bool*>(option.target);
  if (!is_switch || option.flag.empty() || option.flag.rfind("--no-", 0) == 0) return "";
  return "--no-" + option.flag.substr(2);
}

Flags parse_flags(OptionTable& table, int argc, char** argv) {
  CLI::App cli;
  cli.set_help_flag();
  Flags flags;
  cli.add_flag("--help,-h", flags.help);
  cli.add_flag("--version", flags.version);
  cli.add_flag("--list-inputs", flags.list_inputs);
  cli.add_flag("--list-settings", flags.list_settings);
  cli.add_flag("--list-flags", flags.list_flags);
  std::vector<std::string> known = {"--help", "--version", "--list-inputs", "--list-settings"};
  std::map<const Option*, CLI::Option*> parsed;
  for (const auto& option : table.options()) {
    if (option.flag.empty()) continue;
    known.push_back(option.flag);
    auto& words = flags.words[&option];
    if (std::holds_alternative<bool*>(option.target)) {
      std::string names = option.flag;
      if (const std::string off = off_flag(option); !off.empty()) {
        known.push_back(off);
        names += ",!" + off;
      }
      parsed[&option] = cli.add_flag(names, words);
      continue;
    }
    const bool repeats = option.target.index() >= 4;  // lists and maps
    parsed[&option] =
        cli.add_option(option.is_positional ? option.flag.substr(2) : option.flag, words)
            ->expected(1)
            ->allow_extra_args(repeats)  // of "--data-root my data" the second word is no value
            ->multi_option_policy(repeats ? CLI::MultiOptionPolicy::TakeAll
                                          : CLI::MultiOptionPolicy::TakeLast);
  }
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ExtrasError&) {
    const std::string word = cli.remaining().front();
    const std::string near = text::nearest(word.substr(0, word.find('=')), known);
    fail(ExitCode::kUsage, "'{}' is not known here{}; --help lists what is", word,
         near.empty() ? "" : "; did you mean " + near + "?");
  } catch (const CLI::ParseError& problem) {
    fail(ExitCode::kUsage, "{}", problem.what());
  }
  for (const auto& [option, given] : parsed) {
    if (given->count() == 0) flags.words.erase(option);
  }
  return flags;
}

}  // namespace cachectl::app
