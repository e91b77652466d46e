#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/api/module.h>

#include <numeric>
#include <sstream>

#include "base/error.h"
#include "model/precision.h"
#include "zoo/zoo.h"

namespace cachectl::zoo {
namespace {

Spec spec_of(const std::string& arch, std::int64_t classes, std::int64_t input_size = 0,
             const std::string& stem = "", const std::string& shortcut = "") {
  Spec spec;
  spec.arch = arch;
  spec.classes = classes;
  spec.input_size = input_size;
  spec.stem = stem;
  spec.shortcut = shortcut;
  return spec;
}

struct Published {
  Spec spec;
  std::int64_t parameters;
};

// Torchvision's documentation (1,000 classes), akamaster/pytorch_resnet_cifar10's table
// exactly counted, chenyaofo/pytorch-cifar-models' table rounded to 0.01 M.
TEST(Architectures, HaveThePublishedNumbersOfParameters) {
  const std::vector<Published> all = {
      {spec_of("resnet20", 10, 32, "", "pad"), 269722},
      {spec_of("resnet32", 10, 32, "", "pad"), 464154},
      {spec_of("resnet44", 10, 32, "", "pad"), 658586},
      {spec_of("resnet56", 10, 32, "", "pad"), 853018},
      {spec_of("resnet110", 10, 32, "", "pad"), 1727962},
      {spec_of("resnet20", 10, 32, "", "conv"), 272474},
      {spec_of("resnet56", 10, 32, "", "conv"), 855770},
      {spec_of("resnet56", 100, 32, "", "conv"), 861620},
      {spec_of("resnet18", 1000), 11689512},
      {spec_of("resnet50", 1000), 25557032},
      {spec_of("mobilenet_v2", 1000), 3504872},
      {spec_of("efficientnet_b0", 1000), 5288548},
      {spec_of("vgg11", 1000), 132863336},
      {spec_of("mobilefacenet", 1000), 1200512 + 512 * 1000 + 1000},  // the embedder, a classifier
  };
  for (const Published& published : all) {
    EXPECT_EQ(parameter_count(build_unfilled(published.spec)), published.parameters)
        << published.spec.arch << " " << published.spec.shortcut;
  }
}

// He et al. 2016, table 6, in millions.
TEST(Architectures, CifarResNetsAgreeWithTheirPaper) {
  const std::vector<std::pair<std::string, double>> all = {{"resnet20", 0.27},
                                                           {"resnet32", 0.46},
                                                           {"resnet44", 0.66},
                                                           {"resnet56", 0.85},
                                                           {"resnet110", 1.7}};
  for (const auto& [name, millions] : all) {
    const double count = static_cast<double>(parameter_count(build_unfilled(spec_of(name, 10))));
    EXPECT_NEAR(count / 1e6, millions, name == "resnet110" ? 0.05 : 0.005) << name;
  }
}

class EveryArchitecture : public testing::TestWithParam<std::string> {};

TEST_P(EveryArchitecture, MapsABatchToLogits) {
  const c10::InferenceMode no_gradients;
  const Architecture& architecture = find_architecture(GetParam());
  const std::int64_t classes = 7;
  // The smallest input, the architecture's own where it is cheap, and stems and shortcuts.
  std::vector<Spec> specs = {spec_of(GetParam(), classes, architecture.min_input_size)};
  if (architecture.input_size < 224) specs.push_back(spec_of(GetParam(), classes));
  if (architecture.has_stems) {
    specs.push_back(spec_of(GetParam(), classes, 32, "cifar"));
    specs.push_back(spec_of(GetParam(), classes, 64, "imagenet"));
  }
  if (architecture.has_shortcuts) specs.push_back(spec_of(GetParam(), classes, 32, "", "conv"));
  for (const Spec& open : specs) {
    const Spec spec = completed(open);
    torch::jit::Module module = build_unfilled(spec);
    module.eval();
    const at::Tensor logits =
        module.forward({at::randn({2, 3, spec.input_size, spec.input_size})}).toTensor();
    EXPECT_THAT(logits.sizes(), testing::ElementsAre(2, classes));
  }
}

// Each operation must have a gradient in both precisions, on this LibTorch.
TEST_P(EveryArchitecture, IsTrainedInBothPrecisions) {
  const Architecture& architecture = find_architecture(GetParam());
  torch::jit::Module module = build_unfilled(spec_of(GetParam(), 4, architecture.min_input_size));
  const std::int64_t side = architecture.min_input_size;
  for (const bool is_mixed : {false, true}) {
    at::Tensor logits;
    {
      const model::MixedPrecision precision(is_mixed, at::kCPU);
      logits = module.forward({at::randn({4, 3, side, side})}).toTensor();
    }
    at::cross_entropy_loss(logits.to(at::kFloat), at::arange(4)).backward();
    for (const auto& parameter : module.named_parameters()) {
      EXPECT_TRUE(parameter.value.grad().defined()) << parameter.name;
    }
  }
}

TEST_P(EveryArchitecture, RefusesInputsItCannotTake) {
  const Architecture& architecture = find_architecture(GetParam());
  EXPECT_THROW(build_unfilled(spec_of(GetParam(), 10, architecture.min_input_size - 1)), Error);
  EXPECT_THROW(build_unfilled(spec_of(GetParam(), 1)), Error);
  EXPECT_THROW(build_unfilled(spec_of(GetParam(), 10, 0, "tall")), Error);
  EXPECT_THROW(build_unfilled(spec_of(GetParam(), 10, 0, "", "none")), Error);
}

INSTANTIATE_TEST_SUITE_P(Zoo, EveryArchitecture, testing::ValuesIn(architecture_names()),
                         [](const auto& info) { return info.param; });

TEST(Architectures, AreFilledFromTheSeedAlone) {
  const Spec spec = spec_of("resnet8", 10);
  const auto weight = [&](std::uint64_t seed) {
    return build(spec, seed).attr("conv1").toModule().attr("weight").toTensor().clone();
  };
  EXPECT_TRUE(at::equal(weight(3), weight(3)));
  EXPECT_FALSE(at::equal(weight(3), weight(4)));
  // He et al. 2015: deviation sqrt(2 / (16 * 9)).
  EXPECT_NEAR(weight(3).std().item<double>(), 0.118, 0.015);
}

TEST(Architectures, KeepTheSignalsScaleOverDepth) {
  const c10::InferenceMode no_gradients;
  for (const std::string name : {"resnet56", "resnet18", "mobilenet_v2", "vit_small"}) {
    torch::jit::Module module = build(spec_of(name, 10, 32), 5);
    const at::Tensor logits = module.forward({at::randn({8, 3, 32, 32})}).toTensor();
    EXPECT_TRUE(at::isfinite(logits).all().item<bool>()) << name;
    EXPECT_GT(logits.std().item<double>(), 1e-3) << name;
    EXPECT_LT(logits.std().item<double>(), 50) << name;
  }
}

TEST(Architectures, AreTrainedByAutograd) {
  torch::jit::Module module = build(spec_of("resnet8", 4), 5);
  const at::Tensor input = at::randn({8, 3, 32, 32});
  at::cross_entropy_loss(module.forward({input}).toTensor(), at::arange(8) % 4).backward();
  for (const auto& parameter : module.named_parameters()) {
    ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
    EXPECT_GT(parameter.value.grad().abs().max().item<double>(), 0) << parameter.name;
  }
}

TEST(Architectures, GiveEqualBytesWhenSaved) {
  const auto bytes = [] {
    std::ostringstream out;
    build(spec_of("resnet8", 10), 5).save(out);
    return out.str();
  };
  EXPECT_EQ(bytes(), bytes());
}

TEST(Architectures, SuggestTheNearestName) {
  try {
    find_architecture("resmet56");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_THAT(error.what(), testing::HasSubstr("resnet56"));
  }
}

}  // namespace
}  // namespace cachectl::zoo
