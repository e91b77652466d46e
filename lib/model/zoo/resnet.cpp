#include <fmt/format.h>

#include "base/text.h"
#include "zoo/architectures.h"

namespace cachectl::zoo {

namespace {

constexpr std::int64_t kBottleneckExpansion = 4;

Layer downsample(std::int64_t in, std::int64_t out, std::int64_t stride) {
  return sequential({conv2d(in, out, Conv(1).stride(stride)), batch_norm(out)});
}

// Two 3x3 convolutions. Where the shape changes, the shortcut is a 1x1
// convolution, or every second pixel with `out / 4` zero channels on both sides.
Layer basic_block(std::int64_t in, std::int64_t out, std::int64_t stride, bool pad_shortcut) {
  Layer block{"BasicBlock", ""};
  block.children = {{"conv1", conv2d(in, out, Conv(3).stride(stride))},
                    {"bn1", batch_norm(out)},
                    {"conv2", conv2d(out, out, Conv(3))},
                    {"bn2", batch_norm(out)}};
  std::string shortcut = "x";
  if (stride != 1 || in != out) {
    if (pad_shortcut) {
      shortcut = fmt::format(
          "torch.constant_pad_nd(torch.slice(torch.slice(x, 2, 0, 9223372036854775807, {0}), 3, 0, "
          "9223372036854775807, {0}), [0, 0, 0, 0, {1}, {1}], 0)",
          stride, out / 4);
    } else {
      block.children.emplace_back("downsample", downsample(in, out, stride));
      shortcut = call("downsample");
    }
  }
  block.forward =
      "y = torch.relu(self.bn1.forward(self.conv1.forward(x)))\n"
      "y = self.bn2.forward(self.conv2.forward(y))\n"
      "return torch.relu(y + " +
      shortcut + ")";
  return block;
}

Layer bottleneck(std::int64_t in, std::int64_t width, std::int64_t stride) {
  const std::int64_t out = width * kBottleneckExpansion;
  Layer block{"Bottleneck", ""};
  block.children = {{"conv1", conv2d(in, width, Conv(1))},
                    {"bn1", batch_norm(width)},
                    {"conv2", conv2d(width, width, Conv(3).stride(stride))},
                    {"bn2", batch_norm(width)},
                    {"conv3", conv2d(width, out, Conv(1))},
                    {"bn3", batch_norm(out)}};
  std::string shortcut = "x";
  if (stride != 1 || in != out) {
    block.children.emplace_back("downsample", downsample(in, out, stride));
    shortcut = call("downsample");
  }
  block.forward =
      "y = torch.relu(self.bn1.forward(self.conv1.forward(x)))\n"
      "y = torch.relu(self.bn2.forward(self.conv2.forward(y)))\n"
      "y = self.bn3.forward(self.conv3.forward(y))\n"
      "return torch.relu(y + " +
      shortcut + ")";
  return block;
}

// Stem, stages layer1, layer2, ..., global average, one linear layer.
Layer resnet(Layer net, std::vector<Layer> stages, const std::string& head, std::int64_t width,
             std::int64_t classes) {
  std::string forward = "x = torch.relu(self.bn1.forward(self.conv1.forward(x)))\n";
  if (!net.forward.empty()) forward += net.forward + "\n";
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const std::string name = fmt::format("layer{}", i + 1);
    forward += "x = " + call(name) + "\n";
    net.children.emplace_back(name, std::move(stages[i]));
  }
  net.children.emplace_back(head, linear(width, classes));
  forward += "x = torch.flatten(torch.adaptive_avg_pool2d(x, [1, 1]), 1)\n";
  forward += "return " + call(head);
  net.forward = forward;
  return net;
}

Layer imagenet_resnet(const Spec& spec, const std::vector<std::int64_t>& depths,
                      bool has_bottlenecks) {
  Layer net{"ResNet", ""};
  const bool is_small = spec.stem == "cifar";
  net.children = {{"conv1", is_small ? conv2d(3, 64, Conv(3)) : conv2d(3, 64, Conv(7).stride(2))},
                  {"bn1", batch_norm(64)}};
  if (!is_small) net.forward = "x = torch.max_pool2d(x, [3, 3], [2, 2], [1, 1])";
  std::vector<Layer> stages;
  std::int64_t in = 64;
  for (std::size_t stage = 0; stage < depths.size(); ++stage) {
    const std::int64_t width = 64LL << stage;
    std::vector<Layer> blocks;
    for (std::int64_t i = 0; i < depths[stage]; ++i) {
      const std::int64_t stride = i == 0 && stage > 0 ? 2 : 1;
      blocks.push_back(has_bottlenecks ? bottleneck(in, width, stride)
                                       : basic_block(in, width, stride, false));
      in = has_bottlenecks ? width * kBottleneckExpansion : width;
    }
    stages.push_back(sequential(std::move(blocks)));
  }
  return resnet(std::move(net), std::move(stages), "fc", in, spec.classes);
}

}  // namespace

// He et al. 2016, section 4.2: 6n + 2 layers in three stages of 16, 32 and 64 channels.
Layer cifar_resnet(const Spec& spec) {
  const std::int64_t layers = std::stoll(spec.arch.substr(std::string("resnet").size()));
  const std::int64_t depth = (layers - 2) / 6;
  const bool pad_shortcut = spec.shortcut == "pad";
  Layer net{"CifarResNet", ""};
  net.children = {{"conv1", conv2d(3, 16, Conv(3))}, {"bn1", batch_norm(16)}};
  std::vector<Layer> stages;
  std::int64_t in = 16;
  for (std::int64_t stage = 0; stage < 3; ++stage) {
    const std::int64_t width = 16LL << stage;
    std::vector<Layer> blocks;
    for (std::int64_t i = 0; i < depth; ++i) {
      blocks.push_back(basic_block(in, width, i == 0 && stage > 0 ? 2 : 1, pad_shortcut));
      in = width;
    }
    stages.push_back(sequential(std::move(blocks)));
  }
  // The two public families of checkpoints name their last layer differently.
  return resnet(std::move(net), std::move(stages), pad_shortcut ? "linear" : "fc", in,
                spec.classes);
}

Layer resnet18(const Spec& spec) {
  return imagenet_resnet(spec, {2, 2, 2, 2}, false);
}

Layer resnet50(const Spec& spec) {
  return imagenet_resnet(spec, {3, 4, 6, 3}, true);
}

}  // namespace cachectl::zoo
