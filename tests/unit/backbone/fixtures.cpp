#include "fixtures.h"

#include <ATen/ATen.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/api/module.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace cachectl::model::fixtures {
namespace jit = torch::jit;
namespace {

std::string temporary_path() {
  static int count = 0;
  return (std::filesystem::temp_directory_path() /
          ("cachectl-fixture-" + std::to_string(::getpid()) + "-" + std::to_string(count++) +
           ".pt"))
      .string();
}

void add_weight(jit::Module& module, const std::string& name,
                const std::vector<std::int64_t>& sizes) {
  double fan = 1;
  for (std::size_t i = 1; i < sizes.size(); ++i) fan *= static_cast<double>(sizes[i]);
  module.register_parameter(name, at::randn(sizes) / std::sqrt(fan), false);
}

jit::Module block(std::int64_t channels) {
  jit::Module module("Block");
  add_weight(module, "w1", {channels, channels, 3, 3});
  add_weight(module, "w2", {channels, channels, 3, 3});
  module.define(R"(
def forward(self, x):
    y = torch.relu(torch.conv2d(x, self.w1, None, [1, 1], [1, 1], [1, 1], 1))
    y = torch.conv2d(y, self.w2, None, [1, 1], [1, 1], [1, 1], 1)
    y += x
    return torch.relu_(y)
)");
  return module;
}

jit::Module layer(std::int64_t channels) {
  jit::Module module("Layer");
  module.register_module("block0", block(channels));
  module.register_module("block1", block(channels));
  module.define(R"(
def forward(self, x):
    return self.block1.forward(self.block0.forward(x))
)");
  return module;
}

ScriptFile save(const jit::Module& module) {
  ScriptFile file(temporary_path());
  module.save(file.path());
  return file;
}

}  // namespace

ScriptFile::~ScriptFile() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove(path_, ignored);
}

ScriptFile residual_net() {
  at::manual_seed(7);
  jit::Module stem("Stem");
  add_weight(stem, "w", {16, 3, 3, 3});
  stem.define(R"(
def forward(self, x):
    return torch.relu(torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1))
)");
  jit::Module module("Net");
  module.register_module("stem", stem);
  module.register_module("layer1", layer(16));
  module.register_module("layer2", layer(16));
  add_weight(module, "fc", {10, 16});
  module.define(R"(
def forward(self, x):
    x = self.layer2.forward(self.layer1.forward(self.stem.forward(x)))
    return torch.matmul(torch.mean(x, [2, 3]), torch.t(self.fc))
)");
  return save(module);
}

ScriptFile with_forward(const std::string& source) {
  at::manual_seed(8);
  jit::Module module("Small");
  add_weight(module, "w", {4, 3, 3, 3});
  module.register_buffer("order", at::tensor({2, 0, 3, 1}, at::kLong));
  module.register_buffer("count", at::tensor({1, 2, 3, 4}, at::kLong));
  add_weight(module, "v", {4, 4, 3, 3});
  add_weight(module, "f", {5, 4});
  module.define(source);
  return save(module);
}

ScriptFile with_bytes(const std::string& bytes) {
  ScriptFile file(temporary_path());
  std::ofstream(file.path(), std::ios::binary) << bytes;
  return file;
}

ScriptFile with_source_edited(const ScriptFile& file, const std::string& from,
                              const std::string& to) {
  caffe2::serialize::PyTorchStreamReader reader(file.path());
  ScriptFile edited(temporary_path());
  caffe2::serialize::PyTorchStreamWriter writer(edited.path());
  bool found = false;
  for (const std::string& name : reader.getAllRecords()) {
    const auto [data, size] = reader.getRecord(name);
    std::string bytes(static_cast<const char*>(data.get()), size);
    if (name == "code/__torch__.py") {
      const auto place = bytes.find(from);
      found = place != std::string::npos;
      if (found) bytes.replace(place, from.size(), to);
    }
    writer.writeRecord(name, bytes.data(), bytes.size());
  }
  writer.writeEndOfFile();
  if (!found) throw std::runtime_error("the source holds no '" + from + "'");
  return edited;
}

BackboneOptions options_for(const ScriptFile& file) {
  BackboneOptions options;
  options.path = file.path();
  return options;
}

at::Tensor images(std::int64_t count, std::int64_t size) {
  at::manual_seed(9);
  return at::randn({count, 3, size, size});
}

}  // namespace cachectl::model::fixtures
