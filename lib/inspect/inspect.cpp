#include "inspect/inspect.h"

#include <fmt/core.h>

#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/table.h"
#include "base/text.h"
#include "inspect/figures.h"
#include "io/artifact.h"

namespace cachectl::inspect {
namespace {

using Json = nlohmann::ordered_json;

struct Entry {
  std::string path, type, shape;
  std::int64_t values = 0;
  double bytes = 0;
  std::string attributes;
};

std::string attributes_of(const io::Object& object) {
  std::vector<std::string> parts;
  for (const auto& name : object.attributes()) {
    std::string value = object.attribute_text(name);
    constexpr std::size_t kLongest = 48;
    if (value.size() > kLongest) value = value.substr(0, kLongest) + "...";
    parts.push_back(name + "=" + value);
  }
  return text::join(parts, " ");
}

void collect(const io::Group& group, const std::string& prefix, std::vector<Entry>& entries) {
  for (const auto& name : group.children()) {
    const std::string path = prefix + "/" + name;
    if (path == "/provenance") continue;
    if (group.is_group(name)) {
      const io::Group below = group.group(name);
      entries.push_back({path + "/", "group", "", 0, 0, attributes_of(below)});
      collect(below, path, entries);
      continue;
    }
    const io::Dataset data = group.dataset(name);
    Entry entry{path,
                "text",
                text::shape(data.shape()),
                data.rows() * data.row_values(),
                0,
                attributes_of(data)};
    if (!data.is_text()) {
      entry.type = io::name_of(data.dtype());
      entry.bytes = static_cast<double>(entry.values) * double(io::size_of(data.dtype()));
    }
    entries.push_back(std::move(entry));
  }
}

std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    return number == std::floor(number) ? fmt::format("{:.0f}", number)
                                        : fmt::format("{:.6g}", number);
  }
  if (!value.is_array()) return value.dump();
  std::vector<std::string> words;
  for (const auto& element : value) words.push_back(text_of(element));
  return text::join(words, ", ");
}

// One line each: what is within another has both names.
void flatten(const std::string& prefix, const Json& figures,
             std::vector<std::pair<std::string, std::string>>& lines) {
  for (const auto& [name, value] : figures.items()) {
    if (value.is_object()) {
      flatten(prefix + name + ": ", value, lines);
    } else {
      lines.emplace_back(prefix + name, text_of(value));
    }
  }
}

// A file that several others were made from is told in full where it stands first.
void print_chain(const std::string& role, const io::Provenance& made, int depth,
                 std::set<std::string>& told) {
  const std::string indent(static_cast<std::size_t>(2 * depth), ' ');
  std::cout << fmt::format("{}{}{} {:.12}", indent, role.empty() ? "" : role + ": ", made.kind,
                           made.content_hash);
  if (!made.content_hash.empty() && !told.insert(made.content_hash).second) {
    std::cout << "  as above\n";
    return;
  }
  if (!made.created.empty()) std::cout << "  " << made.created;
  if (!made.producer.empty()) std::cout << "  " << made.producer;
  std::cout << '\n';
  if (!made.command.empty()) std::cout << indent << "  $ " << made.command << '\n';
  if (made.format_version == 0 && !made.config.empty()) {
    std::cout << indent << "  " << made.config << '\n';
  }
  for (const auto& [name, input] : made.inputs) print_chain(name, input, depth + 1, told);
}

void print_json(const io::ArtifactReader& reader, const std::vector<Entry>& entries,
                bool verified) {
  Json json;
  json["file"] = reader.path().string();
  json["kind"] = reader.provenance().kind;
  json["says"] = io::format_of(reader.provenance().kind).says;
  json["provenance"] = Json::parse(reader.provenance().json());
  json["figures"] = key_figures(reader);
  json["objects"] = Json::array();
  for (const auto& entry : entries) {
    json["objects"].push_back({{"path", entry.path},
                               {"type", entry.type},
                               {"shape", entry.shape},
                               {"bytes", entry.bytes}});
  }
  if (verified) json["verified"] = true;
  std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

void print_text(const io::ArtifactReader& reader, const std::vector<Entry>& entries,
                bool verified) {
  const io::Provenance& made = reader.provenance();
  std::cout << fmt::format("{}: {} file, format {}: {}\n", reader.path().string(), made.kind,
                           made.format_version, io::format_of(made.kind).says);
  std::cout << fmt::format("  {}, content {:.12}\n\nHow it was made\n",
                           text::bytes(double(std::filesystem::file_size(reader.path()))),
                           made.content_hash);
  std::set<std::string> told;
  print_chain("", made, 1, told);
  std::vector<std::pair<std::string, std::string>> figures;
  flatten("", key_figures(reader), figures);
  if (!figures.empty()) std::cout << "\nKey figures\n";
  std::size_t width = 0;
  for (const auto& [name, value] : figures) width = std::max(width, name.size());
  for (const auto& [name, value] : figures) {
    std::cout << fmt::format("  {:{}}  {}\n", name, width, value);
  }
  std::cout << "\nObjects\n";
  Table table({"path", "type", "shape", "bytes", "attributes"});
  for (const auto& entry : entries) {
    table.add({entry.path, entry.type, entry.shape, entry.bytes > 0 ? text::bytes(entry.bytes) : "",
               entry.attributes});
  }
  table.print(std::cout);
  if (!made.config.empty()) std::cout << "\nConfiguration\n" << made.config;
  if (verified) std::cout << "\nVerified: the contents have the recorded hash.\n";
}

}  // namespace

void describe(OptionTable& table, Options& options) {
  table.input("file", options.file, "any file that a tool of the chain wrote")
      .positional()
      .required();
  table.section("inspect");
  table.value("verify", &options.verify, "read everything and compare with the recorded hashes")
      .only_flag();
}

void run(const Options& options) {
  const io::ArtifactReader reader(options.file, "");
  if (options.verify) io::verify_contents(reader.root(), reader.provenance().content_hash);
  std::vector<Entry> entries;
  collect(reader.root(), "", entries);
  if (options.common.json) {
    print_json(reader, entries, options.verify);
  } else {
    print_text(reader, entries, options.verify);
  }
}

}  // namespace cachectl::inspect
