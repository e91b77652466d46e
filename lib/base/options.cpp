#include "base/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <type_traits>

#include "base/error.h"
#include "base/text.h"

namespace cachectl {
namespace {

std::string flag_of(const std::string& name) {
  std::string flag = "--" + name;
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

std::string shown(double value) {
  return fmt::format("{:g}", value);
}

struct Parser {
  const Option& option;
  const std::string& origin;

  [[noreturn]] void refuse(const std::string& word, const std::string& expected) const {
    const std::string name = option.key.empty() ? option.flag : option.key;
    fail(ExitCode::kUsage, "{}: {}: '{}': expected {}", origin, name, word, expected);
  }

  void check_range(double value, const std::string& word) const {
    const bool below = option.low && value < *option.low;
    const bool above = option.high && value > *option.high;
    if (!below && !above && std::isfinite(value)) return;
    if (option.low && option.high && std::isfinite(*option.high)) {
      refuse(word, "a number from " + shown(*option.low) + " to " + shown(*option.high));
    }
    refuse(word, option.low ? "a number of at least " + shown(*option.low) : "a finite number");
  }

  void parse(const std::string& word, std::int64_t& value) const {
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, value);
    if (error != std::errc() || stop != end) refuse(word, "a whole number");
    check_range(static_cast<double>(value), word);
  }

  void parse(const std::string& word, double& value) const {
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, value);
    if (error != std::errc() || stop != end) refuse(word, "a number");
    check_range(value, word);
  }

  void parse(const std::string& word, bool& value) const {
    if (word == "true" || word == "yes" || word == "on") {
      value = true;
    } else if (word == "false" || word == "no" || word == "off") {
      value = false;
    } else {
      refuse(word, "true or false");
    }
  }

  void parse(const std::string& word, std::string& value) const {
    const auto& allowed = option.allowed;
    if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), word) == allowed.end()) {
      const std::string near = text::nearest(word, allowed);
      refuse(word, "one of " + text::join(allowed, ", ") +
                       (near.empty() ? "" : "; did you mean '" + near + "'?"));
    }
    value = word;
  }
};

template <class T>
std::string word_of(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else {
    return fmt::format("{}", value);
  }
}

}  // namespace

Option& Option::range(double from, double to) {
  low = from;
  high = to;
  return *this;
}
Option& Option::choices(std::vector<std::string> names) {
  allowed = std::move(names);
  return *this;
}
Option& Option::required() {
  is_required = true;
  return *this;
}
Option& Option::positional() {
  is_positional = true;
  return *this;
}
Option& Option::only_in_yaml() {
  flag.clear();
  return *this;
}
Option& Option::only_flag() {
  key.clear();
  return *this;
}
Option& Option::names_input() {
  role = OptionRole::kInput;
  return *this;
}
Option& Option::named(std::string other_flag) {
  flag = std::move(other_flag);
  return *this;
}

void Option::assign(const std::vector<std::string>& words, const std::string& origin) {
  const Parser parser{*this, origin};
  std::visit(
      [&](auto* value) {
        using T = std::remove_pointer_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
          T parsed;
          for (const auto& word : words) {
            const auto equals = word.find('=');
            if (equals == std::string::npos) parser.refuse(word, "name=value");
            const std::string name = text::trim(word.substr(0, equals));
            if (!parsed.emplace(name, text::trim(word.substr(equals + 1))).second) {
              parser.refuse(word, "each name once");
            }
          }
          *value = std::move(parsed);
        } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>> ||
                             std::is_same_v<T, std::vector<double>> ||
                             std::is_same_v<T, std::vector<std::string>>) {
          T parsed;
          for (const auto& word : words) {
            for (const auto& part : text::split(word, ',')) {
              if (text::trim(part).empty()) continue;
              typename T::value_type item{};
              parser.parse(text::trim(part), item);
              parsed.push_back(std::move(item));
            }
          }
          *value = std::move(parsed);
        } else {
          if (words.size() != 1) parser.refuse(text::join(words, " "), "one value");
          T parsed{};
          parser.parse(words.front(), parsed);
          *value = std::move(parsed);  // a refused value leaves the old one
        }
      },
      target);
  was_set = true;
}

std::vector<std::string> Option::words() const {
  return std::visit(
      [](auto* value) -> std::vector<std::string> {
        using T = std::remove_pointer_t<decltype(value)>;
        std::vector<std::string> words;
        if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
          for (const auto& [name, text] : *value) words.push_back(name + "=" + text);
        } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>> ||
                             std::is_same_v<T, std::vector<double>> ||
                             std::is_same_v<T, std::vector<std::string>>) {
          for (const auto& item : *value) words.push_back(word_of(item));
        } else {
          words.push_back(word_of(*value));
        }
        return words;
      },
      target);
}

std::string Option::type_name() const {
  if (!allowed.empty()) return text::join(allowed, "|");
  if (role == OptionRole::kOutputFolder) return "FOLDER";
  if (role != OptionRole::kValue) return "FILE";
  static constexpr const char* kNames[] = {"",        "INT",       "FLOAT",    "TEXT",
                                           "INT,...", "FLOAT,...", "TEXT,...", "NAME=TEXT"};
  return kNames[target.index()];
}

Option& OptionTable::value(const std::string& name, OptionTarget target, std::string help) {
  Option option;
  option.key = section_.empty() ? name : section_ + "." + name;
  option.flag = flag_of(name);
  option.help = std::move(help);
  option.target = target;
  return options_.emplace_back(std::move(option));
}

Option& OptionTable::input(const std::string& name, std::string& target, std::string help) {
  return value(name, &target, std::move(help)).only_flag().names_input();
}

void OptionTable::also_reads(std::function<std::vector<std::string>()> files) {
  further_.push_back(std::move(files));
}

std::vector<std::string> OptionTable::further_inputs() const {
  std::vector<std::string> all;
  for (const auto& files : further_) {
    for (auto& file : files()) all.push_back(std::move(file));
  }
  return all;
}

Option& OptionTable::output(const std::string& name, std::string& target, std::string help) {
  Option& option = input(name, target, std::move(help));
  option.role = OptionRole::kOutput;
  return option;
}

Option& OptionTable::output_folder(const std::string& name, std::string& target, std::string help) {
  Option& option = input(name, target, std::move(help));
  option.role = OptionRole::kOutputFolder;
  return option;
}

Option* OptionTable::find_key(const std::string& key) {
  for (auto& option : options_) {
    if (option.key == key && !key.empty()) return &option;
  }
  return nullptr;
}

std::vector<std::string> OptionTable::keys() const {
  std::vector<std::string> keys;
  for (const auto& option : options_) {
    if (!option.key.empty()) keys.push_back(option.key);
  }
  return keys;
}

std::string OptionTable::effective() const {
  std::vector<std::string> lines;
  for (const auto& option : options_) {
    if (option.key.empty() || option.key == "threads") continue;
    const auto words = option.words();
    const bool is_list = option.target.index() >= 4;
    lines.push_back(option.key + ": " +
                    (is_list ? "[" + text::join(words, ", ") + "]" : words.front()) + "\n");
  }
  std::sort(lines.begin(), lines.end());
  return text::join(lines, "");
}

std::string CommonOptions::resolve(const std::string& path) const {
  if (path.empty() || data_root.empty()) return path;
  const auto below = std::filesystem::path(data_root) / path;  // an absolute path stays itself
  std::error_code error;
  return std::filesystem::exists(below, error) ? below.string() : path;
}

}  // namespace cachectl
