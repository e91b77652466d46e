// The real CIFAR test parts below CACHECTL_DATA, against what is published about them.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "data/dataset.h"
#include "labels/labels.h"

namespace cachectl {
namespace {

class RealCifar : public testing::Test {
 protected:
  // False, and the test skipped, where the folder isn't there.
  bool find(const std::string& kind) {
    const char* root = std::getenv("CACHECTL_DATA");
    if (root != nullptr && std::filesystem::is_directory(std::filesystem::path(root) / kind)) {
      common_.data_root = root;
      return true;
    }
    [&] { GTEST_SKIP() << "CACHECTL_DATA names no folder with " << kind; }();
    return false;
  }

  // The mean of each channel over all samples, in [0, 1].
  static std::vector<double> means(const data::Dataset& set) {
    at::Tensor sum = at::zeros({3}, at::kDouble);
    for (std::int64_t i = 0; i < set.size(); ++i) {
      sum += set.read(i).to(at::kDouble).mean(at::IntArrayRef{1, 2}) / 255;
    }
    sum /= static_cast<double>(set.size());
    return {sum[0].item<double>(), sum[1].item<double>(), sum[2].item<double>()};
  }

  static data::Options options_of(const std::string& kind) {
    data::Options options;
    options.kind = options.path = kind;
    return options;
  }

  CommonOptions common_;
};

TEST_F(RealCifar, TenClassesHaveTheirPublishedSizeAndMeans) {
  if (!find("cifar10")) return;
  const auto set = data::open_dataset(options_of("cifar10"), common_);
  ASSERT_EQ(set->size(), 10000);
  const auto mean = means(*set);
  EXPECT_NEAR(mean[0], 0.4942, 1e-4);
  EXPECT_NEAR(mean[1], 0.4851, 1e-4);
  EXPECT_NEAR(mean[2], 0.4504, 1e-4);
}

TEST_F(RealCifar, TenClassesHaveAThousandSamplesEach) {
  if (!find("cifar10")) return;
  const auto labels = labels::open_labels(options_of("cifar10"), common_);
  std::vector<int> counts(10);
  for (const auto label : labels.values) ++counts.at(static_cast<std::size_t>(label));
  EXPECT_THAT(counts, testing::Each(1000));
  // The first images of the test part: cat, ship, ship, airplane, frog.
  EXPECT_THAT(std::vector<std::int64_t>(labels.values.begin(), labels.values.begin() + 5),
              testing::ElementsAre(3, 8, 8, 0, 6));
}

TEST_F(RealCifar, HundredClassesHaveAHundredSamplesEach) {
  if (!find("cifar100")) return;
  const auto labels = labels::open_labels(options_of("cifar100"), common_);
  std::vector<int> counts(100);
  for (const auto label : labels.values) ++counts.at(static_cast<std::size_t>(label));
  EXPECT_THAT(counts, testing::Each(100));
}

}  // namespace
}  // namespace cachectl
