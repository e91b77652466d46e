#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "base/text.h"
#include "base/version.h"
#include "common/tools.h"

// Dispatches `cachectl VERB ...` to the executable cachectl-VERB beside this one.
namespace {

using namespace cachectl;

void print_tools(std::ostream& out) {
  out << "cachectl: layer caching for pre-trained classifiers\n\n"
         "Usage:\n  cachectl VERB [options]      the same as cachectl-VERB [options]\n"
         "  cachectl VERB --help\n\nThe chain, in order:\n";
  for (const auto& tool : app::tools()) out << fmt::format("  {:10} {}\n", tool.verb, tool.purpose);
  out << "\nOther verbs:\n  help       print this text\n"
         "  completion print a completion script for bash: eval \"$(cachectl completion)\"\n"
         "  version    print the version\n";
}

void print_completion() {
  std::vector<std::string> verbs, executables;
  for (const auto& tool : app::tools()) {
    verbs.push_back(tool.verb);
    executables.push_back("cachectl-" + tool.verb);
  }
  // Each tool lists its own flags, so the script never falls behind them.
  std::cout << R"sh(_cachectl() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
  local -a tool=("${COMP_WORDS[0]}")
  local at=1
  if [[ "${COMP_WORDS[0]##*/}" == cachectl ]]; then
    if (( COMP_CWORD == 1 )); then
      COMPREPLY=($(compgen -W ")sh"
            << text::join(verbs, " ") << R"sh( help completion version" -- "$current"))
      return
    fi
    tool=("${COMP_WORDS[0]}" "${COMP_WORDS[1]}")
    at=2
  fi
  if (( COMP_CWORD > at )) && [[ "${COMP_WORDS[at]}" != -* ]]; then tool+=("${COMP_WORDS[at]}"); fi
  local flags type
  flags="$("${tool[@]}" --list-flags 2>/dev/null)"
  type="$(awk -v f="$previous" '$1 == f {print $2}' <<<"$flags")"
  if [[ -n "$type" && "$type" != - && "$previous" == -* ]]; then
    if [[ "$type" == *"|"* ]]; then
      COMPREPLY=($(compgen -W "${type//|/ }" -- "$current"))
    else
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
    return
  fi
  COMPREPLY=($(compgen -W "$(awk '{print $1}' <<<"$flags")" -- "$current"))
  if [[ "$current" != -* ]]; then
    local files
    mapfile -t files < <(compgen -f -- "$current")
    COMPREPLY+=("${files[@]}")
  fi
}
complete -o filenames -F _cachectl cachectl )sh"
            << text::join(executables, " ") << "\n";
}

int misuse(const std::string& message) {
  std::cerr << "cachectl: " << message << "\n";
  return static_cast<int>(ExitCode::kUsage);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "help" || verb == "--help" || verb == "-h") {
    print_tools(std::cout);
    return 0;
  }
  if (verb == "version" || verb == "--version") {
    std::cout << "cachectl " << kVersion << "\n";
    return 0;
  }
  if (verb == "completion") {
    print_completion();
    return 0;
  }
  if (verb.empty()) return misuse("no verb; 'cachectl help' lists them");
  std::vector<std::string> verbs;
  for (const auto& tool : app::tools()) verbs.push_back(tool.verb);
  for (const auto& known : verbs) {
    if (known != verb) continue;
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    const std::string path = (self.parent_path() / ("cachectl-" + verb)).string();
    argv[1] = const_cast<char*>(path.c_str());
    execv(path.c_str(), argv + 1);
    std::cerr << "cachectl: " << path << ": cannot run: " << errno_text() << "\n";
    return static_cast<int>(ExitCode::kCannotOpen);
  }
  const std::string near = text::nearest(verb, verbs);
  return misuse("no verb '" + verb + "'" + (near.empty() ? "" : "; did you mean '" + near + "'?") +
                "; 'cachectl help' lists them");
}
