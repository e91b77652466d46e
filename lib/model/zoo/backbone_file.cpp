#include "zoo/backbone_file.h"

#include <ATen/ATen.h>
#include <fmt/chrono.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/version.h"
#include "model/load_guard.h"
#include "zoo/raw_file.h"

namespace cachectl::zoo {

namespace {

using Json = nlohmann::ordered_json;

const char kRecordName[] = "cachectl.json";

// LibTorch's messages end in a stack of C++ frames.
std::string first_line(const std::string& message) {
  return message.substr(0, message.find('\n'));
}

}  // namespace

std::string Record::json() const {
  Json json = {{"architecture", spec.arch},
               {"classes", spec.classes},
               {"input", {3, spec.input_size, spec.input_size}}};
  if (!spec.stem.empty()) json["stem"] = spec.stem;
  if (!spec.shortcut.empty()) json["shortcut"] = spec.shortcut;
  if (!mean.empty()) json["mean"] = mean;
  if (!std.empty()) json["std"] = std;
  if (!class_names.empty()) json["class_names"] = class_names;
  json["weights"] = weights;
  if (accuracy >= 0) json["accuracy"] = accuracy;
  if (!tool.empty()) json["producer"] = tool;
  if (!command.empty()) json["command"] = command;
  if (!created.empty()) json["created"] = created;
  if (!config.empty()) json["config"] = config;
  return json.dump(1);
}

Record Record::from_json(const std::string& text, const std::string& where) {
  Record record;
  try {
    const Json json = Json::parse(text);
    record.spec.arch = json.at("architecture").get<std::string>();
    record.spec.classes = json.at("classes").get<std::int64_t>();
    record.spec.input_size = json.at("input").at(1).get<std::int64_t>();
    record.spec.stem = json.value("stem", "");
    record.spec.shortcut = json.value("shortcut", "");
    record.mean = json.value("mean", std::vector<double>{});
    record.std = json.value("std", std::vector<double>{});
    record.class_names = json.value("class_names", std::vector<std::string>{});
    record.weights = json.value("weights", "");
    record.accuracy = json.value("accuracy", -1.0);
    record.tool = json.value("producer", "");
    record.command = json.value("command", "");
    record.created = json.value("created", "");
    record.config = json.value("config", "");
  } catch (const Json::exception& error) {
    fail(ExitCode::kCorrupt, "{}: {}: {}", where, kRecordName, error.what());
  }
  return record;
}

Record record_of(const Spec& spec, const CommonOptions& common) {
  Record record;
  record.spec = spec;
  record.config = common.effective_config;
  if (!common.no_provenance) {
    record.tool = common.tool + " " + kVersion;
    record.command = common.command;
    record.created = fmt::format(
        "{:%Y-%m-%dT%H:%M:%SZ}",
        fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
  }
  return record;
}

void save_backbone(torch::jit::Module& module, const Record& record,
                   const std::filesystem::path& path) {
  module.to(at::Device(at::kCPU));
  module.eval();
  // To a stream: written to a path, the archive would hold the path's name.
  write_atomically(path, [&](std::ostream& out) {
    module.save(out, {{kRecordName, record.json()}});
  });
}

torch::jit::Module load_backbone(const std::filesystem::path& path, std::string* record_json) {
  const RawFile file(path);
  char first[2] = {};
  file.read(0, std::min<std::uint64_t>(sizeof first, file.size()), first, "magic");
  if (first[0] != 'P' || first[1] != 'K') {
    fail(ExitCode::kCorrupt, "{}: no TorchScript file (torch.jit.save writes one)", file.path());
  }
  torch::jit::ExtraFilesMap extra = {{kRecordName, ""}};
  try {
    model::refuse_code_at_load(path.string());
    torch::jit::Module module = torch::jit::load(path.string(), at::Device(at::kCPU), extra);
    module.eval();
    if (record_json != nullptr) *record_json = extra[kRecordName];
    return module;
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    fail(ExitCode::kCorrupt, "{}: LibTorch does not take it for a TorchScript file: {}",
         file.path(), first_line(error.what_without_backtrace()));
  } catch (const std::exception& error) {
    fail(ExitCode::kCorrupt, "{}: LibTorch does not take it for a TorchScript file: {}",
         file.path(), first_line(error.what()));
  }
}

}  // namespace cachectl::zoo
