#include "train/train.h"

#include <gtest/gtest.h>

#include "artifact/caches.h"
#include "artifact/study.h"
#include "io/artifact.h"
#include "support/bytes.h"
#include "support/expect_error.h"
#include "support/interrupt.h"
#include "support/quietly.h"
#include "support/tiny_chain.h"

namespace cachectl::train {
namespace {

class Train : public testing::Test {
 protected:
  static TinyChain& chain() {
    static TinyChain chain(1000);
    return chain;
  }
  static const std::string& easy() {
    static const std::string path = chain().with_an_easy_middle();
    return path;
  }
  Options options(const std::string& out) {
    Options options;
    options.common = TinyChain::common();
    options.common.json = true;
    options.common.threads = 2;
    options.medial = easy();
    options.out = scratch_.path(out);
    options.architectures = {{"middle", "conv3x3-8, pool2"}, {"late", "fc16"}};
    options.recipe.epochs = 6;
    options.recipe.batch_size = 50;
    options.validate_every = 1;
    return options;
  }
  static void quietly(Options options) {
    output_of([&] { run(options); });
  }
  const Scratch scratch_;
};

TEST_F(Train, WritesTheLayersInOrderOfDepthBetterThanChance) {
  quietly(options("c.h5"));
  const auto caches = artifact::read_caches(scratch_.path("c.h5"));
  ASSERT_EQ(caches.caches.size(), 2U);
  EXPECT_EQ(caches.caches[0].layer, "middle");
  EXPECT_EQ(caches.caches[0].architecture, "conv3x3-8, pool2");
  EXPECT_EQ(caches.caches[1].layer, "late");
  for (const auto& cache : caches.caches) {
    EXPECT_GT(cache.validation_agreement, 0.5);
    EXPECT_EQ(cache.curve.size(), 6U);
  }
  const artifact::MedialReader medial(easy());
  EXPECT_EQ(caches.train_ids_hash, medial.ids_hash(data::Part::kTrain));
}

TEST_F(Train, KeepsTheBestEpoch) {
  quietly(options("c.h5"));
  for (const auto& cache : artifact::read_caches(scratch_.path("c.h5")).caches) {
    double best = 0;
    for (const auto& point : cache.curve) best = std::max(best, point.validation_agreement);
    EXPECT_EQ(cache.validation_agreement, best);
    // What is stored answers the validation part as that epoch did.
    const artifact::MedialReader medial(easy());
    const auto rows = medial.rows_of(data::Part::kValidation);
    const auto logits = artifact::predictor_of(cache, medial.classes(), "c")
                            ->logits(medial.activations(cache.layer, rows));
    const double agreement =
        (logits.argmax(1) == medial.pd(rows).argmax(1)).to(at::kFloat).mean().item<double>();
    EXPECT_NEAR(agreement, best, 0.011);  // one of 100 samples may change by folding
  }
}

TEST_F(Train, SameSeedSameBytesOnAnyThreadsAndMemory) {
  auto first = options("a.h5"), second = options("b.h5");
  first.common.threads = 1;
  second.common.threads = 3;
  quietly(first);
  quietly(second);
  EXPECT_EQ(bytes_of(first.out), bytes_of(second.out));
  auto other = options("c.h5");
  other.common.seed = 2;
  quietly(other);
  EXPECT_NE(bytes_of(first.out), bytes_of(other.out));
}

TEST_F(Train, ReadsFromTheFileWhatDoesNotFitIntoMemory) {
  auto small = options("s.h5");
  small.memory_gib = 0;
  quietly(small);
  for (const auto& cache : artifact::read_caches(small.out).caches) {
    EXPECT_GT(cache.validation_agreement, 0.5);
  }
}

TEST_F(Train, EndedBySignalAndResumedGivesTheBytesOfOneRun) {
  auto whole = options("whole.h5");
  whole.recipe.epochs = 30;
  quietly(whole);
  auto cut = options("cut.h5");
  cut.recipe.epochs = 30;
  const auto partial = io::partial_path(cut.out);
  ASSERT_TRUE(interrupted([&] { quietly(cut); }, [&] { return std::filesystem::exists(partial); }));
  EXPECT_FALSE(std::filesystem::exists(cut.out));
  EXPECT_TRUE(std::filesystem::exists(partial));
  auto again = cut;
  again.common.force = false;
  expect_error([&] { quietly(again); }, ExitCode::kCannotOpen, "--resume");
  again.common.resume = true;
  again.recipe.learning_rate = 0.5;
  expect_error([&] { quietly(again); }, ExitCode::kIncompatible, "learning_rate: 0.5");
  // With --force as well, what does not fit is begun anew: the bytes of a run from nothing.
  auto anew = options("anew.h5"), fresh = options("fresh.h5");
  anew.recipe.learning_rate = fresh.recipe.learning_rate = 0.004;
  anew.common.resume = true;
  std::filesystem::copy_file(partial, io::partial_path(anew.out));
  quietly(anew);
  quietly(fresh);
  EXPECT_EQ(bytes_of(anew.out), bytes_of(fresh.out));
  cut.common.resume = true;
  quietly(cut);
  EXPECT_EQ(bytes_of(whole.out), bytes_of(cut.out));
  EXPECT_FALSE(std::filesystem::exists(partial));
}

TEST_F(Train, LayersAreChosenAmongAStudys) {
  auto some = options("l.h5");
  some.layers = {"late"};
  expect_error([&] { quietly(some); }, ExitCode::kUsage, "train.layers");
}

TEST_F(Train, ReadsNoPartButTrainAndValidation) {
  auto plain = options("plain.h5");
  plain.medial = chain().medial_path;
  quietly(plain);
  for (const auto part : {data::Part::kTest, data::Part::kCertify}) {
    auto changed = options("changed.h5");
    changed.medial = chain().with_other_contents(part, "changed-medial.h5");
    quietly(changed);
    const auto a = artifact::read_caches(plain.out), b = artifact::read_caches(changed.out);
    for (std::size_t i = 0; i < a.caches.size(); ++i) {
      for (const auto& [name, tensor] : a.caches[i].weights) {
        EXPECT_TRUE(at::equal(tensor, b.caches[i].weights.at(name))) << name;
      }
    }
  }
}

TEST_F(Train, ALayerAtChanceIsDiscardedAndOthersStay) {
  auto noisy = chain().medial;
  noisy.activations[1] = at::randn_like(noisy.activations[1]);
  auto some = options("some.h5");
  some.medial = chain().rewrite(noisy, "noise.h5");
  quietly(some);
  const auto caches = artifact::read_caches(some.out);
  ASSERT_EQ(caches.caches.size(), 1U);
  EXPECT_EQ(caches.caches[0].layer, "late");
}

class TrainCascade : public Train {
 protected:
  Options options(const std::string& out) {
    Options options = Train::options(out);
    options.cascade = true;
    options.architectures["early"] = "pool4";
    return options;
  }
};

TEST_F(TrainCascade, ChainsTheLayersAndKeepsOneEpochOfAll) {
  quietly(options("c.h5"));
  const auto caches = artifact::read_caches(scratch_.path("c.h5")).caches;
  ASSERT_EQ(caches.size(), 3U);
  EXPECT_EQ(caches[0].prior, "");
  EXPECT_EQ(caches[1].prior, "early");
  EXPECT_EQ(caches[2].prior, "middle");
  // The last of the epochs with the best mean.
  std::size_t kept = 0;
  double best = 0;
  for (std::size_t e = 0; e < caches[0].curve.size(); ++e) {
    double sum = 0;
    for (const auto& cache : caches) sum += cache.curve[e].validation_agreement;
    if (sum >= best) kept = e;
    best = std::max(best, sum);
  }
  const artifact::MedialReader medial(easy());
  const auto rows = medial.rows_of(data::Part::kValidation);
  at::Tensor logits;
  for (const auto& cache : caches) {
    EXPECT_EQ(cache.validation_agreement, cache.curve[kept].validation_agreement);
    logits = artifact::predictor_of(cache, medial.classes(), "c")
                 ->logits(medial.activations(cache.layer, rows), logits);
    const double agreement =
        (logits.argmax(1) == medial.pd(rows).argmax(1)).to(at::kFloat).mean().item<double>();
    EXPECT_NEAR(agreement, cache.validation_agreement, 0.011);
  }
}

TEST_F(TrainCascade, SameBytesOnAnyThreadsAndBehindASignal) {
  auto first = options("a.h5"), second = options("b.h5");
  first.common.threads = 1;
  first.recipe.epochs = second.recipe.epochs = 30;
  quietly(first);
  second.common.threads = 3;
  const auto partial = io::partial_path(second.out);
  ASSERT_TRUE(
      interrupted([&] { quietly(second); }, [&] { return std::filesystem::exists(partial); }));
  second.common.resume = true;
  quietly(second);
  EXPECT_EQ(bytes_of(first.out), bytes_of(second.out));
}

TEST_F(TrainCascade, StopsTogetherByPatience) {
  auto with = options("p.h5");
  with.recipe.epochs = 60;
  with.patience = 2;
  quietly(with);
  const auto caches = artifact::read_caches(with.out).caches;
  for (const auto& cache : caches) EXPECT_EQ(cache.curve.size(), caches[0].curve.size());
  EXPECT_LT(caches[0].curve.size(), 60U);
}

// As if the layer had never been asked for, also across a kill.
TEST_F(TrainCascade, BeginsAnewWithoutALayerWhoseLossIsNoNumber) {
  TinyMedial wild = chain().medial;
  wild.layers[0].noise = wild.layers[2].noise = 1;
  wild.draw();
  wild.activations[1] = wild.activations[1] * 1e37;
  auto with = options("with.h5"), without = options("without.h5");
  with.medial = without.medial = chain().rewrite(wild, "wild.h5");
  with.recipe.epochs = without.recipe.epochs = 30;
  without.architectures.erase("middle");
  quietly(without);
  const auto partial = io::partial_path(with.out);
  ASSERT_TRUE(
      interrupted([&] { quietly(with); }, [&] { return std::filesystem::exists(partial); }));
  with.common.resume = true;
  quietly(with);
  const auto a = artifact::read_caches(with.out), b = artifact::read_caches(without.out);
  ASSERT_EQ(a.caches.size(), 2U);
  ASSERT_EQ(b.caches.size(), 2U);
  EXPECT_EQ(a.caches[1].layer, "late");
  EXPECT_EQ(a.caches[1].prior, "early");
  for (std::size_t i = 0; i < 2; ++i) {
    for (const auto& [name, tensor] : a.caches[i].weights) {
      EXPECT_TRUE(at::equal(tensor, b.caches[i].weights.at(name))) << name;
    }
  }
}

TEST_F(TrainCascade, KeepsALayerAtChanceForTheOneThatTakesItsLogits) {
  auto noisy = chain().medial;
  noisy.activations[1] = at::randn_like(noisy.activations[1]);
  auto some = Train::options("some.h5");
  some.cascade = true;
  some.medial = chain().rewrite(noisy, "noise.h5");
  quietly(some);
  const auto caches = artifact::read_caches(some.out).caches;
  ASSERT_EQ(caches.size(), 2U);
  EXPECT_LT(caches[0].validation_agreement, 0.5);
  EXPECT_EQ(caches[1].prior, "middle");
  // At the end of the cascade nobody needs it.
  some.architectures = {{"middle", "fc16"}};
  some.out = scratch_.path("none.h5");
  expect_error([&] { quietly(some); }, ExitCode::kNothingProcessed, "better than chance");
}

TEST_F(Train, SaysWhatIsWrongWithAnArchitecture) {
  const auto refuses = [&](const char* layer, const char* text, ExitCode code, const char* part) {
    auto bad = options("bad.h5");
    bad.architectures = {{layer, text}};
    expect_error([&] { quietly(bad); }, code, part);
  };
  refuses("late", "conv3x3-8", ExitCode::kUsage, "late: architecture: conv3x3-8: needs a map");
  refuses("late", "cnv3x3-8", ExitCode::kUsage, "'cnv3x3-8'");
  auto none = options("none.h5");
  none.architectures.clear();
  expect_error([&] { quietly(none); }, ExitCode::kNothingProcessed, "no layer to train");
}

TEST_F(Train, MinutesShortenTheCycle) {
  auto timed = options("timed.h5");
  timed.recipe.epochs = 10000;
  timed.minutes = 0.01;
  quietly(timed);
  const auto caches = artifact::read_caches(timed.out);
  for (const auto& cache : caches.caches) {
    EXPECT_LT(cache.curve.back().epoch, 10000);
    EXPECT_GE(cache.curve.back().epoch, 1);
  }
}

TEST_F(Train, RefusesAStudyOfOtherSamples) {
  artifact::Study study;
  study.classes = 4;
  study.train_ids_hash = "other";
  study.validation_ids_hash = "v";
  artifact::write_study(scratch_.path("study.h5"), study, TinyChain::common(), {});
  auto bad = options("bad.h5");
  bad.study = scratch_.path("study.h5");
  expect_error([&] { quietly(bad); }, ExitCode::kIncompatible, "train");
}

}  // namespace
}  // namespace cachectl::train
