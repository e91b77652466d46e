#include "zoo/layer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <cassert>
#include <cctype>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>

#include "base/random.h"
#include "base/text.h"

namespace cachectl::zoo {

namespace {

// kaiming_normal_'s fan out of a convolution's weight [out, in / groups, k, k].
double fan_out(const std::vector<std::int64_t>& shape) {
  return static_cast<double>(
      std::accumulate(shape.begin() + 2, shape.end(), shape[0], std::multiplies<>()));
}

at::Tensor make_tensor(const TensorSpec& spec, bool fill, std::uint64_t seed) {
  at::Tensor tensor = at::zeros(spec.shape, spec.is_integer ? at::kLong : at::kFloat);
  if (!fill && !spec.is_buffer) return tensor;
  Rng rng(seed);
  const auto draw = [&](auto next) {
    float* values = tensor.data_ptr<float>();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(next());
  };
  switch (spec.init) {
    case Init::kZeros:
      break;
    case Init::kOnes:
      tensor.fill_(1);
      break;
    case Init::kQuarter:
      tensor.fill_(0.25);
      break;
    case Init::kKaimingFanOut: {
      const double deviation = std::sqrt(2 / fan_out(spec.shape));
      draw([&] { return deviation * rng.normal(); });
      break;
    }
    case Init::kUniformFanIn: {
      const double bound = 1 / std::sqrt(static_cast<double>(spec.fan_in));
      draw([&] { return rng.uniform(-bound, bound); });
      break;
    }
    case Init::kNormal:
      draw([&] { return 0.02 * rng.normal(); });
      break;
  }
  return tensor;
}

class Compiler {
 public:
  Compiler(bool fill, std::uint64_t seed) : fill_(fill), seed_(seed) {}

  torch::jit::Module compile(const Layer& layer, const std::string& path) {
    std::vector<torch::jit::Module> children;
    std::string shape = layer.type + "\n" + layer.forward;
    for (const auto& [name, child] : layer.children) {
      children.push_back(compile(child, path.empty() ? name : path + "." + name));
      shape += "\n" + name + ": " + children.back().type()->name()->qualifiedName();
    }
    for (const TensorSpec& tensor : layer.tensors) shape += "\n" + tensor.name;

    c10::ClassTypePtr& type = classes_[shape];
    const bool is_new = !type;
    if (is_new) type = new_class(layer.type);
    torch::jit::Module module(unit_, type);
    module.register_attribute("training", c10::BoolType::get(), true);
    for (const TensorSpec& spec : layer.tensors) {
      const std::string full_name = path.empty() ? spec.name : path + "." + spec.name;
      at::Tensor tensor = make_tensor(spec, fill_, derive_seed(seed_, full_name));
      if (!spec.is_buffer) tensor.set_requires_grad(true);
      module.register_parameter(spec.name, tensor, spec.is_buffer);
    }
    for (std::size_t i = 0; i < children.size(); ++i) {
      module.register_module(layer.children[i].first, children[i]);
    }
    if (is_new) {
      std::string source = "def forward(self, x: Tensor) -> Tensor:\n";
      for (const std::string& line : text::split(layer.forward, '\n')) source += "  " + line + "\n";
      module.define(source);
    }
    return module;
  }

 private:
  c10::ClassTypePtr new_class(const std::string& name) {
    const int count = class_counts_[name]++;
    const std::string full =
        fmt::format("__torch__.cachectl.{}{}", name, count == 0 ? "" : fmt::format("_{}", count));
    auto type = c10::ClassType::create(c10::QualifiedName(full), unit_, /*is_module=*/true);
    unit_->register_type(type);
    return type;
  }

  const bool fill_;
  const std::uint64_t seed_;
  std::shared_ptr<torch::jit::CompilationUnit> unit_ =
      std::make_shared<torch::jit::CompilationUnit>();
  std::map<std::string, c10::ClassTypePtr> classes_;
  std::map<std::string, int> class_counts_;
};

}  // namespace

std::string call(const std::string& child, const std::string& argument) {
  assert(!child.empty());
  const bool is_number = std::isdigit(static_cast<unsigned char>(child[0])) != 0;
  return is_number ? fmt::format("getattr(self, \"{}\").forward({})", child, argument)
                   : fmt::format("self.{}.forward({})", child, argument);
}

Layer conv2d(std::int64_t in, std::int64_t out, const Conv& options) {
  const std::int64_t kernel = options.kernel_;
  Layer layer{"Conv2d",
              fmt::format("return torch.conv2d(x, self.weight, {}, [{}, {}], [{}, {}], [1, 1], {})",
                          options.has_bias_ ? "self.bias" : "None", options.stride_,
                          options.stride_, options.padding_, options.padding_, options.groups_)};
  const std::int64_t in_of_group = in / options.groups_;
  layer.tensors.push_back({"weight", {out, in_of_group, kernel, kernel}, Init::kKaimingFanOut});
  if (options.has_bias_) layer.tensors.push_back({"bias", {out}, Init::kZeros});
  return layer;
}

Layer batch_norm(std::int64_t channels) {
  return {"BatchNorm",
          "return torch.batch_norm(x, self.weight, self.bias, self.running_mean, "
          "self.running_var, self.training, 0.1, 1e-05, True)",
          {{"weight", {channels}, Init::kOnes},
           {"bias", {channels}, Init::kZeros},
           {"running_mean", {channels}, Init::kZeros, /*is_buffer=*/true},
           {"running_var", {channels}, Init::kOnes, /*is_buffer=*/true},
           {"num_batches_tracked", {}, Init::kZeros, /*is_buffer=*/true, /*is_integer=*/true}}};
}

Layer linear(std::int64_t in, std::int64_t out, bool bias) {
  Layer layer{"Linear", bias ? "return torch.linear(x, self.weight, self.bias)"
                             : "return torch.linear(x, self.weight)"};
  layer.tensors.push_back({"weight", {out, in}, Init::kUniformFanIn, false, false, in});
  if (bias) layer.tensors.push_back({"bias", {out}, Init::kUniformFanIn, false, false, in});
  return layer;
}

Layer layer_norm(std::int64_t width, double epsilon) {
  return {
      "LayerNorm",
      fmt::format("return torch.layer_norm(x, [{}], self.weight, self.bias, {})", width, epsilon),
      {{"weight", {width}, Init::kOnes}, {"bias", {width}, Init::kZeros}}};
}

Layer prelu(std::int64_t channels) {
  return {"PReLU", "return torch.prelu(x, self.weight)", {{"weight", {channels}, Init::kQuarter}}};
}

Layer dropout(double probability) {
  return {"Dropout", fmt::format("return torch.dropout(x, {:.3f}, self.training)", probability)};
}

Layer function(const std::string& type, const std::string& expression) {
  return {type, "return " + expression};
}

Layer sequential(std::vector<std::pair<std::string, Layer>> layers) {
  std::ostringstream forward;
  for (const auto& [name, layer] : layers) forward << "x = " << call(name) << "\n";
  forward << "return x";
  return {"Sequential", forward.str(), {}, std::move(layers)};
}

Layer sequential(std::vector<Layer> layers) {
  std::vector<std::pair<std::string, Layer>> named;
  named.reserve(layers.size());
  for (Layer& layer : layers) {
    named.emplace_back(std::to_string(named.size()), std::move(layer));
  }
  return sequential(std::move(named));
}

torch::jit::Module compile(const Layer& root, bool fill, std::uint64_t seed) {
  return Compiler(fill, seed).compile(root, "");
}

}  // namespace cachectl::zoo
