#include "artifact/caches.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/scratch.h"

namespace cachectl::artifact {
namespace {

TrainedCache trained(const std::string& layer, std::uint64_t seed,
                     const TrainedCache* prior = nullptr) {
  const model::CacheModel model(model::Architecture::parse("conv3x3-4, mean, fc8"), {2, 5, 5}, 3,
                                seed, prior != nullptr);
  TrainedCache cache;
  cache.layer = layer;
  cache.architecture = model.architecture().text();
  cache.input_shape = model.input_shape();
  cache.flops = model.cost().flops();
  cache.parameters = model.cost().parameters;
  cache.weight_bytes = model.cost().weight_bytes;
  cache.weights = model.state();
  cache.curve = {{1, 0.5, 0.25, 0.75}};
  cache.validation_agreement = 0.75;
  cache.sample_inputs = at::randn({4, 2, 5, 5});
  if (prior != nullptr) {
    cache.prior = prior->layer;
    cache.sample_prior = prior->sample_logits;
  }
  cache.sample_logits = model.freeze()->logits(cache.sample_inputs, cache.sample_prior);
  return cache;
}

class CachesFile : public testing::Test {
 protected:
  void write(const std::function<void(TrainedCache&)>& change = {}) {
    Caches caches;
    caches.classes = 3;
    caches.caches = {trained("layer1", 1), trained("layer2", 2)};
    caches.train_ids_hash = "t";
    caches.validation_ids_hash = "v";
    if (change) change(caches.caches[1]);
    write_caches(path_, caches, {}, {});
  }
  void refuses(const std::function<void(TrainedCache&)>& change, const std::string& part) {
    write(change);
    expect_error([&] { read_caches(path_); }, ExitCode::kCorrupt, part);
  }
  const Scratch scratch_;
  const std::string path_ = scratch_.path("caches.h5");
};

TEST_F(CachesFile, ComesBackAsWrittenAndAnswersAlike) {
  write();
  const Caches caches = read_caches(path_);
  ASSERT_EQ(caches.caches.size(), 2U);
  const TrainedCache& cache = caches.caches[1];
  EXPECT_EQ(cache.layer, "layer2");
  EXPECT_EQ(cache.curve.at(0).validation_loss, 0.25);
  EXPECT_FALSE(cache.calibrated);
  const at::Tensor logits = predictor_of(cache, 3, path_)->logits(cache.sample_inputs);
  EXPECT_TRUE(at::allclose(logits, cache.sample_logits, 1e-4, 1e-5));
}

TEST_F(CachesFile, OfACascadeComesBackAndReplaysThePriorsLogits) {
  const auto in_front = trained("layer1", 1);
  const auto chained = [&](TrainedCache& cache) { cache = trained("layer2", 2, &in_front); };
  write(chained);
  const Caches caches = read_caches(path_);
  const TrainedCache& cache = caches.caches[1];
  EXPECT_EQ(caches.caches[0].prior, "");
  EXPECT_EQ(cache.prior, "layer1");
  EXPECT_TRUE(at::equal(cache.sample_prior, in_front.sample_logits));
  const auto predictor = predictor_of(cache, 3, path_);
  EXPECT_TRUE(predictor->takes_prior());
  const at::Tensor logits = predictor->logits(cache.sample_inputs, cache.sample_prior);
  EXPECT_TRUE(at::allclose(logits, cache.sample_logits, 1e-4, 1e-5));

  const auto broken = [&](const std::function<void(TrainedCache&)>& change, const char* part) {
    refuses(
        [&](TrainedCache& written) {
          chained(written);
          change(written);
        },
        part);
  };
  broken([](TrainedCache& written) { written.prior = "layer3"; },
         "'layer3', which is not in front of it");
  broken([](TrainedCache& written) { written.prior = ""; }, "FLOPs");
  broken([](TrainedCache& written) { written.sample_prior = at::zeros({4, 2}); }, "sample_prior");
  broken([](TrainedCache& written) { written.sample_prior = written.sample_prior.roll(1, 1); },
         "away from those stored");
}

TEST_F(CachesFile, ReplaysItsSamplesAtLoad) {
  refuses([](TrainedCache& cache) { cache.weights["classifier.bias"].add_(0.5); },
          "/caches/0001: logits 0.5 away");
}

TEST_F(CachesFile, RefusesWeightsOfAnotherArchitecture) {
  refuses([](TrainedCache& cache) { cache.architecture = "conv3x3-4, mean, fc9"; }, "has 1");
  refuses([](TrainedCache& cache) { cache.architecture = "conv3x3-4, mean, fcc"; }, "'fcc'");
  refuses([](TrainedCache& cache) { cache.weights.erase("2.weight"); }, "'2.weight' of");
  refuses([](TrainedCache& cache) { cache.flops += 2; }, "FLOPs");
  refuses([](TrainedCache& cache) { cache.sample_inputs = at::zeros({4, 2, 5, 6}); }, "2x5x6");
  refuses([](TrainedCache& cache) { cache.weights["2.weight"].fill_(NAN); }, "2.weight");
}

}  // namespace
}  // namespace cachectl::artifact
