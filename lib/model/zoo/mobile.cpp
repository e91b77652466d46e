#include <algorithm>

#include "zoo/architectures.h"

namespace cachectl::zoo {

namespace {

// As a clamp: LibTorch 1.13 has no gradient of hardtanh in bfloat16 on the CPU.
Layer relu6() {
  return function("ReLU6", "torch.clamp(x, 0., 6.)");
}
Layer silu() {
  return function("SiLU", "torch.silu(x)");
}

// Convolution, batch norm and, unless it is left out, an activation: 0, 1, 2.
Layer conv_norm(std::int64_t in, std::int64_t out, const Conv& options, const Layer* activation) {
  std::vector<Layer> layers{conv2d(in, out, options), batch_norm(out)};
  if (activation != nullptr) layers.push_back(*activation);
  return sequential(std::move(layers));
}

// Sandler et al. 2018, section 3.3.
Layer inverted_residual(std::int64_t in, std::int64_t out, std::int64_t stride,
                        std::int64_t expansion) {
  const Layer activation = relu6();
  const std::int64_t hidden = in * expansion;
  std::vector<Layer> layers;
  if (expansion != 1) layers.push_back(conv_norm(in, hidden, Conv(1), &activation));
  layers.push_back(conv_norm(hidden, hidden, Conv(3).stride(stride).groups(hidden), &activation));
  layers.push_back(conv2d(hidden, out, Conv(1)));
  layers.push_back(batch_norm(out));
  Layer block{"InvertedResidual", ""};
  block.children = {{"conv", sequential(std::move(layers))}};
  block.forward =
      stride == 1 && in == out ? "return x + self.conv.forward(x)" : "return self.conv.forward(x)";
  return block;
}

// Hu et al. 2018, as in EfficientNet.
Layer squeeze_excitation(std::int64_t channels, std::int64_t squeezed) {
  return {"SqueezeExcitation",
          "y = torch.silu(self.fc1.forward(torch.adaptive_avg_pool2d(x, [1, 1])))\n"
          "return x * torch.sigmoid(self.fc2.forward(y))",
          {},
          {{"fc1", conv2d(channels, squeezed, Conv(1).biased())},
           {"fc2", conv2d(squeezed, channels, Conv(1).biased())}}};
}

Layer mbconv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
             std::int64_t expansion) {
  const Layer activation = silu();
  const std::int64_t hidden = in * expansion;
  std::vector<Layer> layers;
  if (expansion != 1) layers.push_back(conv_norm(in, hidden, Conv(1), &activation));
  layers.push_back(
      conv_norm(hidden, hidden, Conv(kernel).stride(stride).groups(hidden), &activation));
  layers.push_back(squeeze_excitation(hidden, std::max<std::int64_t>(1, in / 4)));
  layers.push_back(conv_norm(hidden, out, Conv(1), nullptr));
  Layer block{"MBConv", ""};
  block.children = {{"block", sequential(std::move(layers))}};
  block.forward = stride == 1 && in == out ? "return x + self.block.forward(x)"
                                           : "return self.block.forward(x)";
  return block;
}

Layer pooled_classifier(const std::string& type, std::vector<Layer> features, std::int64_t width,
                        std::int64_t classes) {
  return {type,
          "x = self.features.forward(x)\n"
          "x = torch.flatten(torch.adaptive_avg_pool2d(x, [1, 1]), 1)\n"
          "return self.classifier.forward(x)",
          {},
          {{"features", sequential(std::move(features))},
           {"classifier", sequential({dropout(0.2), linear(width, classes)})}}};
}

Layer conv_norm_prelu(std::int64_t in, std::int64_t out, const Conv& options) {
  return sequential(std::vector<std::pair<std::string, Layer>>{
      {"conv", conv2d(in, out, options)}, {"bn", batch_norm(out)}, {"prelu", prelu(out)}});
}

Layer conv_norm_only(std::int64_t in, std::int64_t out, const Conv& options) {
  return sequential(std::vector<std::pair<std::string, Layer>>{{"conv", conv2d(in, out, options)},
                                                               {"bn", batch_norm(out)}});
}

Layer depth_wise(std::int64_t in, std::int64_t hidden, std::int64_t out, std::int64_t stride,
                 bool is_residual) {
  const std::string body = "self.project.forward(self.conv_dw.forward(self.conv.forward(x)))";
  return {"DepthWise",
          (is_residual ? "return x + " : "return ") + body,
          {},
          {{"conv", conv_norm_prelu(in, hidden, Conv(1))},
           {"conv_dw", conv_norm_prelu(hidden, hidden, Conv(3).stride(stride).groups(hidden))},
           {"project", conv_norm_only(hidden, out, Conv(1))}}};
}

Layer residual(std::int64_t channels, std::int64_t hidden, int count) {
  std::vector<Layer> blocks(static_cast<std::size_t>(count),
                            depth_wise(channels, hidden, channels, 1, true));
  return {
      "Residual", "return self.model.forward(x)", {}, {{"model", sequential(std::move(blocks))}}};
}

}  // namespace

