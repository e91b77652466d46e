#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "artifact/plan.h"
#include "calibrate_for_test.h"
#include "decision/fixed_sequence.h"
#include "decision/outcome.h"
#include "select/select.h"
#include "support/expect_error.h"
#include "support/quietly.h"
#include "support/tiny_chain.h"

namespace cachectl::select {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SelectStage : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    chain_ = std::make_unique<TinyChain>(6000);
    calibrated_ = chain_->scratch.path("calibrated.h5");
    calibrate_for_test(chain_->medial_path, chain_->caches_path, calibrated_);
  }
  static void TearDownTestSuite() { chain_.reset(); }

  static Options options(const std::string& out = "plan.h5") {
    Options options;
    options.common = TinyChain::common();
    options.medial = chain_->medial_path;
    options.caches = calibrated_;
    options.profile = chain_->profile_path;
    options.out = chain_->scratch.path(out);
    options.tolerance = 0.02;
    options.self_test = 0;
    return options;
  }

  static std::string output_of(Options options) {
    return ::output_of([&] { run(options); });
  }

  static artifact::PlanFile plan_of(Options options) {
    output_of(options);
    return artifact::read_plan(options.out);
  }

  // The records of the plan's cache models on the validation part.
  static decision::Records validation() {
    const auto caches = artifact::read_caches(calibrated_);
    decision::Records records;
    records.backbone = caches.backbone_classes;
    for (const auto& cache : caches.caches) {
      records.exits.push_back({cache.calibration.predictions, cache.calibration.confidences});
    }
    return records;
  }

  static decision::Exits exits_of(const artifact::PlanFile& file, const artifact::Plan& plan) {
    decision::Exits exits;
    for (const auto& exit : plan.exits) {
      const auto& layer = file.caches[static_cast<std::size_t>(exit.cache)].layer;
      const std::size_t candidate = layer == "early" ? 0 : layer == "middle" ? 1 : 2;
      exits.push_back({candidate, static_cast<float>(exit.threshold)});
    }
    return exits;
  }

  static std::unique_ptr<TinyChain> chain_;
  static std::string calibrated_;
};
std::unique_ptr<TinyChain> SelectStage::chain_;
std::string SelectStage::calibrated_;

TEST_F(SelectStage, WritesAPlanThatSavesWhatItPredictsWithinTheTolerance) {
  double last = 0;
  for (const std::string budget : {"halving", "equal", "joint"}) {
    Options with = options();
    with.budget = budget;
    const auto file = plan_of(with);
    ASSERT_EQ(file.plans.size(), 1u);
    const auto& plan = file.plans[0];
    EXPECT_EQ(plan.batch, 0);
    EXPECT_FALSE(plan.certificate);
    ASSERT_FALSE(plan.exits.empty());
    const auto outcome = decision::run_over(validation(), exits_of(file, plan));
    EXPECT_LE(outcome.risk(), 0.02);
    EXPECT_DOUBLE_EQ(plan.predicted_risk, outcome.risk());
    EXPECT_EQ(plan.reach, outcome.reach);
    EXPECT_EQ(plan.hits, outcome.hits);
    // Four segments of 1e7; every sample that reaches an exit pays for its cache model.
    double cost = 1e7 * static_cast<double>(outcome.samples);
    std::size_t exit = 0;
    auto left = static_cast<double>(outcome.samples);
    const auto exits = exits_of(file, plan);
    for (std::size_t d = 0; d < 3; ++d) {
      if (exit < exits.size() && exits[exit].candidate == d) {
        const auto place = static_cast<std::size_t>(plan.exits[exit].cache);
        cost += left * file.caches[place].flops;
        left -= static_cast<double>(outcome.hits[exit++]);
      }
      cost += 1e7 * left;
    }
    EXPECT_NEAR(plan.predicted_saving, 1 - cost / (4e7 * static_cast<double>(outcome.samples)),
                1e-9);
    EXPECT_GT(plan.predicted_saving, 0.1);
    if (budget == "joint") {
      EXPECT_GE(plan.predicted_saving, last - 1e-12);
    }
    last = std::max(last, plan.predicted_saving);
    for (const auto& runner : plan.runners_up) {
      EXPECT_LE(runner.predicted_saving, plan.predicted_saving);
    }
  }
}

