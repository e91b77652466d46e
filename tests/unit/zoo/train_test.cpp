#include "zoo/train.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/api/module.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/cancel.h"
#include "model/precision.h"
#include "support/bytes.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "zoo/backbone_file.h"
#include "zoo/checkpoint.h"
#include "zoo/info.h"
#include "zoo/optimizer.h"

namespace cachectl::zoo {
namespace {

TEST(OneCycle, RisesToThePeakAndFallsToAlmostNothing) {
  const double peak = 0.4;
  const std::int64_t steps = 1000;
  EXPECT_NEAR(one_cycle_rate(peak, 0, steps), peak / 25, 1e-12);
  EXPECT_NEAR(one_cycle_rate(peak, 300, steps), peak, 1e-12);
  EXPECT_NEAR(one_cycle_rate(peak, 150, steps), (peak / 25 + peak) / 2, 1e-12);
  EXPECT_NEAR(one_cycle_rate(peak, 999, steps), peak / 25e4, 1e-12);
  for (std::int64_t step = 1; step < steps; ++step) {
    const double change = one_cycle_rate(peak, step, steps) - one_cycle_rate(peak, step - 1, steps);
    EXPECT_TRUE(step <= 300 ? change > 0 : change < 0) << step;
  }
  EXPECT_GT(one_cycle_rate(peak, 0, 1), 0);
}

// Nesterov's momentum and decay, step by step in doubles (Sutskever et al. 2013, as torch.optim).
TEST(Sgd, FollowsTheTextbook) {
  for (const bool nesterov : {false, true}) {
    const double momentum = 0.9, decay = 0.01;
    at::Tensor kernel = at::full({1, 1}, 2.0).set_requires_grad(true);
    at::Tensor bias = at::full({1}, 2.0).set_requires_grad(true);
    Sgd sgd({{"kernel", kernel}, {"bias", bias}}, {momentum, nesterov, decay});
    double w[2] = {2, 2}, v[2] = {0, 0};
    for (int step = 0; step < 5; ++step) {
      (kernel.square().sum() + bias.square().sum()).backward();
      sgd.step(0.1);
      for (int i = 0; i < 2; ++i) {
        const double gradient = 2 * w[i] + (i == 0 ? decay * w[i] : 0);
        v[i] = momentum * v[i] + gradient;
        w[i] -= 0.1 * (nesterov ? gradient + momentum * v[i] : v[i]);
      }
    }
    EXPECT_NEAR(kernel.item<double>(), w[0], 1e-5);
    EXPECT_NEAR(bias.item<double>(), w[1], 1e-5);
    EXPECT_FALSE(kernel.grad().defined());
  }
}

TEST(Precision, IsWhatWasAskedFor) {
  EXPECT_EQ(model::resolved_precision("float32", at::kCPU), "float32");
  EXPECT_EQ(model::resolved_precision("bfloat16", at::kCPU), "bfloat16");
  EXPECT_THAT(model::resolved_precision("auto", at::kCPU), testing::AnyOf("float32", "bfloat16"));
  expect_error([] { model::resolved_precision("int8", at::kCPU); }, ExitCode::kUsage, "int8");
}

TEST(Precision, ActsOnlyWhileTheGuardLives) {
  const at::Tensor a = at::randn({4, 4});
  {
    const model::MixedPrecision guard(true, at::kCPU);
    EXPECT_EQ(at::matmul(a, a).scalar_type(), at::kBFloat16);
  }
  EXPECT_EQ(at::matmul(a, a).scalar_type(), at::kFloat);
}

TEST(Checkpoint, ReadsBackAndRefusesAnotherRunsOrADamagedOne) {
  const Scratch scratch;
  const auto path = scratch.path("c.partial");
  Checkpoint written{"abc", 2, {0.5, 0.25}, {{"w", at::randn({3})}}, {{"w", at::randn({3})}}};
  write_checkpoint(written, path);
  Checkpoint read{"abc", 0, {}, {{"w", at::zeros({3})}}, {{"w", at::zeros({3})}}};
  const at::Tensor shared = read.weights.at("w");
  read_checkpoint(read, path);
  EXPECT_EQ(read.epochs, 2);
  EXPECT_THAT(read.losses, testing::ElementsAre(0.5, 0.25));
  EXPECT_TRUE(at::equal(shared, written.weights.at("w")));
  EXPECT_TRUE(at::equal(read.momenta.at("w"), written.momenta.at("w")));
  Checkpoint other = read;
  other.fingerprint = "abd";
  expect_error([&] { read_checkpoint(other, path); }, ExitCode::kIncompatible, "other options");
  Checkpoint wider{"abc", 0, {}, {{"w", at::zeros({4})}}, {{"w", at::zeros({4})}}};
  expect_error([&] { read_checkpoint(wider, path); }, ExitCode::kCorrupt, "another shape");
  std::filesystem::resize_file(path, 40);
  expect_error([&] { read_checkpoint(read, path); }, ExitCode::kCorrupt, "c.partial");
}

// --- training, on a small part of the synthetic set ---

TrainOptions tiny(const Scratch& scratch, const std::string& name) {
  TrainOptions options;
  options.out = scratch.path(name);
  options.common.log_level = "quiet";
  options.common.no_provenance = true;
  options.common.threads = 2;
  options.data.samples = 160;
  options.data.image_size = 16;
  options.arch = "resnet8";
  options.epochs = 6;
  options.batch_size = 32;
  options.precision = "float32";
  return options;
}

// A run that is cancelled once its checkpoint of this epoch stands.
void train_until(TrainOptions options, std::int64_t epoch) {
  std::thread watcher([&] {
    for (;;) {
      std::map<std::string, std::string> metadata;
      try {
        read_safetensors(options.out + ".partial", &metadata);
        if (std::stoll(metadata.at("epochs")) >= epoch) break;
      } catch (const Error&) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    cancel::request(SIGTERM);
  });
  EXPECT_THROW(train(options), cancel::Cancelled);
  watcher.join();
  cancel::request(0);
}

TEST(Training, IsRepeatableAndResumesToTheSameBytes) {
  const Scratch scratch;
  TrainOptions whole = tiny(scratch, "whole.pt");
  train(whole);
  TrainOptions again = tiny(scratch, "again.pt");
  train(again);
  EXPECT_EQ(bytes_of(whole.out), bytes_of(again.out));

  TrainOptions cut = tiny(scratch, "cut.pt");
  train_until(cut, 1);
  EXPECT_FALSE(std::filesystem::exists(cut.out));
  cut.common.resume = true;
  const TrainResult result = train(cut);
  EXPECT_EQ(result.losses.size(), 6U);
  EXPECT_EQ(bytes_of(whole.out), bytes_of(cut.out));
  EXPECT_FALSE(std::filesystem::exists(cut.out + ".partial"));
}

TEST(Training, DropsTheSameInAResumedRun) {
  const Scratch scratch;
  const auto with_dropout = [&](const std::string& name) {
    TrainOptions options = tiny(scratch, name);
    options.arch = "mobilenet_v2";
    options.epochs = 3;
    return options;
  };
  TrainOptions whole = with_dropout("whole.pt");
  train(whole);
  TrainOptions cut = with_dropout("cut.pt");
  train_until(cut, 1);
  cut.common.resume = true;
  at::manual_seed(1);  // another process, another state
  train(cut);
  EXPECT_EQ(bytes_of(whole.out), bytes_of(cut.out));
}

TEST(Training, RefusesToResumeWithOtherOptions) {
  const Scratch scratch;
  TrainOptions options = tiny(scratch, "a.pt");
  train_until(options, 1);
  options.common.resume = true;
  options.learning_rate *= 2;
  expect_error([&] { train(options); }, ExitCode::kIncompatible, "a.pt.partial");

  // With --force as well it is begun anew: the bytes of a run from nothing.
  options.common.force = true;
  train(options);
  TrainOptions anew = tiny(scratch, "anew.pt");
  anew.learning_rate = options.learning_rate;
  train(anew);
  EXPECT_EQ(bytes_of(options.out), bytes_of(anew.out));
}

TEST(Training, LearnsAndRecordsWhatItMade) {
  const Scratch scratch;
  TrainOptions options = tiny(scratch, "b.pt");
  options.data.samples = 600;
  options.data.difficulty = 0;
  options.epochs = 8;
  options.data.mean = {0.5};
  options.data.std = {0.25};
  const TrainResult result = train(options);
  EXPECT_LT(result.losses.back(), 0.7 * result.losses.front());
  EXPECT_GT(result.train_accuracy, 0.4);
  EXPECT_GT(result.held_out_accuracy, 0.3);  // ten classes: 0.1 by chance

  std::string json;
  const torch::jit::Module module = load_backbone(options.out, &json);
  const Record record = Record::from_json(json, options.out);
  EXPECT_EQ(record.spec.arch, "resnet8");
  EXPECT_EQ(record.spec.input_size, 16);
  EXPECT_EQ(record.accuracy, result.held_out_accuracy);
  EXPECT_EQ(record.command, "");
  EXPECT_THAT(record.mean, testing::ElementsAre(0.5));
  EXPECT_FALSE(module.is_training());

  const BackboneInfo info = backbone_info(options.out, {});
  EXPECT_THAT(info.input, testing::ElementsAre(3, 16, 16));
  EXPECT_THAT(info.output, testing::ElementsAre(10));
  EXPECT_EQ(info.parameters, result.parameters);
}

TEST(Training, SaysWhenItDiverges) {
  const Scratch scratch;
  TrainOptions options = tiny(scratch, "c.pt");
  options.learning_rate = 1e30;
  expect_error([&] { train(options); }, ExitCode::kUsage, "--learning-rate");
  EXPECT_FALSE(std::filesystem::exists(options.out));
}

TEST(Info, RefusesWhatIsNoTorchScript) {
  const Scratch scratch;
  const auto refused = [&](const std::string& bytes) {
    const auto path = scratch.path("x.pt");
    std::ofstream(path, std::ios::binary) << bytes;
    expect_error([&] { backbone_info(path, {}); }, ExitCode::kCorrupt, "x.pt");
  };
  refused("");
  refused("hello");
  refused("PK\x03\x04 and nothing else");
  Spec spec;
  spec.arch = "resnet8";
  torch::jit::Module module = build(spec, 1);
  save_backbone(module, record_of(spec, {}), scratch.path("good.pt"));
  const std::string good = bytes_of(scratch.path("good.pt"));
  for (std::size_t i = 1; i < 16; ++i) refused(good.substr(0, good.size() * i / 16));
  expect_error([&] { backbone_info(scratch.path("none.pt"), {}); }, ExitCode::kCannotOpen, "none");
  expect_error(
      [&] {
        backbone_info(scratch.path("good.pt"), {1, 5});
      },
      ExitCode::kIncompatible, "1x5");
}

}  // namespace
}  // namespace cachectl::zoo
