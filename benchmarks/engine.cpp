// What the engine costs beside the backbone, and whether the FLOPs saved arrive as time:
// bench-engine [BACKBONE.pt [SIDE [REPEATS]]]; without a file, ResNet-56 for 32 x 32 with
// random weights. All ratios come from pairs that take turns in one run; JSON on stdout.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/version.h>

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/memory.h"
#include "base/random.h"
#include "runtime/engine.h"
#include "support/scratch.h"
#include "zoo/zoo.h"

namespace cachectl::runtime {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kSeed = 1;
constexpr double kHitRate = 0.35;  // of the rows that reach each exit

// A cache model of the usual size whose confidence is replaced by a coin: the same row
// always gets the same answer, and kHitRate of the rows are sure.
class Coin : public model::Predictor {
 public:
  Coin(std::shared_ptr<const model::Predictor> inner, std::uint64_t salt)
      : inner_(std::move(inner)), salt_(salt) {}
  using Predictor::logits;
  at::Tensor logits(const at::Tensor& activations, const at::Tensor& prior) const override {
    at::Tensor logits = inner_->logits(activations, prior);
    const std::int64_t width = logits.size(1);
    for (std::int64_t row = 0; row < logits.size(0); ++row) {
      float* const values = logits.data_ptr<float>() + row * width;
      // The first bits of the first logit as the coin.
      const auto bits = static_cast<std::uint64_t>(std::llround(double{values[0]} * 1e4));
      const bool sure = Rng(derive_seed(salt_, "coin", bits)).uniform() < kHitRate;
      std::fill(values, values + width, 0.f);
      if (sure) values[0] = 50;
    }
    return logits;
  }
  std::int64_t classes() const override { return inner_->classes(); }
  bool takes_prior() const override { return inner_->takes_prior(); }
  model::SegmentCost cost() const override { return inner_->cost(); }

