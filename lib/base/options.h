#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// One description of a tool's options, from which the flags, the YAML keys, the
// help, the shell completion, --list-inputs and the recorded configuration are
// all made. Precedence: the struct's defaults, then YAML, then flags.
namespace cachectl {

using OptionTarget = std::variant<bool*, std::int64_t*, double*, std::string*,
                                  std::vector<std::int64_t>*, std::vector<double>*,
                                  std::vector<std::string>*, std::map<std::string, std::string>*>;

enum class OptionRole { kValue, kInput, kOutput, kOutputFolder };

class Option {
 public:
  std::string key;   // in YAML, dotted from the root ("train.epochs"); empty: a flag only
  std::string flag;  // "--epochs"; empty: in YAML only
  std::string help;
  OptionTarget target;
  OptionRole role = OptionRole::kValue;
  std::optional<double> low, high;  // for numbers, and for each number of a list
  std::vector<std::string> allowed;
  bool is_required = false;
  bool is_positional = false;
  bool was_set = false;

  Option& range(double from, double to);
  Option& choices(std::vector<std::string> names);
  Option& required();
  Option& positional();    // taken without its flag's name
  Option& only_in_yaml();  // no flag
  Option& only_flag();     // no YAML key
  Option& names_input();   // the text is a file that is read (relative ones: from data_root)
  Option& named(std::string other_flag);

  // Parses, checks and stores. Lists take several words or one with commas; a
  // map takes "name=value" words. origin: "configs/a.yaml:12" or "--epochs".
  void assign(const std::vector<std::string>& words, const std::string& origin);
  std::vector<std::string> words() const;  // the present value, as assign() takes it
  std::string type_name() const;           // INT, FLOAT, TEXT, FILE, INT,..., NAME=TEXT
};

class OptionTable {
 public:
  // Options declared from here on are keys of this YAML section; "" is the root.
  void section(std::string name) { section_ = std::move(name); }
  // name "learning_rate" is the key "SECTION.learning_rate" and the flag "--learning-rate".
  Option& value(const std::string& name, OptionTarget target, std::string help);
  // Files are flags only: a configuration speaks of the experiment, not of places.
  Option& input(const std::string& name, std::string& target, std::string help);
  Option& output(const std::string& name, std::string& target, std::string help);
  // A folder for several files; one that is there is written into with --force.
  Option& output_folder(const std::string& name, std::string& target, std::string help);

  // Files whose names stand in values of other kinds, lists say: --list-inputs tells of them too.
  void also_reads(std::function<std::vector<std::string>()> files);
  std::vector<std::string> further_inputs() const;

  std::deque<Option>& options() { return options_; }
  const std::deque<Option>& options() const { return options_; }
  Option* find_key(const std::string& key);
  std::vector<std::string> keys() const;
  // The effective values as YAML lines "key: value" in order of the keys; files and
  // what does not change a result (threads, log level) left out. Recorded in artifacts.
  std::string effective() const;

 private:
  std::string section_;
  std::deque<Option> options_;  // a deque: references stay valid
  std::vector<std::function<std::vector<std::string>()>> further_;
};

// What every tool takes.
struct CommonOptions {
  std::string tool;     // "cachectl-collect"
  std::string command;  // the command line, for provenance
  std::string effective_config;

  std::string config;     // YAML file
  std::string data_root;  // where relative data and backbone paths start; "": the working folder
  std::int64_t seed = 1;
  std::int64_t threads = 0;    // 0: all cores
  std::string device = "cpu";  // cpu, cuda, cuda:N
  std::string log_level = "info";
  bool json = false;
  bool no_provenance = false;
  bool force = false;   // overwrite an existing output
  bool resume = false;  // go on from a partial file

  // A path of the configuration: taken from data_root where it is there, else as it is.
  std::string resolve(const std::string& path) const;
};

}  // namespace cachectl