TEST_F(SelectStage, DoesNotLookAtTheCertifyPartUnlessItCertifies) {
  const std::string hash = plan_of(options()).provenance.content_hash;
  Options other = options("other.h5");
  other.medial = chain_->with_other_contents(data::Part::kCertify, "other-certify.h5");
  EXPECT_EQ(plan_of(other).provenance.content_hash, hash);
  other.medial = chain_->with_other_contents(data::Part::kTest, "other-test.h5");
  EXPECT_EQ(plan_of(other).provenance.content_hash, hash);
}

TEST_F(SelectStage, CertifiesAPlanFromAListThatTheCertifyPartDidNotForm) {
  Options with = options();
  with.epsilon = 0.03;
  const auto file = plan_of(with);
  const auto& plan = file.plans[0];
  ASSERT_TRUE(plan.certificate);
  const auto& certificate = *plan.certificate;
  EXPECT_TRUE(certificate.holds);
  EXPECT_EQ(certificate.samples, 600);
  EXPECT_NEAR(certificate.p_value,
              decision::p_value(certificate.differing, certificate.samples, 0.03), 1e-12);
  EXPECT_LE(certificate.p_value, 0.05);
  EXPECT_LE(certificate.list_certified, certificate.list_tested);
  EXPECT_GT(plan.predicted_saving, 0.1);
  EXPECT_EQ(file.certify_ids.size(), 600u);

  Options other = with;
  other.out = chain_->scratch.path("other.h5");
  other.medial = chain_->with_other_contents(data::Part::kCertify, "other-certify.h5");
  const auto changed = plan_of(other);
  EXPECT_EQ(changed.plans[0].certificate->list_hash, certificate.list_hash);
  // Its answers are all turned around: what still holds is little.
  EXPECT_LT(changed.plans[0].certificate->list_certified, certificate.list_certified);
  EXPECT_LT(changed.plans[0].predicted_saving, plan.predicted_saving / 2);
}

TEST_F(SelectStage, GivesTheEmptyPlanAndTheNumberNeededWithTooFewSamples) {
  Options with = options();
  with.epsilon = 0.004;
  const auto file = plan_of(with);
  ASSERT_TRUE(file.plans[0].certificate);
  EXPECT_FALSE(file.plans[0].certificate->holds);
  EXPECT_TRUE(file.plans[0].exits.empty());
  EXPECT_TRUE(file.caches.empty());
  EXPECT_GE(file.plans[0].certificate->samples_needed, 748);  // ln 0.05 / ln 0.996
  EXPECT_THAT(output_of(with), HasSubstr("samples would be needed"));
}

TEST_F(SelectStage, RefusesSamplesThatServedTwoPurposes) {
  TinyMedial twice = chain_->medial;
  twice.plan.rows.ids[6] = twice.plan.rows.ids[5];  // one sample in validation and certify
  Options with = options();
  with.medial = chain_->rewrite(twice, "twice.h5");
  expect_error([&] { plan_of(with); }, ExitCode::kCorrupt, "is there twice");
}

TEST_F(SelectStage, RefusesAPlanFormedWithALookAtTheCertifyPart) {
  // Calibrated on a file in which a certifying sample stood in the validation part.
  TinyMedial swapped = chain_->medial;
  std::swap(swapped.plan.rows.parts[5], swapped.plan.rows.parts[6]);
  const std::string other = chain_->rewrite(swapped, "swapped.h5");
  Options with = options();
  with.caches = chain_->scratch.path("looked.h5");
  calibrate_for_test(other, chain_->caches_path, with.caches);
  with.epsilon = 0.03;
  expect_error([&] { plan_of(with); }, ExitCode::kIncompatible,
               "samples that served one purpose must not serve another");
}

TEST_F(SelectStage, RefusesCacheModelsWithoutATemperature) {
  Options with = options();
  with.caches = chain_->caches_path;
  expect_error([&] { plan_of(with); }, ExitCode::kIncompatible, "cachectl-calibrate first");
}

TEST_F(SelectStage, KeepsToItsLimits) {
  Options with = options();
  with.max_caches = 1;
  EXPECT_EQ(plan_of(with).plans[0].exits.size(), 1u);
  with = options();
  with.forbid = {"late"};
  for (const auto& cache : plan_of(with).caches) EXPECT_NE(cache.layer, "late");
  with = options();
  with.require = {"early"};
  EXPECT_EQ(plan_of(with).caches.at(0).layer, "early");
  with = options();
  with.max_model_mib = 1e-9;
  EXPECT_TRUE(plan_of(with).plans[0].exits.empty());
  with = options();
  with.forbid = {"lat"};
  expect_error([&] { plan_of(with); }, ExitCode::kUsage, "did you mean 'late'?");
}

