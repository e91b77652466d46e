#include <fmt/format.h>

#include "zoo/architectures.h"

namespace cachectl::zoo {

namespace {

Layer relu() {
  return function("ReLU", "torch.relu(x)");
}

// Multi-head self-attention over x [B, N, width], named as torch.nn.MultiheadAttention.
Layer self_attention(std::int64_t width, std::int64_t heads) {
  const std::int64_t head_width = width / heads;
  return {
      "SelfAttention",
      fmt::format("qkv = torch.linear(x, self.in_proj_weight, self.in_proj_bias)\n"
                  "qkv = torch.reshape(qkv, [torch.size(x, 0), torch.size(x, 1), 3, {0}, {1}])\n"
                  "qkv = torch.permute(qkv, [2, 0, 3, 1, 4])\n"
                  "scores = torch.matmul(torch.select(qkv, 0, 0), "
                  "torch.transpose(torch.select(qkv, 0, 1), 2, 3)) * ({1} ** -0.5)\n"
                  "y = torch.matmul(torch.softmax(scores, -1), torch.select(qkv, 0, 2))\n"
                  "y = torch.reshape(torch.transpose(y, 1, 2), "
                  "[torch.size(x, 0), torch.size(x, 1), {2}])\n"
                  "return self.out_proj.forward(y)",
                  heads, head_width, width),
      {{"in_proj_weight", {3 * width, width}, Init::kUniformFanIn, false, false, width},
       {"in_proj_bias", {3 * width}, Init::kZeros}},
      {{"out_proj", linear(width, width)}}};
}

Layer encoder_block(std::int64_t width, std::int64_t heads, std::int64_t hidden) {
  return {"EncoderBlock",
          "x = x + self.self_attention.forward(self.ln_1.forward(x))\n"
          "return x + self.mlp.forward(self.ln_2.forward(x))",
          {},
          {{"ln_1", layer_norm(width, 1e-6)},
           {"self_attention", self_attention(width, heads)},
           {"ln_2", layer_norm(width, 1e-6)},
           {"mlp", sequential({linear(width, hidden), function("GELU", "torch.gelu(x)"), dropout(0),
                               linear(hidden, width)})}}};
}

}  // namespace

// Simonyan and Zisserman 2015, configuration A.
Layer vgg11(const Spec& spec) {
  std::vector<Layer> features;
  std::int64_t in = 3;
  for (const std::int64_t channels : {64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0}) {
    if (channels == 0) {
      features.push_back(function("MaxPool2d", "torch.max_pool2d(x, [2, 2], [2, 2])"));
      continue;
    }
    features.push_back(conv2d(in, channels, Conv(3).biased()));
    features.push_back(relu());
    in = channels;
  }
  constexpr std::int64_t kPooled = 7, kHidden = 4096;
  return {"VGG",
          fmt::format("x = torch.adaptive_avg_pool2d(self.features.forward(x), [{0}, {0}])\n"
                      "return self.classifier.forward(torch.flatten(x, 1))",
                      kPooled),
          {},
          {{"features", sequential(std::move(features))},
           {"classifier", sequential({linear(in * kPooled * kPooled, kHidden), relu(), dropout(0.5),
                                      linear(kHidden, kHidden), relu(), dropout(0.5),
                                      linear(kHidden, spec.classes)})}}};
}

// Dosovitskiy et al. 2021, small: 6 blocks of 192, 3 heads, an 8x8 grid of patches.
// Named as torchvision.models.VisionTransformer.
Layer vit_small(const Spec& spec) {
  constexpr std::int64_t kWidth = 192, kHeads = 3, kHidden = 768, kGrid = 8;
  constexpr int kBlocks = 6;
  const std::int64_t patch = spec.input_size / kGrid;
  std::vector<std::pair<std::string, Layer>> blocks;
  blocks.reserve(kBlocks);
  for (int i = 0; i < kBlocks; ++i) {
    blocks.emplace_back(fmt::format("encoder_layer_{}", i), encoder_block(kWidth, kHeads, kHidden));
  }
  Layer encoder{"Encoder",
                "return self.ln.forward(self.layers.forward(x + self.pos_embedding))",
                {{"pos_embedding", {1, kGrid * kGrid + 1, kWidth}, Init::kNormal}},
                {{"layers", sequential(std::move(blocks))}, {"ln", layer_norm(kWidth, 1e-6)}}};
  Layer heads = sequential(
      std::vector<std::pair<std::string, Layer>>{{"head", linear(kWidth, spec.classes)}});
  return {"VisionTransformer",
          "x = torch.transpose(torch.flatten(self.conv_proj.forward(x), 2), 1, 2)\n"
          "token = torch.expand(self.class_token, [torch.size(x, 0), -1, -1])\n"
          "x = self.encoder.forward(torch.cat([token, x], 1))\n"
          "return self.heads.forward(torch.select(x, 1, 0))",
          {{"class_token", {1, 1, kWidth}, Init::kZeros}},
          {{"conv_proj", conv2d(3, kWidth, Conv(patch).stride(patch).unpadded().biased())},
           {"encoder", std::move(encoder)},
           {"heads", std::move(heads)}}};
}

}  // namespace cachectl::zoo
