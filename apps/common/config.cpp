#include "common/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "common/tools.h"

namespace cachectl::app {
namespace {

// Sections that several tools read; each tool's own section is its verb.
const std::vector<std::string> kSharedSections = {"backbone", "backbone_training", "data",
                                                  "split",    "augment",           "engine"};
const std::vector<std::string> kRootKeys = {"seed", "threads", "device"};

std::vector<std::string> known_at_root() {
  std::vector<std::string> known = kRootKeys;
  known.insert(known.end(), kSharedSections.begin(), kSharedSections.end());
  for (const auto& one : tools()) known.push_back(one.verb);
  return known;
}

class Reader {
 public:
  Reader(const std::string& path, OptionTable& table) : path_(path), table_(table) {}

  void read_root(const YAML::Node& root) {
    if (root.IsNull()) return;  // an empty file
    if (!root.IsMap()) fail(ExitCode::kUsage, "{}: expected sections with keys", place(root));
    read_map(root, "");
  }

 private:
  std::string place(const YAML::Node& node) const {
    return node.Mark().is_null() ? path_ : path_ + ":" + std::to_string(node.Mark().line + 1);
  }

  bool has_section(const std::string& prefix) const {
    const auto keys = table_.keys();
    return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
      return key.compare(0, prefix.size() + 1, prefix + ".") == 0;
    });
  }

  [[noreturn]] void refuse_unknown(const YAML::Node& where, const std::string& key) const {
    const bool at_root = key.find('.') == std::string::npos;
    const std::string near = text::nearest(key, at_root ? known_at_root() : table_.keys());
    fail(ExitCode::kUsage, "{}: unknown key '{}'{}", place(where), key,
         near.empty() ? "" : "; did you mean '" + near + "'?");
  }

  void read_map(const YAML::Node& map, const std::string& prefix) {
    std::set<std::string> seen;
    for (const auto& entry : map) {
      if (!entry.first.IsScalar()) fail(ExitCode::kUsage, "{}: expected a key", place(entry.first));
      const std::string name = entry.first.Scalar();
      const std::string key = prefix.empty() ? name : prefix + "." + name;
      if (!seen.insert(name).second) {
        fail(ExitCode::kUsage, "{}: key '{}' is given twice", place(entry.first), key);
      }
      read_entry(entry.first, entry.second, key, prefix.empty());
    }
  }

  void read_entry(const YAML::Node& where, const YAML::Node& value, const std::string& key,
                  bool at_root) {
    if (Option* option = table_.find_key(key)) {
      option->assign(words_of(value, key, *option), place(value.IsNull() ? where : value));
      return;
    }
    if (has_section(key)) {
      if (value.IsNull()) return;
      if (!value.IsMap()) fail(ExitCode::kUsage, "{}: '{}' is a section", place(value), key);
      read_map(value, key);
      return;
    }
    const auto known = known_at_root();
    const bool of_another_tool =
        at_root && std::find(known.begin(), known.end(), key) != known.end();
    if (!of_another_tool) refuse_unknown(where, key);
  }

  std::vector<std::string> words_of(const YAML::Node& value, const std::string& key,
                                    const Option& option) const {
    const bool is_map = std::holds_alternative<std::map<std::string, std::string>*>(option.target);
    if (value.IsScalar() && !is_map) return {value.Scalar()};
    std::vector<std::string> words;
    if (value.IsSequence() && !is_map) {
      for (const auto& item : value) {
        if (!item.IsScalar()) {
          fail(ExitCode::kUsage, "{}: {}: expected a list of plain values", place(item), key);
        }
        words.push_back(item.Scalar());
      }
      return words;
    }
    if (value.IsMap() && is_map) {
      for (const auto& entry : value) {
        if (!entry.first.IsScalar() || !entry.second.IsScalar()) {
          fail(ExitCode::kUsage, "{}: {}: expected lines 'name: text'", place(entry.first), key);
        }
        words.push_back(entry.first.Scalar() + "=" + entry.second.Scalar());
      }
      return words;
    }
    if (value.IsNull() && is_map) return words;
    fail(ExitCode::kUsage, "{}: {}: expected {}", place(value), key, option.type_name());
  }

  const std::string path_;
  OptionTable& table_;
};

}  // namespace

void read_config(const std::string& path, OptionTable& table) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    fail(ExitCode::kCannotOpen, "{}: no such configuration file", path);
  }
  try {
    Reader(path, table).read_root(YAML::LoadFile(path));
  } catch (const YAML::BadFile&) {
    fail(ExitCode::kCannotOpen, "{}: cannot read the configuration file", path);
  } catch (const YAML::Exception& problem) {
    fail(ExitCode::kUsage, "{}:{}: is no YAML: {}", path, problem.mark.line + 1, problem.msg);
  }
}

}  // namespace cachectl::app