// Sandler et al. 2018, table 2.
Layer mobilenet_v2(const Spec& spec) {
  struct Stage {
    std::int64_t expansion, channels, count, stride;
  };
  static constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                      {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  const Layer activation = relu6();
  const std::int64_t stem_stride = spec.stem == "cifar" ? 1 : 2;
  std::vector<Layer> features{conv_norm(3, 32, Conv(3).stride(stem_stride), &activation)};
  std::int64_t in = 32;
  for (const Stage& stage : kStages) {
    for (std::int64_t i = 0; i < stage.count; ++i) {
      features.push_back(
          inverted_residual(in, stage.channels, i == 0 ? stage.stride : 1, stage.expansion));
      in = stage.channels;
    }
  }
  features.push_back(conv_norm(in, 1280, Conv(1), &activation));
  return pooled_classifier("MobileNetV2", std::move(features), 1280, spec.classes);
}

// Tan and Le 2019, table 1. Without stochastic depth, which acts in training only.
Layer efficientnet_b0(const Spec& spec) {
  struct Stage {
    std::int64_t expansion, kernel, stride, channels, count;
  };
  static constexpr Stage kStages[] = {{1, 3, 1, 16, 1}, {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2},
                                      {6, 3, 2, 80, 3}, {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4},
                                      {6, 3, 1, 320, 1}};
  const Layer activation = silu();
  const std::int64_t stem_stride = spec.stem == "cifar" ? 1 : 2;
  std::vector<Layer> features{conv_norm(3, 32, Conv(3).stride(stem_stride), &activation)};
  std::int64_t in = 32;
  for (const Stage& stage : kStages) {
    std::vector<Layer> blocks;
    for (std::int64_t i = 0; i < stage.count; ++i) {
      blocks.push_back(
          mbconv(in, stage.channels, stage.kernel, i == 0 ? stage.stride : 1, stage.expansion));
      in = stage.channels;
    }
    features.push_back(sequential(std::move(blocks)));
  }
  features.push_back(conv_norm(in, 1280, Conv(1), &activation));
  return pooled_classifier("EfficientNet", std::move(features), 1280, spec.classes);
}

// Chen et al. 2018, table 1, with the names of the public face-recognition
// checkpoints; the classifier block reads the embedding.
Layer mobilefacenet(const Spec& spec) {
  constexpr std::int64_t kEmbedding = 512;
  const std::int64_t last_kernel = spec.input_size / 16;  // the global depth-wise convolution
  Layer net{"MobileFaceNet", ""};
  net.children = {{"conv1", conv_norm_prelu(3, 64, Conv(3).stride(2))},
                  {"conv2_dw", conv_norm_prelu(64, 64, Conv(3).groups(64))},
                  {"conv_23", depth_wise(64, 128, 64, 2, false)},
                  {"conv_3", residual(64, 128, 4)},
                  {"conv_34", depth_wise(64, 256, 128, 2, false)},
                  {"conv_4", residual(128, 256, 6)},
                  {"conv_45", depth_wise(128, 512, 128, 2, false)},
                  {"conv_5", residual(128, 256, 2)},
                  {"conv_6_sep", conv_norm_prelu(128, 512, Conv(1))},
                  {"conv_6_dw", conv_norm_only(512, 512, Conv(last_kernel).groups(512).unpadded())},
                  {"linear", linear(512, kEmbedding, /*bias=*/false)},
                  {"bn", batch_norm(kEmbedding)},
                  {"classifier", sequential({function("ReLU", "torch.relu(x)"), dropout(0.2),
                                             linear(kEmbedding, spec.classes)})}};
  for (const auto& [name, layer] : net.children) {
    if (name == "linear") net.forward += "x = torch.flatten(x, 1)\n";
    net.forward += (name == "classifier" ? "return " : "x = ") + call(name) +
                   (name == "classifier" ? "" : "\n");
  }
  return net;
}

}  // namespace cachectl::zoo
