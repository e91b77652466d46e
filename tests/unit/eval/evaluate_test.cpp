#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "data/split.h"
#include "data/transform.h"
#include "eval/beside.h"
#include "eval/eval.h"
#include "eval/statistics.h"
#include "labels/labels.h"
#include "support/cached_backbone.h"
#include "support/expect_error.h"

namespace cachectl::eval {
namespace {

struct Subject {
  CachedBackbone cached;
  Options options;

  explicit Subject(const std::vector<double>& thresholds, bool cascade = false) {
    options.data.kind = "synthetic";
    options.data.samples = 200;
    options.data.image_size = CachedBackbone::kSize;
    options.data.mean = {0.2};
    options.engine.backbone.path = cached.path();
    options.timing = false;
    options.batches = {4};
    options.resamples = 50;
    options.plan = cached.scratch().path("plan.h5");
    std::vector<std::string> layers = cached.layers();
    layers.resize(thresholds.size());
    artifact::PlanFile plan = cached.plan(layers, thresholds, cascade);
    const auto dataset = data::open_dataset(options.data, options.common);
    const data::Split split(dataset->ids(), options.split,
                            static_cast<std::uint64_t>(options.common.seed));
    plan.train_ids = split.ids(data::Part::kTrain);
    plan.validation_ids = split.ids(data::Part::kValidation);
    plan.certify_ids = split.ids(data::Part::kCertify);
    plan.transform = data::Transform(options.data).text();
    write(plan);
  }

  // Of the samples that the plan is of.
  artifact::Caches no_caches() const {
    const artifact::PlanFile plan = artifact::read_plan(options.plan);
    artifact::Caches caches;
    caches.classes = CachedBackbone::kClasses;
    caches.train_ids_hash = data::ids_hash(plan.train_ids);
    caches.validation_ids_hash = data::ids_hash(plan.validation_ids);
    return caches;
  }