 private:
  std::shared_ptr<const model::Predictor> inner_;
  std::uint64_t salt_;
};

// One thread's processor time says the same on a busy machine; several need the clock.
double now() {
  if (at::get_num_threads() > 1) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds(const std::function<void()>& call) {
  const double start = now();
  call();
  return now() - start;
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

Json spread(const std::vector<double>& values) {
  return {{"median", quantile(values, 0.5)},
          {"p10", quantile(values, 0.1)},
          {"p90", quantile(values, 0.9)}};
}

std::vector<Exit> exits_at(const model::Backbone& backbone, float threshold, bool coins) {
  // At a quarter, a half and three quarters of the FLOPs.
  std::vector<Exit> exits;
  const auto& all = backbone.candidates();
  for (const double place : {0.25, 0.5, 0.75}) {
    const auto nearest =
        std::min_element(all.begin(), all.end(), [&](const auto& a, const auto& b) {
          return std::abs(a.share_left() - (1 - place)) < std::abs(b.share_left() - (1 - place));
        });
    if (!exits.empty() && exits.back().layer == nearest->name) continue;
    const model::CacheModel model(model::Architecture::parse("conv3x3/2-32, pool2"), nearest->shape,
                                  backbone.num_classes(), kSeed);
    std::shared_ptr<const model::Predictor> predictor = model.freeze();
    if (coins) predictor = std::make_shared<Coin>(std::move(predictor), exits.size());
    exits.push_back({nearest->name, std::move(predictor), threshold, 1, "conv3x3/2-32, pool2"});
  }
  return exits;
}

void ignore(const Answer&) {}

Json measure(const std::shared_ptr<const model::Backbone>& backbone, std::int64_t side,
             std::int64_t batch, std::int64_t repeats) {
  const Engine empty(backbone);
  const Engine never(backbone, {{0, exits_at(*backbone, 2, false)}});
  const Engine saving(backbone, {{0, exits_at(*backbone, 0.9f, true)}});
  for (const Engine* engine : {&empty, &never, &saving}) engine->warm_up(batch);
  std::vector<std::string> layers;
  for (const Exit& exit : never.exits(0)) layers.push_back(exit.layer);
  const model::SegmentChain chain = backbone->cut(layers);

  std::vector<double> empty_ratio, never_beside, look_up_share, plain_ms;
  double plain_total = 0, saving_total = 0, flops = 0, plain_flops = 0;
  for (const auto& cost : backbone->costs()) plain_flops += cost.flops();
  const std::int64_t warm_up = 5;
  for (std::int64_t r = -warm_up; r < repeats; ++r) {
    const at::Tensor inputs = at::randn({batch, 3, side, side});
    std::vector<at::Tensor> activations;
    model::Tensors live = {inputs};
    for (std::size_t e = 0; e < layers.size(); ++e) {
      live = chain.run(e, live);
      activations.push_back(live[0]);
    }
    double plain = 0, with_empty = 0, with_never = 0, look_ups = 0, with_saving = 0;
    double spent = 0;
    const std::vector<std::function<void()>> turns = {
        [&] { plain = seconds([&] { backbone->probabilities(backbone->run({inputs})); }); },
        [&] { with_empty = seconds([&] { empty.infer(inputs, ignore); }); },
        [&] { with_never = seconds([&] { never.infer(inputs, ignore); }); },
        [&] {
          look_ups = seconds([&] {
            for (std::size_t e = 0; e < layers.size(); ++e) {
              never.exits(0)[e].predictor->logits(activations[e]);
            }
          });
        },
        [&] { with_saving = seconds([&] { spent = saving.infer(inputs, ignore).flops(); }); }};
    for (std::size_t t = 0; t < turns.size(); ++t) {
      turns[(t + static_cast<std::size_t>(r + warm_up)) % turns.size()]();
    }
    if (r < 0) continue;
    plain_ms.push_back(plain * 1e3);
    empty_ratio.push_back(with_empty / plain);
    never_beside.push_back((with_never - plain - look_ups) / plain);
    look_up_share.push_back(look_ups / plain);
    plain_total += plain;
    saving_total += with_saving;
    flops += spent;
  }
  const double flops_saved =
      1 - flops / (plain_flops * static_cast<double>(batch) * static_cast<double>(repeats));
  const double time_saved = 1 - saving_total / plain_total;
  return {{"batch", batch},
          {"plain_ms", spread(plain_ms)},
          {"empty_plan_over_plain", spread(empty_ratio)},
          {"look_ups_over_plain", spread(look_up_share)},
          {"never_hit_beside_look_ups", spread(never_beside)},
          {"flops_saved", flops_saved},
          {"latency_saved", time_saved},
          {"latency_saved_over_flops_saved", time_saved / flops_saved}};
}

int run(int argc, char** argv) {
  const Scratch scratch;
  model::BackboneOptions options;
  const std::int64_t side = argc > 2 ? std::atoll(argv[2]) : 32;
  const std::int64_t repeats = argc > 3 ? std::atoll(argv[3]) : 60;
  options.path = scratch.path("resnet56.pt");
  if (argc > 1) {
    options.path = argv[1];
  } else {
    zoo::Spec spec;
    spec.arch = "resnet56";
    torch::jit::Module module = zoo::build(spec, kSeed);
    module.eval();
    module.save(options.path);
  }
  const auto backbone = model::Backbone::load(options, {at::randn({1, 3, side, side})});
  const char* const commit = std::getenv("CACHECTL_COMMIT");
  Json report = {{"backbone", argc > 1 ? argv[1] : "resnet56, random weights"},
                 {"commit", commit == nullptr ? "" : commit},
                 {"device", "cpu"},
                 {"threads", at::get_num_threads()},
                 {"clock", at::get_num_threads() > 1 ? "wall" : "processor"},
                 {"library", std::string("LibTorch ") + TORCH_VERSION},
                 {"seed", kSeed},
                 {"repeats", repeats},
                 {"batches", Json::array()}};
  at::manual_seed(kSeed);
  for (const std::int64_t batch : {1, 8, 32, 128}) {
    report["batches"].push_back(measure(backbone, side, batch, repeats));
  }
  std::cout << report.dump(2) << '\n';
  return 0;
}

}  // namespace
}  // namespace cachectl::runtime

int main(int argc, char** argv) {
  cachectl::memory::keep_freed();
  try {
    return cachectl::runtime::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "bench-engine: " << error.what() << '\n';
    return 1;
  }
}
