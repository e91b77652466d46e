#include "model/cache_model.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "io/hdf5.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace cachectl::model {
namespace {

struct Case {
  const char* text;
  Sizes shape;
  bool takes_prior = false;
};
const std::vector<Case> kCases = {
    {"linear", {12}},
    {"conv3x3/2-24, conv3x3/2-16, pool2", {16, 16, 15}},
    {"dwconv5x5/2-24, res3x3, maxpool2, fc32", {8, 16, 16}},
    {"conv1x1/3-12, attention, fc16, fc8", {8, 13, 9}},
    {"mean, fc32", {17, 24}},
    {"attention", {17, 24}},
    {"linear", {12}, true},
    {"conv3x3/2-24, pool2, fc16", {8, 13, 9}, true},
};

at::Tensor draw(const Sizes& shape, std::int64_t rows, std::uint64_t seed) {
  at::manual_seed(seed);
  Sizes sizes{rows};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  return at::randn(sizes);
}

// Logits of the cache model in front, far from a distribution's logarithms.
at::Tensor prior_of(const Case& entry, std::int64_t rows, std::uint64_t seed) {
  return entry.takes_prior ? 4 * draw({10}, rows, seed) + 3 : at::Tensor{};
}

CacheModel model_of(const Case& entry, std::uint64_t seed = 1) {
  return CacheModel(Architecture::parse(entry.text), entry.shape, 10, seed, entry.takes_prior);
}

// A model whose batch norms have seen data, so that folding them is not the identity.
CacheModel seasoned(const Case& entry) {
  CacheModel model = model_of(entry, 7);
  model.flat_parameters().add_(at::randn_like(model.flat_parameters()), 0.05);
  const c10::NoGradGuard no_grad;
  for (int i = 0; i < 5; ++i) {
    model.forward(draw(entry.shape, 64, 20 + i) * 2 + 0.5, prior_of(entry, 64, 30 + i), true);
  }
  return model;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(CacheModel, FrozenGivesTheSameLogitsAsTheModel) {
  for (const auto& entry : kCases) {
    const auto model = seasoned(entry);
    const auto x = draw(entry.shape, 9, 3);
    const auto prior = prior_of(entry, 9, 4);
    const auto expected = model.forward(x, prior, false).detach();
    EXPECT_EQ(model.freeze()->takes_prior(), entry.takes_prior);
    EXPECT_LT(largest_difference(model.freeze()->logits(x, prior), expected), 1e-4) << entry.text;
    const double scale = expected.abs().max().item<double>();
    EXPECT_LT(largest_difference(model.freeze("bfloat16")->logits(x, prior), expected),
              0.05 * scale + 0.02)
        << entry.text;
  }
}

TEST(CacheModel, FrozenTakesAnyStridesAndBatchSizes) {
  const auto& entry = kCases[1];
  const auto frozen = seasoned(entry).freeze();
  const auto x = draw(entry.shape, 5, 3);
  const auto expected = frozen->logits(x);
  EXPECT_LT(
      largest_difference(frozen->logits(x.contiguous(at::MemoryFormat::ChannelsLast)), expected),
      1e-4);
  EXPECT_LT(largest_difference(frozen->logits(x.to(at::kBFloat16)), expected), 0.1);
  EXPECT_LT(largest_difference(frozen->logits(x.narrow(0, 2, 1)), expected.narrow(0, 2, 1)), 1e-4);
  const auto none = frozen->logits(x.narrow(0, 0, 0));
  EXPECT_EQ(none.sizes(), at::IntArrayRef({0, 10}));
  EXPECT_EQ(frozen->classes(), 10);
}

TEST(CacheModel, FrozenLeavesItsInputAsItIs) {
  for (const auto& entry : kCases) {
    const auto x = draw(entry.shape, 5, 3);
    const auto before = x.clone();
    const auto prior = prior_of(entry, 5, 4);
    const auto prior_before = entry.takes_prior ? prior.clone() : prior;
    seasoned(entry).freeze()->logits(x, prior);
    EXPECT_TRUE(at::equal(x, before)) << entry.text;
    if (entry.takes_prior) {
      EXPECT_TRUE(at::equal(prior, prior_before)) << entry.text;
    }
  }
}

TEST(CacheModel, FrozenAnswersSeveralThreadsAtOnce) {
  const auto frozen = seasoned(kCases[2]).freeze();
  const auto x = draw(kCases[2].shape, 5, 3);
  const auto expected = frozen->logits(x);
  std::atomic<int> differing{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        if (largest_difference(frozen->logits(x), expected) > 1e-4) ++differing;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(differing, 0);
}

TEST(CacheModel, StateRestoresTheModel) {
  for (const auto& entry : kCases) {
    const auto model = seasoned(entry);
    const auto again = CacheModel::from_state(model.architecture(), entry.shape, 10, model.state(),
                                              "caches.h5: /caches/0", entry.takes_prior);
    const auto x = draw(entry.shape, 4, 5);
    const auto prior = prior_of(entry, 4, 6);
    EXPECT_TRUE(at::equal(model.forward(x, prior, false), again.forward(x, prior, false)))
        << entry.text;
  }
}

TEST(CacheModel, RefusesAStateOfAnotherArchitecture) {
  const auto model = seasoned(kCases[1]);
  const auto refuses = [&](const CacheModel::State& state, const char* part) {
    expect_error(
        [&] { CacheModel::from_state(model.architecture(), model.input_shape(), 10, state, "f"); },
        ExitCode::kIncompatible, part);
  };
  auto state = model.state();
  state.erase("classifier.bias");
  refuses(state, "'classifier.bias' of conv3x3/2-24");
  state = model.state();
  state["9.weight"] = at::zeros({3});
  refuses(state, "'9.weight' does not belong");
  state = model.state();
  state["0.weight"] = at::zeros({24, 16, 5, 5});
  refuses(state, "'0.weight' is 24x16x5x5");
}

TEST(CacheModel, RefusesTheStateOfOneThatTakesAPrior) {
  const auto model = seasoned(kCases[6]);
  expect_error([&] { CacheModel::from_state(model.architecture(), {12}, 10, model.state(), "f"); },
               ExitCode::kIncompatible, "'classifier.weight' is 10x22, linear needs 10x12");
}

// The distribution counts, not what logits it comes from; and nothing flows back into it.
TEST(CacheModel, TakesThePriorAsADistribution) {
  auto model = seasoned(kCases[7]);
  const auto x = draw(kCases[7].shape, 6, 3);
  const auto prior = prior_of(kCases[7], 6, 4);
  const auto logits = model.forward(x, prior, false).detach();
  EXPECT_LT(largest_difference(model.forward(x, prior + 7.5, false).detach(), logits), 1e-4);
  EXPECT_GT(largest_difference(model.forward(x, prior.roll(1, 1), false).detach(), logits), 0.01);
  at::Tensor leaf = prior.clone().set_requires_grad(true);
  model.forward(x, leaf, true).sum().backward();
  EXPECT_FALSE(leaf.grad().defined());
  // A matrix of classes by classes more, and nothing else.
  const auto alone = head_cost(model.architecture(), kCases[7].shape, 10);
  EXPECT_EQ(model.cost().macs, alone.macs + 100);
  EXPECT_EQ(model.cost().parameters, alone.parameters + 100);
}

TEST(CacheModel, ParametersAreThoseThatItsCostCounts) {
  for (const auto& entry : kCases) {
    const CacheModel model = model_of(entry);
    // Folding turns a batch norm's weight and bias into one bias.
    std::int64_t scales = 0;
    for (const auto& [name, value] : model.state()) {
      if (name.find("norm.weight") != std::string::npos) scales += value.numel();
    }
    CacheModel copy = model;
    EXPECT_EQ(copy.flat_parameters().numel() - scales, model.cost().parameters) << entry.text;
  }
}

TEST(CacheModel, SameSeedSameParameters) {
  const auto& entry = kCases[2];
  CacheModel a(Architecture::parse(entry.text), entry.shape, 10, 4);
  CacheModel b(Architecture::parse(entry.text), entry.shape, 10, 4);
  CacheModel c(Architecture::parse(entry.text), entry.shape, 10, 5);
  EXPECT_TRUE(at::equal(a.flat_parameters(), b.flat_parameters()));
  EXPECT_FALSE(at::equal(a.flat_parameters(), c.flat_parameters()));
}

TEST(CacheModel, LogitsAndGradientsAreThoseOfPythonsTorch) {
  if (std::system(
          "/usr/bin/python3 -c 'import importlib.util as u, sys; "
          "sys.exit(not (u.find_spec(\"torch\") and u.find_spec(\"h5py\")))' 2>/dev/null") != 0) {
    GTEST_SKIP() << "needs python3-torch and python3-h5py";
  }
  const Scratch scratch;
  const auto write = [](io::Group& group, const std::string& name, const at::Tensor& given) {
    const at::Tensor value = given.detach().contiguous();
    const float* data = value.data_ptr<float>();
    group.write(name, std::vector<float>(data, data + value.numel()), value.sizes().vec());
  };
  std::string command = "/usr/bin/python3 " SOURCE_FOLDER "/check_cache_model.py";
  for (const auto& entry : kCases) {
    auto model = seasoned(entry);
    const auto x = draw(entry.shape, 12, 3);
    const auto target = draw({10}, 12, 4).softmax(1);
    const std::string path = scratch.path(std::to_string(command.size()) + ".h5");
    {
      auto file = io::File::create(path);
      file.root().set("text", entry.text);
      auto state = file.root().create_group("state");
      for (const auto& [name, value] : model.state()) write(state, name, value);
      write(file.root(), "input", x);
      const auto prior = prior_of(entry, 12, 5);
      if (entry.takes_prior) write(file.root(), "prior", prior);
      write(file.root(), "target", target);
      write(file.root(), "eval_logits", model.forward(x, prior, false));
      const auto loss =
          at::kl_div(model.forward(x, prior, true).log_softmax(1), target, at::Reduction::Sum) / 12;
      loss.backward();
      write(file.root(), "train_loss", loss.reshape({1}));
      auto gradient = file.root().create_group("gradient");
      for (const auto& [name, value] : model.gradients()) write(gradient, name, value);
      file.close();
    }
    command += " " + path;
  }
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace cachectl::model
