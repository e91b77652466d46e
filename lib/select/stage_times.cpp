#include "select/stage_times.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>

#include "base/cancel.h"
#include "base/progress.h"
#include "model/cache_model.h"
#include "model/confidence.h"
#include "runtime/rows.h"

namespace cachectl::select {
namespace {

using Clock = std::chrono::steady_clock;
using Predictors = std::vector<std::shared_ptr<const model::Predictor>>;

constexpr double kSeconds = 20;  // for all sizes and rounds
constexpr int kLeastRounds = 3;  // however long they take
constexpr int kMostRounds = 30;
constexpr double kSliceSeconds = 0.02;  // small batches are repeated within a round
constexpr int kMostRepeats = 16;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<std::int64_t> sizes_up_to(std::int64_t largest) {
  std::vector<std::int64_t> sizes;
  for (std::int64_t size = 1; size < std::min<std::int64_t>(largest, 8); ++size) {
    sizes.push_back(size);
  }
  for (std::int64_t size = 8; size < largest; size *= 2) {
    sizes.push_back(size);
    if (size / 2 * 3 < largest) sizes.push_back(size / 2 * 3);
  }
  sizes.push_back(largest);
  return sizes;
}

// One run of the chain, with the look-ups between the segments or without.
struct Run {
  std::vector<double> segments, look_ups;
};

// As an engine's stage does behind its segment; half of the rows leave.
void look_up(const model::Predictor& predictor, const model::Tensors& live, at::Tensor& prior) {
  const at::Tensor answered = predictor.logits(live[0], prior);
  const at::Tensor logits = answered.cpu().contiguous();
  const std::int64_t classes = logits.size(1);
  runtime::Rows rows = runtime::rows_of(live);
  for (std::int64_t row = 0; row < logits.size(0); ++row) {
    model::decide(logits.data_ptr<float>() + row * classes, classes, 1);
    if (row % 2 == 1) rows.mark_answered(static_cast<std::size_t>(row));
  }
  prior = answered;
  if (rows.size() > 1) runtime::survivors(rows);
}

Run run_through(const model::SegmentChain& chain, const Predictors& predictors,
                const at::Tensor& batch) {
  Run run;
  model::Tensors live = {batch};
  at::Tensor answered;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    auto start = Clock::now();
    live = chain.run(i, std::move(live));
    if (!live[0].device().is_cpu()) (void)live[0].flatten().slice(0, 0, 1).cpu();
    run.segments.push_back(seconds_since(start));
    if (i >= predictors.size()) continue;
    start = Clock::now();
    at::Tensor prior;
    if (predictors[i]->takes_prior()) prior = answered;
    look_up(*predictors[i], live, prior);
    answered = prior;
    run.look_ups.push_back(seconds_since(start));
  }
  return run;
}

// All that was seen at one batch size.
struct Seen {
  std::int64_t size = 0;
  at::Tensor batch;
  int repeats = 1;
  std::vector<double> plain, chain;
  std::vector<std::vector<double>> segments, look_ups;
};

void repeat(const model::Backbone& backbone, const model::SegmentChain& chain,
            const Predictors& predictors, Seen& seen) {
  const auto start = Clock::now();
  const at::Tensor raw = backbone.run({seen.batch}).cpu();
  seen.plain.push_back(seconds_since(start));
  const Run without = run_through(chain, {}, seen.batch);
  const Run with = run_through(chain, predictors, seen.batch);
  double together = 0;
  for (std::size_t i = 0; i < without.segments.size(); ++i) {
    seen.segments[i].push_back(without.segments[i]);
    together += without.segments[i];
  }
  seen.chain.push_back(together);
  for (std::size_t i = 0; i < with.look_ups.size(); ++i) {
    seen.look_ups[i].push_back(with.look_ups[i] + with.segments[i + 1] - without.segments[i + 1]);
  }
}

}  // namespace

StageTimes time_stages(const model::Backbone& backbone, const artifact::Caches& caches,
                       const at::Tensor& sample, std::int64_t largest) {
  const c10::NoGradGuard no_gradients;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  Predictors predictors;
  std::vector<std::string> layers;
  for (const auto& cache : caches.caches) {
    layers.push_back(cache.layer);
    predictors.push_back(artifact::predictor_of(cache, caches.classes, cache.layer, "float32",
                                                backbone.options().device));
  }
  const model::SegmentChain chain = backbone.cut(layers);
  std::vector<Seen> all;
  for (const std::int64_t size : sizes_up_to(largest)) {
    cancel::throw_if_requested();
    Seen seen;
    seen.size = size;
    std::vector<std::int64_t> shape = sample.sizes().vec();
    shape[0] = size;
    seen.batch = sample.slice(0, 0, 1).expand(shape).contiguous();
    seen.segments.resize(chain.size());
    seen.look_ups.resize(predictors.size());
    repeat(backbone, chain, predictors, seen);  // a warm-up, and how long it takes
    const auto start = Clock::now();
    repeat(backbone, chain, predictors, seen);
    const double share = kSliceSeconds / seconds_since(start);
    seen.repeats = static_cast<int>(std::clamp(share, 1.0, static_cast<double>(kMostRepeats)));
    seen.plain.clear();
    seen.chain.clear();
    for (auto* lists : {&seen.segments, &seen.look_ups}) {
      for (auto& list : *lists) list.clear();
    }
    all.push_back(std::move(seen));
  }
  const auto start = Clock::now();
  Progress progress("timing", kMostRounds, "rounds");
  for (int round = 0; round < kMostRounds; ++round) {
    if (round >= kLeastRounds && seconds_since(start) > kSeconds) break;
    for (Seen& seen : all) {
      cancel::throw_if_requested();
      for (int i = 0; i < seen.repeats; ++i) repeat(backbone, chain, predictors, seen);
    }
    progress.advance();
  }
  progress.finish();
  StageTimes times;
  times.segments.resize(chain.size());
  times.look_ups.resize(predictors.size());
  for (const Seen& seen : all) {
    // Cuts that a plan does not make cost it nothing; those that it makes come with its look-ups.
    const double plain = median(seen.plain), chain_of_all = median(seen.chain);
    const double scale = plain / chain_of_all;
    const double cut = std::max(0.0, chain_of_all - plain) / static_cast<double>(predictors.size());
    for (std::size_t i = 0; i < chain.size(); ++i) {
      times.segments[i].batch.push_back(seen.size);
      times.segments[i].seconds.push_back(scale * median(seen.segments[i]));
    }
    for (std::size_t i = 0; i < predictors.size(); ++i) {
      times.look_ups[i].batch.push_back(seen.size);
      times.look_ups[i].seconds.push_back(cut + std::max(0.0, median(seen.look_ups[i])));
    }
  }
  return times;
}

}  // namespace cachectl::select
