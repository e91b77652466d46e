#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "support/scratch.h"
#include "zoo/import.h"

namespace cachectl::zoo {
namespace {

// The published accuracies of public weights, on the whole test splits.
class PublicWeights : public testing::Test {
 protected:
  void SetUp() override {
    const char* root = std::getenv("CACHECTL_DATA");
    if (root == nullptr || !std::filesystem::exists(std::filesystem::path(root) / "backbones")) {
      GTEST_SKIP() << "set CACHECTL_DATA to the folder with backbones/, cifar10/ and cifar100/";
    }
    root_ = root;
  }
  double percent(const std::string& arch, const std::string& weights, const std::string& kind,
                 const std::string& test_split, std::vector<double> mean, std::vector<double> std) {
    ImportOptions options;
    options.arch = arch;
    options.weights = root_ + "/backbones/" + weights;
    options.out = scratch_.path("backbone.pt");
    options.check = true;
    options.data.kind = kind;
    options.data.path = root_ + "/" + test_split;
    options.data.mean = std::move(mean);
    options.data.std = std::move(std);
    const ImportResult result = import_weights(options);
    EXPECT_EQ(result.samples, 10000);
    return 100 * result.accuracy;
  }
  const std::vector<double> mean_ = {.485, .456, .406}, std_ = {.229, .224, .225};
  const Scratch scratch_;
  std::string root_;
};

TEST_F(PublicWeights, OfResNet20AreRightOn9173OfTenThousand) {
  EXPECT_NEAR(percent("resnet20", "cifar10_resnet20-12fca82f.safetensors", "cifar10",
                      "cifar10/test_batch.bin", mean_, std_),
              91.73, 0.0101);
}

TEST_F(PublicWeights, OfResNet56AreRightOn9339OfTenThousand) {
  EXPECT_NEAR(percent("resnet56", "cifar10_resnet56-4bfd9763.safetensors", "cifar10",
                      "cifar10/test_batch.bin", mean_, std_),
              93.39, 0.0101);
}

TEST_F(PublicWeights, OfResNet56WithConvolutionsAreRightOn7263OfTenThousandOfCifar100) {
  EXPECT_NEAR(percent("resnet56", "cifar100_resnet56-f2eff4c8.safetensors", "cifar100",
                      "cifar100/test.bin", {.5070, .4865, .4409}, {.2673, .2564, .2761}),
              72.63, 0.0101);
}

}  // namespace
}  // namespace cachectl::zoo