  void write(const artifact::PlanFile& plan) const {
    CommonOptions common = options.common;
    common.force = true;
    artifact::write_plan(
        options.plan, plan, common,
        {{"backbone", io::outside_input("backbone", cached.backbone()->hash(), "")}});
  }
};

artifact::Certificate some_certificate() {
  artifact::Certificate certificate;
  certificate.epsilon = certificate.delta = 0.5;
  certificate.samples = 100;
  certificate.p_value = 0.01;
  certificate.holds = true;
  certificate.storage = "float16";
  return certificate;
}

TEST(Evaluation, AddsUpAndComparesWithTheTruth) {
  Subject subject({0.3, 0.35, 0.4});
  const artifact::Report report = evaluate(subject.options);
  EXPECT_EQ(report.samples, 60);  // 30 % of 200
  EXPECT_EQ(report.labelled, 60);
  ASSERT_EQ(report.plans.size(), 1u);
  const artifact::PlanOutcome& plan = report.plans[0];
  ASSERT_EQ(plan.exits.size(), 4u);
  std::int64_t hits = 0, verdicts = 0;
  double effect = 0, flops = 0, on_the_way = 0;
  for (const artifact::ExitOutcome& exit : plan.exits) {
    EXPECT_EQ(exit.reach, 60 - hits);
    hits += exit.hits;
    verdicts = std::accumulate(exit.verdicts.begin(), exit.verdicts.end(), verdicts);
    effect += exit.effect.value;
    const artifact::Interval hit_rate = share_of(exit.hits, exit.reach);
    if (&exit != &plan.exits.back()) {
      EXPECT_EQ(exit.hit_rate.low, hit_rate.low);
      EXPECT_EQ(exit.hit_rate.high, hit_rate.high);
      EXPECT_LT(exit.effect.low, exit.effect.value);
      EXPECT_GT(exit.effect.high, exit.effect.value);
    } else {  // the backbone is itself
      EXPECT_EQ(exit.effect.low, 0);
      EXPECT_EQ(exit.effect.high, 0);
    }
    on_the_way += exit.segment_flops + exit.cache_flops;
    flops += exit.share * on_the_way;
  }
  EXPECT_EQ(hits, 60);
  EXPECT_EQ(verdicts, 60);
  EXPECT_NEAR(effect, plan.accuracy_cached.value - plan.accuracy_plain.value, 1e-12);
  EXPECT_NEAR(plan.effect.value, effect, 1e-12);
  EXPECT_NEAR(plan.flops_cached, flops, 1e-6 * flops);
  EXPECT_EQ(plan.exits.back().cache_accuracy.value, 1) << "the backbone agrees with itself";
  EXPECT_EQ(report.memory.size(), 1u);
  EXPECT_GT(report.memory[0].plain_bytes, 0);
  EXPECT_TRUE(report.latency.empty());
  EXPECT_FALSE(report.remarks.empty());
  EXPECT_FALSE(report.examples.empty());

  // A plan's point on its own curve is the plan.
  ASSERT_EQ(report.trade.size(), 2u);
  for (const artifact::TradePoint& point : report.trade[0].points) {
    if (point.setting != "plan") continue;
    EXPECT_NEAR(point.flops, plan.flops_cached / plan.flops_plain, 1e-9);
    EXPECT_NEAR(point.accuracy, plan.accuracy_cached.value, 1e-12);
  }
}

TEST(Evaluation, OfACascadeMeasuresEachCacheModelWithTheLogitsOfThoseInFront) {
  Subject subject({0.3, 0.35}, true);
  artifact::Caches all = subject.no_caches();
  all.caches = subject.cached.plan(CachedBackbone::layers(), {0.3, 0.35, 0.4}, true).caches;
  for (auto& cache : all.caches) cache.calibrated = false;
  subject.options.caches = subject.cached.scratch().path("caches.h5");
  CommonOptions common;
  artifact::write_caches(subject.options.caches, all, common, {});
  const artifact::Report report = evaluate(subject.options);
  ASSERT_EQ(report.alone.size(), 3u);
  EXPECT_EQ(report.plans[0].exits.size(), 3u);
  const auto point = std::find_if(report.trade[0].points.begin(), report.trade[0].points.end(),
                                  [](const auto& each) { return each.setting == "plan"; });
  ASSERT_NE(point, report.trade[0].points.end());
  EXPECT_NEAR(point->agreement, report.plans[0].agreement.value, 1e-12);
  EXPECT_NEAR(point->flops, report.plans[0].flops_cached / report.plans[0].flops_plain, 1e-9);

  // The last one learnt with another middle one than the plan's.
  common.force = true;
  auto& middle = all.caches[1];
  middle = subject.cached.cache(middle.layer, 77, all.caches.data());
  middle.calibrated = false;
  artifact::write_caches(subject.options.caches, all, common, {});
  expect_error([&] { evaluate(subject.options); }, ExitCode::kIncompatible,
               "takes the logits of 'layer1', but");
}

TEST(Evaluation, RefusesCacheModelsThatKnowOtherSamples) {
  Subject subject({0.3});
  const artifact::Caches fits = [&] {
    artifact::Caches caches = subject.no_caches();
    caches.caches = subject.cached.plan(CachedBackbone::layers(), {0.3, 0.35, 0.4}).caches;
    for (auto& cache : caches.caches) cache.calibrated = false;
    return caches;
  }();
  subject.options.caches = subject.cached.scratch().path("caches.h5");
  CommonOptions common;
  common.force = true;
  const auto measured = [&](const artifact::Caches& caches, const std::string& backbone) {
    artifact::write_caches(subject.options.caches, caches, common,
                           {{"backbone", io::outside_input("backbone", backbone, "")}});
    return evaluate(subject.options).alone.size();
  };
  const std::string hash = subject.cached.backbone()->hash();
  EXPECT_EQ(measured(fits, hash), 3u);
  expect_error([&] { measured(fits, "another"); }, ExitCode::kIncompatible,
               "made for the backbone another");
  artifact::Caches other = fits;
  other.train_ids_hash = data::ids_hash({1, 2, 3});
  expect_error([&] { measured(other, hash); }, ExitCode::kIncompatible,
               "learnt from other samples");
  other = fits;
  other.validation_ids_hash = data::ids_hash({1, 2, 3});
  expect_error([&] { measured(other, hash); }, ExitCode::kIncompatible,
               "validated on other samples");
}

TEST(Evaluation, ComparesALowerPrecisionWithTheBackboneAtFloat32) {
  Subject subject({0.3, 0.35, 0.4});
  const artifact::Report full = evaluate(subject.options);
  EXPECT_TRUE(std::isnan(full.plans[0].collected_agreement.value));
  artifact::PlanFile plan = artifact::read_plan(subject.options.plan);
  plan.plans[0].certificate = some_certificate();
  subject.write(plan);
  subject.options.engine.cache_precision = "bfloat16";
  const artifact::Report caches = evaluate(subject.options);
  // The backbone that ran is that of float32: there is nothing else to differ from.
  EXPECT_EQ(caches.backbone_agreement.value, 1);
  EXPECT_EQ(caches.plans[0].collected_agreement.value, caches.plans[0].agreement.value);
  subject.options.engine.backbone.precision = "bfloat16";
  const artifact::Report both = evaluate(subject.options);
  EXPECT_FALSE(std::isnan(both.plans[0].collected_agreement.value));
  // A certificate speaks of the backbone at float32.
  EXPECT_NEAR(both.plans[0].certificate.risk.value, 1 - both.plans[0].collected_agreement.value,
              1e-12);
  EXPECT_GE(both.plans[0].collected_agreement.value,
            both.plans[0].agreement.value - (1 - both.backbone_agreement.value) - 1e-12);
}

TEST(Evaluation, SurvivesItsFile) {
  Subject subject({0.3, 0.35, 0.4});
  artifact::Report report = evaluate(subject.options);
  const std::string path = subject.cached.scratch().path("report.h5");
  artifact::write_report(path, report, subject.options.common, {});
  const artifact::Report read = artifact::read_report(path);
  EXPECT_EQ(read.title, report.title);
  EXPECT_EQ(read.plans[0].exits[1].verdicts, report.plans[0].exits[1].verdicts);
  EXPECT_EQ(read.plans[0].effect.low, report.plans[0].effect.low);
  EXPECT_EQ(read.plans[0].exits[1].hit_rate.high, report.plans[0].exits[1].hit_rate.high);
  EXPECT_EQ(read.plans[0].exits[1].effect.low, report.plans[0].exits[1].effect.low);
  EXPECT_EQ(read.alone[2].effect, report.alone[2].effect);
  EXPECT_EQ(read.trade[1].points[3].setting, report.trade[1].points[3].setting);
  EXPECT_TRUE(std::isnan(read.trade[1].points[3].latency));
  EXPECT_EQ(read.remarks.size(), report.remarks.size());
  ASSERT_EQ(read.examples.size(), report.examples.size());
  EXPECT_TRUE(at::equal(read.examples[0].image, report.examples[0].image));
  EXPECT_EQ(read.examples[0].id, report.examples[0].id);
  EXPECT_EQ(read.layers.back().shape, report.layers.back().shape);

  report.plans[0].exits[0].hits += 1;
  expect_error([&] { artifact::write_report(path, report, subject.options.common, {}); },
               ExitCode::kCorrupt, "don't add up");
}

TEST(Evaluation, WithoutLabelsIsRelativeToTheBackbone) {
  Subject subject({0.3, 0.35, 0.4});
  subject.options.use_labels = false;
  const artifact::Report report = evaluate(subject.options);
  EXPECT_EQ(report.labelled, 0);
  EXPECT_TRUE(std::isnan(report.plans[0].accuracy_plain.value));
  EXPECT_FALSE(std::isnan(report.plans[0].agreement.value));
  EXPECT_TRUE(report.alone[0].gt_accuracy.empty());
}

TEST(Evaluation, OfAnEmptyPlanSaysThatCachingDoesNotPay) {
  Subject subject(std::vector<double>{});
  const artifact::Report report = evaluate(subject.options);
  EXPECT_EQ(report.plans[0].agreement.value, 1);
  EXPECT_EQ(report.plans[0].flops_cached, report.plans[0].flops_plain);
  EXPECT_EQ(report.plans[0].effect.low, 0);
  EXPECT_EQ(report.plans[0].effect.high, 0);
  EXPECT_TRUE(report.trade.empty());
  EXPECT_THAT(report.remarks[0].text, testing::HasSubstr("empty"));
}

TEST(Evaluation, TimesPairsAndFirstAnswers) {
  Subject subject({0.0, 0.0, 0.0});  // everything leaves at the first exit
  subject.options.timing = true;
  subject.options.repeats = 12;
  subject.options.curve_repeats = 0;
  const artifact::Report report = evaluate(subject.options);
  ASSERT_EQ(report.latency.size(), 1u);
  const artifact::Latency& latency = report.latency[0];
  EXPECT_EQ(latency.plain_ms.size(), 12u);
  EXPECT_EQ(latency.cached_ms.size(), 12u);
  EXPECT_GT(latency.flops_saved, 0);
  for (std::size_t r = 0; r < 12; ++r) {
    EXPECT_LE(latency.first_ms[r], latency.answer_ms[r]);
    EXPECT_LE(latency.answer_ms[r], latency.cached_ms[r]);
  }
}

TEST(Evaluation, TimesOnlyTheAnswersThatCount) {
  Subject subject({2, 2, 2});  // nobody leaves early, and yet every exit answers
  subject.options.engine.shrink = false;
  subject.options.timing = true;
  subject.options.repeats = 12;
  subject.options.curve_repeats = 0;
  const artifact::Latency latency = evaluate(subject.options).latency.at(0);
  for (std::size_t r = 0; r < 12; ++r) EXPECT_LE(latency.answer_ms[r], latency.cached_ms[r]);
  EXPECT_GT(latency.first.mean, 0.5 * latency.cached.mean);
}

TEST(Evaluation, CountsAllArithmeticWhereBatchesDoNotShrink) {
  Subject subject({0.3, 0.35, 0.4});
  subject.options.engine.shrink = false;
  const artifact::Report report = evaluate(subject.options);
  const artifact::PlanOutcome& plan = report.plans[0];
  EXPECT_LT(plan.exits.back().share, 1);  // some leave early
  double look_ups = 0;
  for (const artifact::ExitOutcome& exit : plan.exits) look_ups += exit.cache_flops;
  EXPECT_DOUBLE_EQ(plan.flops_cached, plan.flops_plain + look_ups);
}

TEST(Evaluation, WarnsOnceOfAPrecisionOutsideTheCertificate) {
  Subject subject({0.3, 0.35, 0.4});
  artifact::PlanFile plan = artifact::read_plan(subject.options.plan);
  plan.plans[0].certificate = some_certificate();
  plan.plans.push_back(plan.plans[0]);
  plan.plans[1].batch = 8;
  subject.write(plan);
  const auto run_at = [&](const std::string& cache_precision) {
    subject.options.engine.cache_precision = cache_precision;
    testing::internal::CaptureStderr();
    const artifact::Report report = evaluate(subject.options);
    std::size_t remarks = 0;
    for (const artifact::Remark& remark : report.remarks) {
      remarks += remark.text.find("this run is at") != std::string::npos ? 1 : 0;
    }
    return std::make_pair(testing::internal::GetCapturedStderr(), remarks);
  };
  const auto [log, remarks] = run_at("bfloat16");
  const std::string text =
      "plan.h5: certified at float32 on float16 activations; this run is at float32 (backbone) and "
      "bfloat16 (cache models), outside it";
  ASSERT_THAT(log, testing::HasSubstr(text));
  EXPECT_EQ(log.find(text, log.find(text) + 1), std::string::npos);
  EXPECT_EQ(remarks, 2u);  // one for each plan
  const auto [quiet, none] = run_at("float32");
  EXPECT_THAT(quiet, testing::Not(testing::HasSubstr("certified")));
  EXPECT_EQ(none, 0u);
}

TEST(Evaluation, LeavesOutTheTimesOfAnotherReportThatWereTakenOtherwise) {
  Subject subject({0.3, 0.35, 0.4});
  const artifact::Report ours = evaluate(subject.options);
  artifact::Report timed = ours;
  for (artifact::TradePoint& point : timed.trade[0].points) point.latency = 0.5;
  timed.trade[0].area_latency = 0.4;
  CommonOptions common = subject.options.common;
  common.force = true;
  subject.options.beside = {subject.cached.scratch().path("other.h5")};
  // The curve as it stands beside ours, and what was said.
  const auto beside = [&](const artifact::Report& other) {
    artifact::write_report(subject.options.beside[0], other, common, {});
    artifact::Report report = ours;
    testing::internal::CaptureStderr();
    const auto others = read_beside(subject.options);
    require_same_samples(others, report, subject.options);
    add_beside(others, report.trade[0].plan, subject.options, report);
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_EQ(report.trade.size(), ours.trade.size() + 1);
    return std::make_pair(report.trade.back(), log);
  };
  const auto [alike, silence] = beside(timed);
  EXPECT_EQ(alike.method, "cachectl (other)");
  EXPECT_EQ(alike.points[3].latency, 0.5);
  EXPECT_EQ(alike.area_latency, 0.4);
  EXPECT_THAT(silence, testing::Not(testing::HasSubstr("left out")));

  const std::vector<std::pair<std::string, std::function<void(artifact::Report&)>>> changes = {
      {"batch 8 (here 32)", [](artifact::Report& other) { other.trade[0].batch = 8; }},
      {"device cuda (here cpu)", [](artifact::Report& other) { other.device = "cuda"; }},
      {"processor another", [](artifact::Report& other) { other.processor = "another"; }},
      {"threads 99", [](artifact::Report& other) { other.threads = 99; }},
      {"precision bfloat16", [](artifact::Report& other) { other.precision = "bfloat16"; }},
      {"precision of cache models bfloat16",
       [](artifact::Report& other) { other.cache_precision = "bfloat16"; }},
      {"backbone resnet.pt",
       [](artifact::Report& other) {
         other.backbone_file = "resnet.pt";
         other.backbone_hash = "other";
       }},
  };
  for (const auto& [says, change] : changes) {
    artifact::Report other = timed;
    change(other);
    const auto [curve, log] = beside(other);
    EXPECT_THAT(log, testing::HasSubstr("other.h5: its latency is left out"));
    EXPECT_THAT(log, testing::HasSubstr(says));
    EXPECT_TRUE(std::isnan(curve.area_latency)) << says;
    for (std::size_t i = 0; i < curve.points.size(); ++i) {
      EXPECT_TRUE(std::isnan(curve.points[i].latency)) << says;
      EXPECT_EQ(curve.points[i].flops, timed.trade[0].points[i].flops);
    }
    EXPECT_EQ(curve.area_flops, timed.trade[0].area_flops);
  }
  // Of a backbone half as large: at half the arithmetic.
  artifact::Report smaller = ours;
  smaller.backbone_hash = "other";
  smaller.backbone_flops /= 2;
  const artifact::TradeCurve half = beside(smaller).first;
  for (std::size_t i = 0; i < half.points.size(); ++i) {
    EXPECT_DOUBLE_EQ(half.points[i].flops, ours.trade[0].points[i].flops / 2);
  }
  EXPECT_GT(half.area_flops, ours.trade[0].area_flops);
  artifact::Report untimed = ours;
  untimed.threads = 99;
  EXPECT_THAT(beside(untimed).second, testing::Not(testing::HasSubstr("left out")));
  untimed.test_ids_hash = "others";
  artifact::write_report(subject.options.beside[0], untimed, common, {});
  expect_error([&] { evaluate(subject.options); }, ExitCode::kIncompatible,
               "measured on other samples");
}

TEST(Evaluation, RefusesTheSamplesOfEarlierSteps) {
  Subject subject({0.5, 0.5, 0.5});
  subject.options.common.seed = 2;  // another split
  expect_error([&] { evaluate(subject.options); }, ExitCode::kIncompatible,
               "samples to evaluate on");
}

TEST(Evaluation, RefusesAnotherTransform) {
  Subject subject({0.5, 0.5, 0.5});
  subject.options.data.mean = {0.5};
  expect_error([&] { evaluate(subject.options); }, ExitCode::kIncompatible, "transform");
}

TEST(Evaluation, RefusesAnEmptyTestPart) {
  Subject subject({0.5, 0.5, 0.5});
  subject.options.split = {0.7, 0.15, 0.15, 0};
  expect_error([&] { evaluate(subject.options); }, ExitCode::kNothingProcessed, "empty");
}

}  // namespace
}  // namespace cachectl::eval
