#include "calibrate/calibrate.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "support/expect_error.h"
#include "support/tiny_chain.h"

namespace cachectl::calibrate {
namespace {

using testing::HasSubstr;

Options options_of(const TinyChain& chain, const std::string& out = "calibrated.h5") {
  Options options;
  options.common = TinyChain::common();
  options.medial = chain.medial_path;
  options.caches = chain.caches_path;
  options.out = chain.scratch.path(out);
  return options;
}

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class CalibrateStage : public testing::Test {
 protected:
  void SetUp() override { testing::internal::CaptureStdout(); }
  void TearDown() override { testing::internal::GetCapturedStdout(); }
};

class CalibrateEvery : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { testing::internal::CaptureStdout(); }
  void TearDown() override { testing::internal::GetCapturedStdout(); }
};
INSTANTIATE_TEST_SUITE_P(Cascade, CalibrateEvery, testing::Values(false, true));

TEST_P(CalibrateEvery, RecordsTheCalibratedAnswersOfTheValidationPart) {
  TinyChain chain(3000, GetParam());
  Options options = options_of(chain);
  run(options);
  const auto caches = artifact::read_caches(options.out);
  const artifact::MedialReader medial(chain.medial_path);
  const auto rows = medial.rows_of(data::Part::kValidation);
  ASSERT_EQ(caches.validation_ids.size(), rows.size());
  EXPECT_EQ(caches.validation_ids[3], medial.rows().ids[static_cast<std::size_t>(rows[3])]);
  const at::Tensor backbone = medial.pd(rows).argmax(1);
  at::Tensor logits;
  for (const auto& cache : caches.caches) {
    ASSERT_TRUE(cache.calibrated);
    const auto& found = cache.calibration;
    at::Tensor read = medial.activations(cache.layer, rows).flatten(1);
    EXPECT_EQ(cache.prior.empty(), !GetParam() || cache.layer == "early");
    if (!cache.prior.empty()) {  // logits still are those of the one in front
      read = at::cat({read, logits - at::logsumexp(logits, {1}, true)}, 1);
    }
    logits = at::linear(read, cache.weights.at("classifier.weight"),
                        cache.weights.at("classifier.bias"));
    const auto [confidence, label] = at::softmax(logits / found.temperature, 1).max(1);
    std::int64_t agree = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      EXPECT_NEAR(found.confidences[i], confidence[at].item<float>(), 1e-4);
      EXPECT_EQ(found.predictions[i], label[at].item<std::int64_t>());
      EXPECT_EQ(caches.backbone_classes[i], backbone[at].item<std::int64_t>());
      agree += found.predictions[i] == caches.backbone_classes[i];
    }
    EXPECT_NEAR(found.thresholds.cache_accuracy.back(),
                static_cast<double>(agree) / static_cast<double>(rows.size()), 1e-12);
    EXPECT_EQ(found.thresholds.hit_rate.back(), 1);
    EXPECT_GT(found.temperature, 1);  // the discriminants were made too sharp
    EXPECT_LT(found.nll_after, found.nll_before);
    EXPECT_LE(found.ece_after, found.ece_before + 0.01);
  }
}

TEST_F(CalibrateStage, LooksAtNoOtherPart) {
  TinyChain chain;
  Options options = options_of(chain);
  run(options);
  const std::string hash = artifact::read_caches(options.out).provenance.content_hash;
  for (const data::Part part : {data::Part::kTrain, data::Part::kCertify, data::Part::kTest}) {
    Options other = options_of(chain, "other.h5");
    other.medial = chain.with_other_contents(part, "other-medial.h5");
    run(other);
    EXPECT_EQ(artifact::read_caches(other.out).provenance.content_hash, hash)
        << data::part_name(part);
  }
  Options validation = options_of(chain, "validation.h5");
  validation.medial = chain.with_other_contents(data::Part::kValidation, "other-medial.h5");
  run(validation);
  EXPECT_NE(artifact::read_caches(validation.out).provenance.content_hash, hash);
}

TEST_F(CalibrateStage, WritesTheCurvesAsCsvAndJson) {
  TinyChain chain(500);
  Options options = options_of(chain);
  options.curves = chain.scratch.path("curves.csv");
  run(options);
  const std::string csv = contents(options.curves);
  EXPECT_THAT(csv, testing::StartsWith("layer,threshold,hit_rate,cache_accuracy,drop\nearly,"));
  EXPECT_THAT(csv, HasSubstr("\nlate,"));
  options.curves = chain.scratch.path("curves.json");
  run(options);
  EXPECT_THAT(contents(options.curves), HasSubstr("\"reliability_after\""));
  options.curves = chain.scratch.path("curves.txt");
  expect_error([&] { run(options); }, ExitCode::kUsage, ".csv or .json");
}

TEST_F(CalibrateStage, RefusesSamplesThatTheCacheModelsMayHaveLearntFrom) {
  TinyChain chain(500);
  TinyMedial other = chain.medial;
  std::swap(other.plan.rows.parts[0], other.plan.rows.parts[5]);  // train and validation
  Options options = options_of(chain);
  options.medial = chain.rewrite(other, "swapped.h5");
  expect_error([&] { run(options); }, ExitCode::kIncompatible, "use the same medial file");
}

// The samples that cache models were chosen by must not certify or test them.
TEST_F(CalibrateStage, RefusesAnotherSplitBehindTheSameTrainingPart) {
  TinyChain chain(500);
  for (const data::Part other_part : {data::Part::kCertify, data::Part::kTest}) {
    TinyMedial other = chain.medial;
    auto& parts = other.plan.rows.parts;
    *std::find(parts.begin(), parts.end(), data::Part::kValidation) = other_part;
    Options options = options_of(chain);
    options.medial = chain.rewrite(other, "split.h5");
    expect_error([&] { run(options); }, ExitCode::kIncompatible, "its validation samples");
  }
}

TEST_F(CalibrateStage, RefusesAnotherBackbone) {
  TinyChain chain(500);
  TinyMedial other = chain.medial;
  other.backbone_hash = std::string(64, 'e');
  Options options = options_of(chain);
  options.medial = chain.scratch.path("other.h5");
  other.write(options.medial);
  expect_error([&] { run(options); }, ExitCode::kIncompatible, "backbone");
}

}  // namespace
}  // namespace cachectl::calibrate
