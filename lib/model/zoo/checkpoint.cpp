#include "zoo/checkpoint.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/GradMode.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace cachectl::zoo {

namespace {

const std::string kWeights = "weights.", kMomenta = "momenta.";

void copy_into(StateDict& targets, const StateDict& stored, const std::string& prefix,
               const std::string& path) {
  for (auto& [name, target] : targets) {
    const auto found = stored.find(prefix + name);
    if (found == stored.end() || found->second.sizes() != target.sizes()) {
      fail(ExitCode::kCorrupt, "{}: {}{} is missing or of another shape", path, prefix, name);
    }
    target.copy_(found->second);
  }
}

}  // namespace

void write_checkpoint(const Checkpoint& checkpoint, const std::filesystem::path& path) {
  StateDict tensors;
  for (const auto& [name, tensor] : checkpoint.weights) tensors[kWeights + name] = tensor;
  for (const auto& [name, tensor] : checkpoint.momenta) tensors[kMomenta + name] = tensor;
  write_safetensors(path, tensors,
                    {{"fingerprint", checkpoint.fingerprint},
                     {"epochs", std::to_string(checkpoint.epochs)},
                     {"losses", nlohmann::json(checkpoint.losses).dump()}});
}

void read_checkpoint(Checkpoint& checkpoint, const std::filesystem::path& path) {
  const c10::NoGradGuard no_gradients;
  std::map<std::string, std::string> metadata;
  const StateDict stored = read_safetensors(path, &metadata);
  if (metadata["fingerprint"] != checkpoint.fingerprint) {
    fail(ExitCode::kIncompatible,
         "{}: from a run with other options or other data; resume with those, or begin anew with "
         "--force",
         path.string());
  }
  try {
    checkpoint.losses = nlohmann::json::parse(metadata["losses"]).get<std::vector<double>>();
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::kCorrupt, "{}: losses: {}", path.string(), error.what());
  }
  checkpoint.epochs = static_cast<std::int64_t>(checkpoint.losses.size());
  if (metadata["epochs"] != std::to_string(checkpoint.epochs)) {
    fail(ExitCode::kCorrupt, "{}: {} epochs, but {} losses", path.string(), metadata["epochs"],
         checkpoint.epochs);
  }
  copy_into(checkpoint.weights, stored, kWeights, path.string());
  copy_into(checkpoint.momenta, stored, kMomenta, path.string());
}

}  // namespace cachectl::zoo
