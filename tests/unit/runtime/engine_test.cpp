#include "runtime/engine.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <thread>

#include "base/random.h"
#include "decision/outcome.h"
#include "support/cached_backbone.h"
#include "support/expect_error.h"

namespace cachectl::runtime {
namespace {

const CachedBackbone& shared() {
  static const CachedBackbone cached;
  return cached;
}

// Thresholds that about half of the samples pass at each exit, none of them close by.
std::vector<double> halfway(bool cascade = false) {
  EngineOptions whole;
  whole.shrink = false;
  const Engine engine(shared().backbone(), shared().plan(shared().layers(), {2, 2, 2}, cascade),
                      "test", whole);
  std::vector<std::vector<double>> confidences(4);
  engine.infer(CachedBackbone::inputs(64, 9), [&](const Answer& answer) {
    confidences[answer.exit].push_back(static_cast<double>(answer.confidence));
  });
  std::vector<double> thresholds;
  for (std::size_t e = 0; e < 3; ++e) {
    std::sort(confidences[e].begin(), confidences[e].end());
    // In the widest gap around the median.
    double gap = 0, threshold = 0;
    for (std::size_t i = 24; i < 40; ++i) {
      const double wide = confidences[e][i + 1] - confidences[e][i];
      if (wide <= gap) continue;
      gap = wide;
      threshold = confidences[e][i] + wide / 2;
    }
    thresholds.push_back(threshold);
  }
  return thresholds;
}

struct Expected {
  std::int64_t label = 0, exit = 0;
  double confidence = 0;
  double closest = 1;  // distance of any confidence on the way from its threshold
  at::Tensor probabilities;
};

// The specification's loop, one whole sample at a time and nothing clever: every cache model
// by the library's training-side module, softmax by ATen.
std::vector<Expected> reference(const artifact::PlanFile& file, const at::Tensor& inputs) {
  const model::Backbone& backbone = *shared().backbone();
  const artifact::Plan& plan = file.plans[0];
  std::vector<std::string> layers;
  for (const auto& cache : file.caches) layers.push_back(cache.layer);
  const model::SegmentChain chain = backbone.cut(layers);
  std::vector<Expected> all;
  for (std::int64_t i = 0; i < inputs.size(0); ++i) {
    model::Tensors live = {inputs.narrow(0, i, 1)};
    Expected expected;
    bool answered = false;
    at::Tensor logits;
    for (std::size_t e = 0; e < layers.size() && !answered; ++e) {
      live = chain.run(e, live);
      const auto& cache = file.caches[e];
      const model::CacheModel module = model::CacheModel::from_state(
          model::Architecture::parse(cache.architecture), cache.input_shape, file.classes,
          cache.weights, "reference", !cache.prior.empty());
      const c10::NoGradGuard no_gradients;
      logits =
          module.forward(live[0].contiguous(), cache.prior.empty() ? at::Tensor{} : logits, false);
      const at::Tensor probabilities = at::softmax(logits / cache.calibration.temperature, 1);
      const auto [best, index] = probabilities.max(1);
      expected.closest =
          std::min(expected.closest, std::abs(best.item<double>() - plan.exits[e].threshold));
      if (best.item<double>() < plan.exits[e].threshold) continue;
      answered = true;
      expected.label = index.item<std::int64_t>();
      expected.exit = static_cast<std::int64_t>(e);
      expected.confidence = best.item<double>();
      expected.probabilities = probabilities[0];
    }
    if (!answered) {
      const at::Tensor probabilities = at::softmax(chain.run(layers.size(), live).at(0), 1);
      const auto [best, index] = probabilities.max(1);
      expected.label = index.item<std::int64_t>();
      expected.exit = static_cast<std::int64_t>(layers.size());
      expected.confidence = best.item<double>();
      expected.probabilities = probabilities[0];
    }
    all.push_back(expected);
  }
  return all;
}

// Of a plan without and with a cascade.
class EveryEngine : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Cascade, EveryEngine, testing::Values(false, true));

TEST(Engine, AnswersAsTheStraightforwardLoopDoes) {
  Rng rng(5);
  std::map<std::int64_t, int> left_at, left_at_of_cascade;
  for (int round = 0; round < 48; ++round) {
    const bool cascade = round >= 24;
    std::vector<double> thresholds;
    for (int e = 0; e < 3; ++e) thresholds.push_back(rng.uniform(0.2, 0.9));
    const artifact::PlanFile file = shared().plan(shared().layers(), thresholds, cascade);
    EngineOptions options;
    options.flops_per_copied_byte = std::vector<double>{0, 10, 1e9}[round % 3];
    const Engine engine(shared().backbone(), file, "test", options);
    const std::int64_t batch = std::vector<std::int64_t>{1, 2, 7, 32}[round % 4];
    const at::Tensor inputs = CachedBackbone::inputs(batch, static_cast<std::uint64_t>(round));
    const std::vector<Expected> expected = reference(file, inputs);
    std::vector<int> answers(static_cast<std::size_t>(batch));
    std::size_t deepest = 0;
    engine.infer(inputs, [&](const Answer& answer) {
      const Expected& wanted = expected[static_cast<std::size_t>(answer.sample)];
      ++answers[static_cast<std::size_t>(answer.sample)];
      EXPECT_TRUE(answer.hit);
      EXPECT_GE(answer.exit, deepest) << "answers come in order of depth";
      deepest = answer.exit;
      ++(cascade ? left_at_of_cascade : left_at)[wanted.exit];
      if (wanted.closest < 1e-4) return;  // rounding may decide
      EXPECT_EQ(answer.label, wanted.label);
      EXPECT_EQ(static_cast<std::int64_t>(answer.exit), wanted.exit);
      EXPECT_NEAR(static_cast<double>(answer.confidence), wanted.confidence, 1e-4);
      const at::Tensor given =
          at::from_blob(const_cast<float*>(answer.probabilities), {answer.classes}, at::kFloat);
      EXPECT_LT((given - wanted.probabilities).abs().max().item<double>(), 1e-4);
    });
    EXPECT_THAT(answers, testing::Each(1)) << "each sample is answered once";
  }
  for (std::int64_t exit = 0; exit <= 3; ++exit) {
    EXPECT_GT(left_at[exit], 0) << "the test must see samples leave at exit " << exit;
    EXPECT_GT(left_at_of_cascade[exit], 0) << "and at exit " << exit << " of a cascade";
  }
}

TEST(Engine, WithAnEmptyPlanIsTheBackboneBitForBit) {
  const artifact::PlanFile empty = shared().plan({}, {});
  const Engine by_file(shared().backbone(), empty, "empty");
  const Engine by_backbone(shared().backbone());
  for (const std::int64_t batch : {1, 8, 33}) {
    const at::Tensor inputs = CachedBackbone::inputs(batch, 3);
    const at::Tensor plain = shared().backbone()->probabilities(shared().backbone()->run({inputs}));
    for (const Engine* engine : {&by_file, &by_backbone}) {
      const std::vector<Result> results = engine->infer(inputs);
      ASSERT_EQ(static_cast<std::int64_t>(results.size()), batch);
      for (std::int64_t i = 0; i < batch; ++i) {
        const Result& result = results[static_cast<std::size_t>(i)];
        const at::Tensor given = at::tensor(result.probabilities, at::kFloat);
        EXPECT_TRUE(at::equal(given, plain[i]));
        EXPECT_EQ(result.label, plain[i].argmax().item<std::int64_t>());
        EXPECT_EQ(result.exit, 0u);
      }
    }
  }
}

TEST(Engine, StopsWhenAllHitAndCopiesNothingWhenNoneDoes) {
  const at::Tensor inputs = CachedBackbone::inputs(9, 1);
  EngineOptions options;
  options.flops_per_copied_byte = 0;
  const auto stats_at = [&](double threshold) {
    const Engine engine(shared().backbone(),
                        shared().plan(shared().layers(), {threshold, threshold, threshold}), "test",
                        options);
    return engine.infer(inputs, [](const Answer&) {});
  };
  const BatchStats all = stats_at(0);
  EXPECT_EQ(all.stages[0].hits, 9);
  EXPECT_EQ(all.stages[0].rows_out, 0);
  EXPECT_EQ(all.stages[1].rows_in, 0);
  EXPECT_EQ(all.stages[1].flops, 0);

  const BatchStats none = stats_at(2);
  for (std::size_t s = 0; s < 3; ++s) {
    EXPECT_EQ(none.stages[s].hits, 0);
    EXPECT_EQ(none.stages[s].rows_out, 9);
    EXPECT_EQ(none.stages[s].copied_bytes, 0);
  }
  EXPECT_EQ(none.stages[3].hits, 9);
}

TEST_P(EveryEngine, SpendsExactlyTheFlopsThatTheScoreSays) {
  const std::vector<double> thresholds = halfway(GetParam());
  const artifact::PlanFile file = shared().plan(shared().layers(), thresholds, GetParam());
  EngineOptions options;
  options.flops_per_copied_byte = 0;  // always shrink, as the score assumes
  const Engine engine(shared().backbone(), file, "test", options);
  EngineOptions whole = options;
  whole.shrink = false;
  const Engine ask_all(shared().backbone(), file, "test", whole);

  const std::int64_t samples = 64;
  const at::Tensor inputs = CachedBackbone::inputs(samples, 9);
  decision::Records records;
  records.exits.resize(3);
  ask_all.infer(inputs, [&](const Answer& answer) {
    if (answer.exit == 3) {
      records.backbone.push_back(answer.label);
    } else {
      records.exits[answer.exit].prediction.push_back(answer.label);
      records.exits[answer.exit].confidence.push_back(answer.confidence);
    }
  });
  decision::Exits exits;
  std::vector<double> before, look_up;
  for (std::size_t e = 0; e < 3; ++e) {
    exits.push_back({e, static_cast<float>(thresholds[e])});
    before.push_back(shared().backbone()->candidate(shared().layers()[e]).flops_before);
    look_up.push_back(file.caches[e].flops);
  }
  double total = 0;
  for (const auto& cost : shared().backbone()->costs()) total += cost.flops();
  const decision::Outcome outcome = decision::run_over(records, exits);
  const double predicted = decision::cost_of(
      exits, outcome,
      decision::flops_cost(static_cast<std::size_t>(samples), before, total, look_up));
  const BatchStats stats = engine.infer(inputs, [](const Answer&) {});
  for (std::size_t e = 0; e < 3; ++e) {
    EXPECT_EQ(stats.stages[e].reach, outcome.reach[e]);
    EXPECT_EQ(stats.stages[e].hits, outcome.hits[e]);
  }
  EXPECT_GT(outcome.hits[0], 0);
  EXPECT_LT(outcome.hits[0], samples);
  EXPECT_DOUBLE_EQ(stats.flops(), predicted);
}

TEST_P(EveryEngine, WithoutShrinkingEveryExitAnswersForEverySample) {
  const artifact::PlanFile file = shared().plan(shared().layers(), halfway(GetParam()), GetParam());
  EngineOptions options;
  options.shrink = false;
  const Engine whole(shared().backbone(), file, "test", options);
  const Engine shrinking(shared().backbone(), file, "test");
  const at::Tensor inputs = CachedBackbone::inputs(16, 4);
  const std::vector<Result> results = shrinking.infer(inputs);
  std::vector<std::vector<std::size_t>> exits(16);
  std::vector<int> hits(16);
  const BatchStats stats = whole.infer(inputs, [&](const Answer& answer) {
    const auto i = static_cast<std::size_t>(answer.sample);
    exits[i].push_back(answer.exit);
    if (!answer.hit) return;
    ++hits[i];
    EXPECT_EQ(answer.exit, results[i].exit);
    EXPECT_EQ(answer.label, results[i].label);
  });
  EXPECT_THAT(exits, testing::Each(testing::ElementsAre(0, 1, 2, 3)));
  EXPECT_THAT(hits, testing::Each(1));
  for (const StageStats& stage : stats.stages) EXPECT_EQ(stage.rows_in, 16);
}

TEST_P(EveryEngine, ServesSeveralThreadsAtOnce) {
  const Engine engine(shared().backbone(),
                      shared().plan(shared().layers(), halfway(GetParam()), GetParam()), "test");
  constexpr int kThreads = 4, kRounds = 10;
  std::vector<at::Tensor> inputs;
  std::vector<std::vector<Result>> alone;
  for (int t = 0; t < kThreads; ++t) {
    inputs.push_back(CachedBackbone::inputs(3 + 5 * t, static_cast<std::uint64_t>(t)));
    alone.push_back(engine.infer(inputs.back()));
  }
  std::vector<int> equal(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        const std::vector<Result> results = engine.infer(inputs[t]);
        bool same = results.size() == alone[t].size();
        for (std::size_t i = 0; same && i < results.size(); ++i) {
          same = results[i].label == alone[t][i].label && results[i].exit == alone[t][i].exit;
        }
        equal[t] += same ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(equal, testing::Each(kRounds));
}

TEST_P(EveryEngine, TakesRowsOfSeveralBatchesThroughOneStage) {
  const Engine engine(shared().backbone(),
                      shared().plan(shared().layers(), halfway(GetParam()), GetParam()), "test");
  const at::Tensor first = CachedBackbone::inputs(6, 1), second = CachedBackbone::inputs(11, 2);
  std::vector<Result> expected = engine.infer(first);
  for (const Result& result : engine.infer(second)) expected.push_back(result);

  std::vector<int> exits(17, -1), labels(17, -1);
  const OnAnswer note = [&](const Answer& answer) {
    exits[static_cast<std::size_t>(answer.sample)] = static_cast<int>(answer.exit);
    labels[static_cast<std::size_t>(answer.sample)] = answer.label;
  };
  Rows a = rows_of({first}), b = rows_of({second}, 6);
  engine.run_stage(0, 0, a, note);
  engine.run_stage(0, 0, b, note);
  Rows rows = merge({a, b});
  for (std::size_t stage = 1; stage < engine.stages(0) && rows.size() > 0; ++stage) {
    engine.run_stage(0, stage, rows, note);
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(exits[i], static_cast<int>(expected[i].exit));
    EXPECT_EQ(labels[i], expected[i].label);
  }
}

TEST(Engine, TakesThePlanForTheBatchAtHand) {
  artifact::PlanFile file = shared().plan(shared().layers(), {0.5, 0.5, 0.5});
  file.plans.push_back(file.plans[0]);
  file.plans[0].batch = 1;
  file.plans[0].exits.resize(1);
  file.plans[1].batch = 32;
  const Engine engine(shared().backbone(), file, "test");
  EXPECT_EQ(engine.plan_for(1), 0u);
  EXPECT_EQ(engine.plan_for(4), 0u);
  EXPECT_EQ(engine.plan_for(7), 1u);
  EXPECT_EQ(engine.plan_for(500), 1u);
  const auto nothing = [](const Answer&) {};
  EXPECT_EQ(engine.infer(CachedBackbone::inputs(1, 1), nothing).stages.size(), 2u);
  EXPECT_EQ(engine.infer(CachedBackbone::inputs(20, 1), nothing).stages.size(), 4u);
}

TEST(Engine, AnswersNoRowsWithNothing) {
  const Engine engine(shared().backbone(), shared().plan(shared().layers(), {0.5, 0.5, 0.5}),
                      "test");
  EXPECT_TRUE(engine.infer(CachedBackbone::inputs(0, 1)).empty());
}

TEST_P(EveryEngine, RunsAtLowerPrecisionChosenApart) {
  const artifact::PlanFile file = shared().plan(shared().layers(), {0.5, 0.5, 0.5}, GetParam());
  const Engine full(shared().backbone(), file, "test");
  const at::Tensor inputs = CachedBackbone::inputs(32, 8);
  const std::vector<Result> expected = full.infer(inputs);
  for (const char* backbone : {"float32", "bfloat16"}) {
    EngineOptions options;
    options.cache_precision = "bfloat16";
    const Engine engine(shared().load(backbone), file, "test", options);
    const std::vector<Result> results = engine.infer(inputs);
    int near = 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
      near += std::abs(results[i].confidence - expected[i].confidence) < 0.05 ||
                      results[i].exit != expected[i].exit
                  ? 1
                  : 0;
    }
    EXPECT_GE(near, 28) << backbone;
  }
}

TEST(Engine, RefusesAPlanOfAnotherBackboneAndNamesBoth) {
  const CachedBackbone other(2);
  expect_error([&] { Engine(other.backbone(), shared().plan({}, {}), "runs/plan.h5"); },
               ExitCode::kIncompatible, "runs/plan.h5");
  expect_error([&] { Engine(other.backbone(), shared().plan({}, {}), "runs/plan.h5"); },
               ExitCode::kIncompatible, other.path());
}

TEST_P(EveryEngine, ReplaysTheSelfTestAndRefusesOtherAnswers) {
  artifact::PlanFile file = shared().plan(shared().layers(), halfway(GetParam()), GetParam());
  const Engine unchecked(shared().backbone(), file, "test");
  for (const Result& result : unchecked.infer(file.self_test_inputs)) {
    file.plans[0].self_test_labels.push_back(result.label);
    file.plans[0].self_test_exits.push_back(static_cast<std::int32_t>(result.exit));
  }
  EXPECT_NO_THROW(Engine(shared().backbone(), file, "test"));
  std::int32_t& label = file.plans[0].self_test_labels[2];
  label = (label + 1) % static_cast<std::int32_t>(CachedBackbone::kClasses);
  expect_error([&] { Engine(shared().backbone(), file, "runs/plan.h5"); }, ExitCode::kIncompatible,
               "self-test: sample 2");
  // Collected at half precision some answers may be others here; most of them may not.
  file.provenance.inputs["medial"].config = "backbone.precision: bfloat16\n";
  testing::internal::CaptureStderr();
  EXPECT_NO_THROW(Engine(shared().backbone(), file, "runs/plan.h5"));
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr("1 of 4 samples are answered otherwise"));
  artifact::PlanFile wrong = file;
  for (std::int32_t& one : wrong.plans[0].self_test_labels) {
    one = (one + 1) % static_cast<std::int32_t>(CachedBackbone::kClasses);
  }
  expect_error([&] { Engine(shared().backbone(), wrong, "runs/plan.h5"); }, ExitCode::kIncompatible,
               "4 of 4 samples");
  file.provenance = {};
  EngineOptions trusting;
  trusting.self_test = false;
  EXPECT_NO_THROW(Engine(shared().backbone(), file, "test", trusting));
}

