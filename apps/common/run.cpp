#include "common/run.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/version.h"
#include "common/config.h"
#include "common/flags.h"
#include "common/help.h"
#include "common/tools.h"
#include "io/artifact.h"

namespace cachectl::app {
namespace {

void describe_common(OptionTable& table, CommonOptions& common) {
  table.section("");
  table.input("config", common.config, "YAML file of the experiment, read by all tools");
  table
      .value("data_root", &common.data_root,
             "where relative data and backbone paths start; else the variable CACHECTL_DATA, else "
             "the working folder")
      .only_flag();
  table.value("seed", &common.seed, "of all that is random").range(0, 1e15);
  table.value("threads", &common.threads, "0: all cores").range(0, 4096);
  table.value("device", &common.device, "cpu, cuda or cuda:N");
  table.value("log_level", &common.log_level, "what goes to stderr")
      .choices({"debug", "info", "warning", "error", "quiet"})
      .only_flag();
  table.value("json", &common.json, "results on stdout as JSON").only_flag();
  table.value("force", &common.force, "overwrite an existing output").only_flag();
  table.value("resume", &common.resume, "go on from the partial file of a run that was ended")
      .only_flag();
  table
      .value("no_provenance", &common.no_provenance,
             "leave dates and command lines out, so that equal runs give equal bytes")
      .only_flag();
}

std::string command_line(int argc, char** argv) {
  std::vector<std::string> words = {std::filesystem::path(argv[0]).filename().string()};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    words.push_back(word.find_first_of(" \t'\"") == std::string::npos ? word : "'" + word + "'");
  }
  return text::join(words, " ");
}

void assign_all(OptionTable& table, CommonOptions& common, const Flags& flags) {
  const auto assign_flags = [&] {
    for (auto& option : table.options()) {
      const auto given = flags.words.find(&option);
      if (given != flags.words.end()) option.assign(given->second, option.flag);
    }
  };
  assign_flags();  // --config among them
  if (!common.config.empty()) {
    read_config(common.config, table);
    assign_flags();
  }
  const char* root = std::getenv("CACHECTL_DATA");
  if (root != nullptr && common.data_root.empty()) common.data_root = root;
}

// The file that an option names; "" for other options and for no file.
std::string place_of(const Option& option) {
  return option.role == OptionRole::kValue ? "" : *std::get<std::string*>(option.target);
}

// Places that a configuration names start at the data root.
void resolve_places(OptionTable& table, const CommonOptions& common) {
  for (auto& option : table.options()) {
    if (option.role != OptionRole::kInput || option.key.empty()) continue;
    std::string& path = *std::get<std::string*>(option.target);
    path = common.resolve(path);
  }
}

// Before the work, not after it.
void require_all(const OptionTable& table, const CommonOptions& common) {
  for (const auto& option : table.options()) {
    const std::string name = option.is_positional  ? "a FILE"
                             : option.flag.empty() ? option.key
                                                   : option.flag;
    if (option.is_required && !option.was_set) {
      fail(ExitCode::kUsage, "{} is required; --help tells what it is", name);
    }
    const std::string place = place_of(option);
    if (place.empty()) continue;
    if (option.role == OptionRole::kOutput) io::require_writable(place, common.force);
    if (option.role == OptionRole::kOutputFolder) io::require_writable_folder(place, common.force);
    std::error_code error;
    if (option.role == OptionRole::kInput && !std::filesystem::exists(place, error)) {
      fail(ExitCode::kCannotOpen, "{}: no such file ({})", place, name);
    }
  }
}

void list_inputs(const OptionTable& table) {
  for (const auto& option : table.options()) {
    const std::string place = place_of(option);
    if (option.role == OptionRole::kInput && !place.empty()) std::cout << place << '\n';
  }
  for (const auto& place : table.further_inputs()) std::cout << place << '\n';
}

void require_device(const std::string& name) {
  const std::string cuda = "cuda";
  const bool is_cuda = name.compare(0, cuda.size(), cuda) == 0;
  const std::string number = is_cuda ? name.substr(cuda.size()) : "";
  const bool is_numbered = number.size() >= 2 && number.size() <= 4 && number[0] == ':' &&
                           number.find_first_not_of("0123456789", 1) == std::string::npos;
  if (name != "cpu" && !(is_cuda && (number.empty() || is_numbered))) {
    fail(ExitCode::kUsage, "--device {}: expected cpu, cuda or cuda:N", name);
  }
  const int wanted = is_numbered ? std::stoi(number.substr(1)) : 0;
  const int present = at::hasCUDA() ? static_cast<int>(at::getNumGPUs()) : 0;
  if (is_cuda && wanted >= present) {
    fail(ExitCode::kUsage, "--device {}: this LibTorch sees {} CUDA devices", name, present);
  }
}

void run_command(const Tool& tool, const Command& command, int argc, char** argv) {
  CommonOptions& common = *command.common;
  common.tool = "cachectl-" + tool.verb;
  OptionTable table;
  command.describe(table);
  const std::size_t own_options = table.options().size();
  describe_common(table, common);

  const Flags flags = parse_flags(table, argc, argv);
  if (flags.help) return print_help(std::cout, tool, command, table, own_options);
  if (flags.list_flags) return print_flags(std::cout, {}, &table);
  if (flags.version) {
    std::cout << common.tool << ' ' << kVersion << '\n';
    return;
  }
  assign_all(table, common, flags);
  log::start(common.tool, log::level_from_name(common.log_level));
  common.effective_config = table.effective();
  resolve_places(table, common);
  if (flags.list_settings) std::cout << common.effective_config;
  if (flags.list_inputs) list_inputs(table);
  if (flags.list_settings || flags.list_inputs) return;
  require_all(table, common);
  require_device(common.device);
  // By default LibTorch 1.13 may take fewer threads than there are cores. Asked for first, it is
  // this thread's own number, and stays whatever others set (model/threads.h).
  (void)at::get_num_threads();
  at::set_num_threads(common.threads > 0 ? static_cast<int>(common.threads)
                                         : static_cast<int>(std::thread::hardware_concurrency()));
  command.body();
}

int report(const std::string& message, int code) {
  log::error("{}", message);
  return code;
}

// LibTorch's messages end in a stack of C++ frames, which helps nobody at a terminal.
std::string without_frames(const std::string& message) {
  return message.substr(0, message.find("\nException raised from"));
}

// Whoever read stdout has closed it, as `head` does: that is no error to tell of.
bool reader_is_gone() {
  pollfd out{STDOUT_FILENO, 0, 0};
  return ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

int guarded(const std::function<void()>& action) {
  try {
    action();
    std::cout.flush();
    if (std::cout) return int(ExitCode::kDone);
    if (reader_is_gone()) return 128 + SIGPIPE;
    return report("stdout: cannot write the results", int(ExitCode::kCannotOpen));
  } catch (const Error& error) {
    return report(error.what(), static_cast<int>(error.code()));
  } catch (const cancel::Cancelled& cancelled) {
    return report(cancelled.what(), 128 + cancelled.signal());
  } catch (const std::bad_alloc&) {
    return report("out of memory", int(ExitCode::kInternal));
  } catch (const std::exception& error) {
    return report("internal error: " + without_frames(error.what()), int(ExitCode::kInternal));
  }
}

}  // namespace

int run(const std::string& verb, int argc, char** argv, CommonOptions& common,
        const std::function<void(OptionTable&)>& describe, const std::function<void()>& body) {
  return run(verb, argc, argv, {Command{"", "", &common, describe, body}});
}

int run(const std::string& verb, int argc, char** argv, const std::vector<Command>& commands) {
  cancel::install_handlers();
  log::start("cachectl-" + verb, log::Level::kInfo);
  const Tool& this_tool = tool(verb);
  return guarded([&] {
    for (const auto& command : commands) command.common->command = command_line(argc, argv);
    if (commands.front().name.empty()) {
      return run_command(this_tool, commands.front(), argc, argv);
    }
    const std::string first = argc > 1 ? argv[1] : "";
    std::vector<std::string> names;
    for (const auto& command : commands) {
      names.push_back(command.name);
      if (command.name == first) return run_command(this_tool, command, argc - 1, argv + 1);
    }
    if (first == "--help" || first == "-h") return print_help(std::cout, this_tool, commands);
    if (first == "--list-flags") return print_flags(std::cout, commands, nullptr);
    if (first == "--version") {
      std::cout << "cachectl-" << verb << ' ' << kVersion << '\n';
      return;
    }
    const std::string near = text::nearest(first, names);
    fail(ExitCode::kUsage, "{}: expected one of {}{}",
         first.empty() ? "no command" : "command '" + first + "'", text::join(names, ", "),
         near.empty() ? "" : "; did you mean '" + near + "'?");
  });
}

}  // namespace cachectl::app