class SelectCascade : public SelectStage {
 protected:
  static void SetUpTestSuite() {
    chain_ = std::make_unique<TinyChain>(6000, true);
    calibrated_ = chain_->scratch.path("calibrated.h5");
    calibrate_for_test(chain_->medial_path, chain_->caches_path, calibrated_);
  }
};

TEST_F(SelectCascade, TakesBeginningsOnly) {
  const std::vector<std::string> layers = {"early", "middle", "late"};
  const auto expect_beginning = [&](const std::vector<std::string>& found) {
    ASSERT_LE(found.size(), 3u);
    for (std::size_t e = 0; e < found.size(); ++e) EXPECT_EQ(found[e], layers[e]);
  };
  for (const std::string budget : {"halving", "equal", "joint", "certified"}) {
    Options with = options();
    with.budget = budget == "certified" ? "halving" : budget;
    if (budget == "certified") with.epsilon = 0.03;
    const auto file = plan_of(with);
    const auto& plan = file.plans[0];
    ASSERT_FALSE(plan.exits.empty()) << budget;
    EXPECT_GT(plan.predicted_saving, 0.05);
    std::vector<std::string> found;
    for (const auto& exit : plan.exits) {
      found.push_back(file.caches[static_cast<std::size_t>(exit.cache)].layer);
    }
    expect_beginning(found);
    for (const auto& runner : plan.runners_up) expect_beginning(runner.layers);
    const auto outcome = decision::run_over(validation(), exits_of(file, plan));
    EXPECT_EQ(plan.hits, outcome.hits);
  }
}

TEST_F(SelectCascade, BringsAlongWhatIsTakenByTheRequired) {
  Options with = options();
  with.require = {"late"};
  const auto file = plan_of(with);
  EXPECT_EQ(file.plans[0].exits.size(), 3u);
  with.forbid = {"early"};
  expect_error([&] { plan_of(with); }, ExitCode::kUsage,
               "'middle' is required and takes the logits of 'early', which is forbidden");
  with.forbid = {};
  with.max_caches = 2;
  expect_error([&] { plan_of(with); }, ExitCode::kUsage, "needs 3 cache models");
  with = options();
  with.forbid = {"middle"};
  for (const auto& cache : plan_of(with).caches) EXPECT_EQ(cache.layer, "early");
}

TEST_F(SelectCascade, VerifiesWithTheLogitsOfTheOneInFront) {
  Options with = options();
  with.epsilon = 0.03;
  const auto file = plan_of(with);
  Options verify = options();
  verify.verify = with.out;
  verify.part = "test";
  verify.common.json = true;
  const std::string text = output_of(verify);
  // By hand: the linear discriminants, each with the one in front added, on the test part.
  const artifact::MedialReader medial(chain_->medial_path);
  const auto rows = medial.rows_of(data::Part::kTest);
  at::Tensor logits, label = at::full({static_cast<std::int64_t>(rows.size())}, -1, at::kLong);
  for (const auto& exit : file.plans[0].exits) {
    const auto& cache = file.caches[static_cast<std::size_t>(exit.cache)];
    at::Tensor read = medial.activations(cache.layer, rows).flatten(1);
    if (logits.defined()) read = at::cat({read, logits.log_softmax(1)}, 1);
    logits = at::linear(read, cache.weights.at("classifier.weight"),
                        cache.weights.at("classifier.bias"));
    const auto [confidence, best] = at::softmax(logits / cache.calibration.temperature, 1).max(1);
    label = at::where(label.lt(0).logical_and(confidence.ge(exit.threshold)), best, label);
  }
  const at::Tensor backbone = medial.pd(rows).argmax(1);
  const auto differing = label.ge(0).logical_and(label.ne(backbone)).sum().item<std::int64_t>();
  EXPECT_GT(label.ge(0).sum().item<std::int64_t>(), 100);
  EXPECT_THAT(text, HasSubstr("\"differing\": " + std::to_string(differing) + ","));
}

TEST_F(SelectStage, SaysPlainlyWhenCachingDoesNotPay) {
  Options with = options();
  with.tolerance = 0;
  with.forbid = {"late", "middle"};
  const auto file = plan_of(with);
  if (!file.plans[0].exits.empty()) {  // even the early one may have sure answers
    EXPECT_GT(file.plans[0].predicted_saving, 0);
    with.forbid.push_back("early");
  }
  EXPECT_THAT(output_of(with), HasSubstr("caching does not pay here"));
}