TEST(Engine, RefusesExitsOutOfOrder) {
  const std::vector<std::string> layers = shared().layers();
  expect_error(
      [&] {
        Engine(shared().backbone(), shared().plan({layers[2], layers[0]}, {0.5, 0.5}), "t");
      },
      ExitCode::kUsage, "does not lie behind");
}

TEST(Engine, RefusesACascadeWithAMissingLink) {
  artifact::PlanFile file = shared().plan(shared().layers(), {0.5, 0.5, 0.5}, true);
  file.plans[0].exits.erase(file.plans[0].exits.begin() + 1);
  expect_error([&] { Engine(shared().backbone(), file, "t"); }, ExitCode::kUsage,
               "exit 'layer2' takes the logits of 'layer1', and in front of it stands 'relu@1'");
  file.plans[0].exits.erase(file.plans[0].exits.begin());
  expect_error([&] { Engine(shared().backbone(), file, "t"); }, ExitCode::kUsage, "stands none");
}

// Behind an exit that nobody takes, the cascade goes on.
TEST(Engine, AsksAnExitThatNeverHitsForTheNextOne) {
  const auto thresholds = halfway(true);
  const Engine whole(shared().backbone(),
                     shared().plan(shared().layers(), {2, 2, thresholds[2]}, true), "test");
  const at::Tensor inputs = CachedBackbone::inputs(64, 9);
  int early = 0;
  for (const Result& result : whole.infer(inputs)) {
    EXPECT_GE(result.exit, 2u);
    early += result.exit == 2u;
  }
  EXPECT_NEAR(early, 32, 9);
}

