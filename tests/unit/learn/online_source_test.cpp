#include "learn/online_source.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "artifact/medial_writer.h"
#include "support/cached_backbone.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace cachectl::learn {
namespace {

// Synthetic images, the small backbone, and a medial file of the first layer's activations.
class Online : public testing::Test {
 protected:
  static constexpr std::int64_t kSamples = 40, kTrain = 24;
  void SetUp() override {
    data::Options options;
    options.samples = kSamples;
    options.image_size = CachedBackbone::kSize;
    dataset_ = data::open_dataset(options, {});
    layer_ = backbone_.backbone()->candidates().front().name;
    const auto chain = backbone_.backbone()->cut({layer_});
    std::vector<at::Tensor> inputs;
    artifact::MedialPlan plan;
    plan.classes = CachedBackbone::kClasses;
    for (std::int64_t i = 0; i < kSamples; ++i) {
      inputs.push_back(transform_(dataset_->read(i)));
      plan.rows.add(dataset_->id(i), i < kTrain ? data::Part::kTrain : data::Part::kValidation);
    }
    const auto live = chain.run(0, {at::stack(inputs)});
    activations_ = live[0].to(at::kFloat).contiguous();
    pd_ = backbone_.backbone()->probabilities(chain.run(1, live)[0]);
    artifact::MedialLayer layer;
    layer.name = layer_;
    layer.shape = activations_.sizes().slice(1).vec();
    layer.stored = io::DType::kFloat32;
    plan.layers = {layer};
    plan.cut_into_blocks(16);
    write(plan, backbone_.backbone()->hash());
  }
  void write(const artifact::MedialPlan& plan, const std::string& hash) {
    plan_ = plan;
    CommonOptions common;
    common.force = true;
    artifact::write_medial(path_, plan, pd_, {activations_}, common,
                           {{"backbone", io::outside_input("backbone", hash, "b")}});
  }
  OnlineSource source(const artifact::MedialReader& medial, const data::AugmentOptions& augment,
                      std::size_t threads = 1, double memory = 1e9) {
    return {medial, {layer_}, backbone_.backbone(), *dataset_, transform_, augment, threads,
            memory, 3};
  }

  const CachedBackbone backbone_;
  const Scratch scratch_;
  const std::string path_ = scratch_.path("medial.h5");
  std::unique_ptr<const data::Dataset> dataset_;
  data::Transform transform_;
  std::string layer_;
  at::Tensor activations_, pd_;
  artifact::MedialPlan plan_;
};

TEST_F(Online, WithoutAugmentationGivesWhatWasRecorded) {
  const artifact::MedialReader medial(path_);
  auto online = source(medial, {});
  EXPECT_EQ(online.samples(), kTrain);
  std::int64_t rows = 0;
  online.epoch(0, kTrain, 8, {0}, [&](const Batch& batch) {
    for (std::int64_t b = 0; b < batch.pd.size(0); ++b, ++rows) {
      const at::Tensor distance = (activations_ - batch.activations[0][b]).abs().flatten(1).amax(1);
      const auto nearest = distance.argmin().item<std::int64_t>();
      EXPECT_LT(distance.min().item<double>(), 1e-3);
      EXPECT_LT(nearest, kTrain);
      EXPECT_LT((pd_[nearest] - batch.pd[b]).abs().max().item<double>(), 1e-3);
    }
  });
  EXPECT_EQ(rows, kTrain);
}

TEST_F(Online, DrawsOtherViewsInEveryEpochAndTheSameForTheSameSeed) {
  const artifact::MedialReader medial(path_);
  data::AugmentOptions augment;
  augment.flip = true;
  augment.shift = 3;
  const auto sum = [&](std::int64_t epoch) {
    auto online = source(medial, augment);
    double sum = 0;
    online.epoch(epoch, kTrain, 8, {0}, [&](const Batch& batch) {
      sum += batch.activations[0].square().sum().item<double>();
    });
    return sum;
  };
  EXPECT_EQ(sum(0), sum(0));
  EXPECT_NE(sum(0), sum(1));
}

TEST_F(Online, GivesTheSameBatchesHoweverManyThreadsMakeThem) {
  const artifact::MedialReader medial(path_);
  const auto augment = data::AugmentOptions::usual();
  const auto batches = [&](std::size_t threads, double memory) {
    auto online = source(medial, augment, threads, memory);
    std::vector<at::Tensor> all;
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
      online.epoch(epoch, kTrain, 4, {0}, [&](const Batch& batch) {
        all.push_back(batch.activations[0].flatten());
        all.push_back(batch.pd.flatten());
      });
    }
    return at::cat(all);
  };
  const at::Tensor one = batches(1, 1e9);
  EXPECT_TRUE(one.equal(batches(4, 1e9)));
  EXPECT_TRUE(one.equal(batches(4, 1))) << "room for one batch at a time";
}

TEST_F(Online, RefusesAnotherBackboneAndOtherSamples) {
  write(plan_, "another");
  expect_error([&] { source(artifact::MedialReader(path_), {}); }, ExitCode::kIncompatible,
               "another backbone");
  auto other = plan_;
  other.rows.ids[0] ^= 1;
  write(other, backbone_.backbone()->hash());
  expect_error([&] { source(artifact::MedialReader(path_), {}); }, ExitCode::kIncompatible,
               "is not in synthetic");
  auto transformed = plan_;
  transformed.rows.ids[0] ^= 1;
  transformed.notes["transform"] = "mean 9";
  write(transformed, backbone_.backbone()->hash());
  expect_error([&] { source(artifact::MedialReader(path_), {}); }, ExitCode::kIncompatible,
               "transformed by 'mean 9'");
}

}  // namespace
}  // namespace cachectl::learn
