#include <fmt/chrono.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/version.h"
#include "io/artifact.h"

namespace cachectl::io {
namespace {

using Json = nlohmann::json;

Json to_json(const Provenance& made) {
  Json json = {{"kind", made.kind}, {"content_hash", made.content_hash}};
  if (made.format_version > 0) json["format_version"] = made.format_version;
  if (!made.producer.empty()) json["producer"] = made.producer;
  if (!made.command.empty()) json["command"] = made.command;
  if (!made.created.empty()) json["created"] = made.created;
  if (!made.config.empty()) json["config"] = made.config;
  if (made.format_version > 0) json["seed"] = made.seed;
  for (const auto& [role, input] : made.inputs) json["inputs"][role] = to_json(input);
  return json;
}

Provenance from_json_value(const Json& json, int depth) {
  constexpr int kDeepestChain = 32;
  if (depth > kDeepestChain) throw Json::other_error::create(501, "inputs nested too deep", &json);
  Provenance made;
  made.kind = json.at("kind").get<std::string>();
  made.content_hash = json.at("content_hash").get<std::string>();
  made.format_version = json.value("format_version", std::int64_t{0});
  made.producer = json.value("producer", "");
  made.command = json.value("command", "");
  made.created = json.value("created", "");
  made.config = json.value("config", "");
  made.seed = json.value("seed", std::int64_t{0});
  if (json.contains("inputs")) {
    for (const auto& [role, input] : json.at("inputs").items()) {
      made.inputs[role] = from_json_value(input, depth + 1);
    }
  }
  return made;
}

}  // namespace

std::string Provenance::json() const {
  // Names of files are bytes; what is no UTF-8 in them is recorded as such.
  return to_json(*this).dump(1, ' ', false, Json::error_handler_t::replace);
}

Provenance Provenance::from_json(const std::string& text, const std::string& where) {
  try {
    return from_json_value(Json::parse(text), 0);
  } catch (const Json::exception& error) {
    fail(ExitCode::kCorrupt, "{}: is no record of provenance: {}", where, error.what());
  }
}

const Provenance* Provenance::find(const std::string& wanted) const {
  if (kind == wanted) return this;
  for (const auto& [role, input] : inputs) {
    if (const Provenance* found = input.find(wanted)) return found;
  }
  return nullptr;
}

Provenance provenance_of(const std::string& kind, const CommonOptions& common) {
  Provenance made;
  made.kind = kind;
  made.format_version = format_of(kind).latest;
  made.config = common.effective_config;
  made.seed = common.seed;
  if (!common.no_provenance) {
    made.producer = common.tool + " " + kVersion;
    made.command = common.command;
    made.created = fmt::format(
        "{:%Y-%m-%dT%H:%M:%SZ}",
        fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
  }
  return made;
}

Provenance outside_input(const std::string& kind, const std::string& hash,
                         const std::string& description) {
  Provenance made;
  made.kind = kind;
  made.content_hash = hash;
  made.config = description;
  return made;
}

void require_same_input(const std::string& kind, const std::string& path_a, const Provenance& a,
                        const std::string& path_b, const Provenance& b) {
  const Provenance* in_a = a.find(kind);
  const Provenance* in_b = b.find(kind);
  if (in_a == nullptr || in_b == nullptr || in_a->content_hash == in_b->content_hash) return;
  fail(ExitCode::kIncompatible,
       "{} and {} do not belong together: the first was made from {} {:.12}, the second from {} "
       "{:.12}; make both from the same {}",
       path_a, path_b, kind, in_a->content_hash, kind, in_b->content_hash, kind);
}

}  // namespace cachectl::io