// A cache model that notes how many rows it is asked about.
class Noting : public model::Predictor {
 public:
  Noting(std::shared_ptr<const model::Predictor> inner, std::vector<std::int64_t>& seen)
      : inner_(std::move(inner)), seen_(seen) {}
  using Predictor::logits;
  at::Tensor logits(const at::Tensor& activations, const at::Tensor& prior) const override {
    seen_.push_back(activations.size(0));
    return inner_->logits(activations, prior);
  }
  std::int64_t classes() const override { return inner_->classes(); }
  bool takes_prior() const override { return inner_->takes_prior(); }
  model::SegmentCost cost() const override { return inner_->cost(); }

 private:
  std::shared_ptr<const model::Predictor> inner_;
  std::vector<std::int64_t>& seen_;
};

TEST(Engine, WarmsUpForThePiecesOfTheBatchesThatEachPlanTakes) {
  using testing::ElementsAre;
  const artifact::TrainedCache cache = shared().cache(shared().layers()[0], 1);
  std::vector<std::int64_t> small, large;
  const auto plan = [&](std::int64_t batch, std::vector<std::int64_t>& seen) {
    EnginePlan made;
    made.batch = batch;
    made.exits.push_back(
        {cache.layer,
         std::make_shared<Noting>(
             predictor_of(cache, CachedBackbone::kClasses, EngineOptions{}, "test"), seen),
         0.0f, 1, cache.architecture});
    return made;
  };
  const Engine engine(shared().backbone(), {plan(1, small), plan(32, large)});
  engine.warm_up(40);  // of 6 rows and more the second plan is the nearer
  EXPECT_THAT(small, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(large, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32));
  small.clear();
  engine.warm_up(1);
  EXPECT_THAT(small, ElementsAre(1));
}

TEST(Engine, OtherThresholdsShareThePreparedSegments) {
  const Engine engine(shared().backbone(), shared().plan(shared().layers(), {2, 2, 2}), "test");
  const Engine eager = engine.with_thresholds(0, {0, 0, 0});
  const at::Tensor inputs = CachedBackbone::inputs(5, 5);
  for (const Result& result : engine.infer(inputs)) EXPECT_EQ(result.exit, 3u);
  for (const Result& result : eager.infer(inputs)) EXPECT_EQ(result.exit, 0u);
}

}  // namespace
}  // namespace cachectl::runtime
