#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/api/module.h>

#include <ostream>

#include "model/backbone.h"
#include "support/scratch.h"
#include "zoo/backbone_file.h"
#include "zoo/zoo.h"

namespace cachectl::zoo {
namespace {

struct Case {
  std::string arch;
  std::int64_t input_size;
  // Names among the candidates: what a user of that architecture calls its blocks.
  std::vector<std::string> blocks;

  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.arch; }
};

class ZooBackbone : public testing::TestWithParam<Case> {};

// What the zoo writes is what the rest of the chain cuts: whole and in pieces, it gives
// the module's own output.
TEST_P(ZooBackbone, IsCutAtItsBlocksAndStaysTheSameFunction) {
  const c10::InferenceMode no_gradients;
  const Scratch scratch;
  Spec spec;
  spec.arch = GetParam().arch;
  spec.classes = 7;
  spec.input_size = GetParam().input_size;
  torch::jit::Module module = build(spec, 4);
  save_backbone(module, record_of(completed(spec), {}), scratch.path("b.pt"));
  const at::Tensor input = at::randn({3, 3, spec.input_size, spec.input_size});
  const at::Tensor expected = module.forward({input}).toTensor();

  model::BackboneOptions options;
  options.path = scratch.path("b.pt");
  const auto backbone = model::Backbone::load(options, {input});
  EXPECT_EQ(backbone->num_classes(), 7);
  std::vector<std::string> names;
  for (const model::Candidate& candidate : backbone->candidates()) names.push_back(candidate.name);
  for (const std::string& block : GetParam().blocks) {
    EXPECT_THAT(names, testing::Contains(block)) << testing::PrintToString(names);
  }
  const double tolerance = 1e-4 * std::max(1.0, expected.abs().max().item<double>());
  EXPECT_TRUE(at::allclose(backbone->run({input}), expected, 1e-4, tolerance));
  const model::SegmentChain chain = backbone->cut(GetParam().blocks);
  EXPECT_TRUE(at::allclose(chain.run(model::Tensors{input}), expected, 1e-4, tolerance));
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, ZooBackbone,
    testing::Values(Case{"resnet8", 32, {"layer1", "layer2"}},
                    Case{"resnet20", 32, {"layer1.0", "layer2.2", "layer3.1"}},
                    Case{"resnet18", 32, {"layer1.0", "layer2.1", "layer3.1"}},
                    Case{"resnet50", 32, {"layer1.2", "layer2.3"}},
                    Case{"mobilenet_v2", 32, {"features.1", "features.10"}},
                    Case{"mobilefacenet", 64, {"conv_3.model.1", "conv_4.model.3"}},
                    Case{"efficientnet_b0", 32, {"features.2.1", "features.4.2"}},
                    Case{"vit_small", 32, {"encoder.layers.encoder_layer_2"}}),
    [](const auto& info) { return info.param.arch; });

}  // namespace
}  // namespace cachectl::zoo