TEST_F(SelectStage, MakesAPlanForEachBatchUnderLatency) {
  Options with = options();
  with.cost = "latency";
  with.batch = {8, 1};
  const auto file = plan_of(with);
  ASSERT_EQ(file.plans.size(), 2u);
  EXPECT_EQ(file.plans[0].batch, 1);
  EXPECT_EQ(file.plans[1].batch, 8);
  for (const auto& plan : file.plans) {
    EXPECT_GE(plan.predicted_saving, 0);
    EXPECT_LE(plan.predicted_risk, 0.02);
  }
}

TEST_F(SelectStage, TakesAProfilesBatchSizesInAnyOrder) {
  Options with = options();
  with.cost = "latency";
  with.batch = {8, 1};
  const auto expected = plan_of(with);
  artifact::Profile profile = artifact::read_profile(with.profile);
  const auto turn = [](auto& timings) { std::reverse(timings.begin(), timings.end()); };
  turn(profile.plain);
  turn(profile.chain);
  for (auto& cost : profile.segments) turn(cost.timings);
  for (auto& candidate : profile.candidates) {
    turn(candidate.before);
    turn(candidate.after);
  }
  with.profile = chain_->scratch.path("turned.h5");
  artifact::write_profile(with.profile, profile, with.common, *profile.provenance.find("backbone"));
  const auto found = plan_of(with);
  for (std::size_t p = 0; p < 2; ++p) {
    // Look-ups are timed in each run.
    EXPECT_NEAR(found.plans[p].predicted_saving, expected.plans[p].predicted_saving, 0.02);
  }
}

TEST_F(SelectStage, RefusesAProfileOfOtherInputSizes) {
  Options with = options();
  artifact::Profile profile = artifact::read_profile(with.profile);
  profile.candidates[1].shape = {8, 2, 2};
  with.profile = chain_->scratch.path("other-size.h5");
  artifact::write_profile(with.profile, profile, with.common, *profile.provenance.find("backbone"));
  expect_error([&] { output_of(with); }, ExitCode::kIncompatible,
               "activations of 8x2x2 at middle, the cache model there reads 8x4x4");
}

TEST_F(SelectStage, GivesEqualBytesForEqualRuns) {
  Options with = options("one.h5");
  with.budget = "joint";
  const auto one = plan_of(with);
  with.out = chain_->scratch.path("two.h5");
  EXPECT_EQ(plan_of(with).provenance.content_hash, one.provenance.content_hash);
}

TEST_F(SelectStage, VerifiesACertificateOnFreshSamplesAlone) {
  Options with = options();
  with.epsilon = 0.03;
  plan_of(with);
  Options verify = options();
  verify.verify = with.out;
  expect_error([&] { output_of(verify); }, ExitCode::kIncompatible,
               "samples are among those that its cache models learnt from");
  verify.part = "certify";
  expect_error([&] { output_of(verify); }, ExitCode::kIncompatible, "it was certified by");
  verify.part = "test";
  verify.common.json = true;
  const std::string text = output_of(verify);
  EXPECT_THAT(text, HasSubstr("\"samples\": 1800"));
  const artifact::PlanFile promised = artifact::read_plan(with.out);
  const artifact::Certificate& certificate = *promised.plans[0].certificate;
  EXPECT_EQ(certificate.precision, "float32");
  EXPECT_EQ(certificate.storage, "float32");
  // What is tested is the plan's promise, not what a configuration asks of new plans.
  verify.epsilon = 0.4;
  verify.delta = 0.5;
  EXPECT_EQ(output_of(verify), text);
  EXPECT_THAT(text, HasSubstr("\"epsilon\": 0.03,"));
  verify.verify_epsilon = 0.4;
  EXPECT_THAT(output_of(verify), HasSubstr("\"epsilon\": 0.4,"));
  verify.verify_epsilon = 0;
  EXPECT_THAT(text, testing::AnyOf(HasSubstr("\"verdict\": \"confirmed\""),
                                   HasSubstr("\"verdict\": \"undecided\"")));
  // Traffic on which the cache models are always wrong refutes it.
  verify.medial = chain_->with_other_contents(data::Part::kTest, "drifted.h5");
  EXPECT_THAT(output_of(verify), HasSubstr("\"verdict\": \"refuted\""));
}

}  // namespace
}  // namespace cachectl::select
