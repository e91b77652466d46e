#include "eval/timing.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>

#include "base/cancel.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/random.h"
#include "data/loader.h"
#include "eval/statistics.h"
#include "runtime/live_bytes.h"

namespace cachectl::eval {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t kPoolBytes = std::int64_t{512} << 20;
constexpr std::int64_t kMemoryBatches = 10;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double time_plain(const model::Backbone& backbone, const at::Tensor& inputs) {
  const Clock::time_point start = Clock::now();
  const at::Tensor raw = backbone.run({inputs}).cpu();
  return milliseconds_since(start);
}

void time_cached(const runtime::Engine& engine, std::size_t plan, const at::Tensor& inputs,
                 Pairs& pairs) {
  double first = std::numeric_limits<double>::infinity(), sum = 0;
  const runtime::BatchStats stats =
      engine.infer_with(plan, {inputs}, [&](const runtime::Answer& answer) {
        if (!answer.hit) return;
        first = std::min(first, answer.milliseconds);
        sum += answer.milliseconds;
      });
  pairs.cached_ms.push_back(stats.milliseconds);
  pairs.first_ms.push_back(first);
  pairs.answer_ms.push_back(sum / static_cast<double>(inputs.size(0)));
  pairs.flops_cached += stats.flops();
}

}  // namespace

InputPool::InputPool(const TestPart& part, const Options& options) {
  std::int64_t bytes = sizeof(float);
  const auto shape = data::input_shape(*part.dataset, part.transform, options.data.skip_bad);
  for (const std::int64_t size : shape) bytes *= size;
  std::int64_t wanted = std::max<std::int64_t>(1, kPoolBytes / bytes);
  wanted = std::max(wanted, *std::max_element(options.batches.begin(), options.batches.end()));
  std::vector<std::int64_t> order = part.indices;
  Rng rng(derive_seed(static_cast<std::uint64_t>(options.common.seed), "timing"));
  rng.shuffle(order);
  order.resize(static_cast<std::size_t>(std::min(wanted, part.size())));
  data::LoaderOptions loading;
  loading.skip_bad = options.data.skip_bad;
  loading.threads = options.common.threads;
  data::BatchLoader loader(*part.dataset, part.transform, order, loading);
  std::vector<at::Tensor> batches;
  while (const auto batch = loader.next()) batches.push_back(batch->inputs);
  inputs_ = at::cat(batches);
}

at::Tensor InputPool::batch(std::int64_t size, std::int64_t number) const {
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < size; ++i) rows.push_back((number * size + i) % this->size());
  return inputs_.index_select(0, at::tensor(rows, at::kLong));
}

Pairs time_pairs(const runtime::Engine& engine, std::size_t plan, const InputPool& pool,
                 std::int64_t batch, const Effort& effort) {
  Pairs pairs, ignored;
  for (std::int64_t i = 0; i < effort.warm_ups; ++i) {
    cancel::throw_if_requested();
    const at::Tensor inputs = pool.batch(batch, i);
    time_plain(engine.backbone(), inputs);
    time_cached(engine, plan, inputs, ignored);
  }
  double plain_flops = 0;  // per sample
  for (std::size_t e = 0; e < engine.stages(plan); ++e) {
    plain_flops += engine.segment_flops(plan, e);
  }
  const Clock::time_point start = Clock::now();
  for (std::int64_t r = 0; r < effort.repeats; ++r) {
    cancel::throw_if_requested();
    if (r >= effort.least && milliseconds_since(start) > effort.minutes * 60e3) break;
    const at::Tensor inputs = pool.batch(batch, r);
    if (r % 2 == 0) pairs.plain_ms.push_back(time_plain(engine.backbone(), inputs));
    time_cached(engine, plan, inputs, pairs);
    if (r % 2 == 1) pairs.plain_ms.push_back(time_plain(engine.backbone(), inputs));
    pairs.flops_plain += plain_flops * static_cast<double>(batch);
  }
  return pairs;
}

artifact::Latency latency_of(const runtime::Engine& engine, const InputPool& pool,
                             std::int64_t batch, const Options& options) {
  artifact::Latency latency;
  latency.batch = batch;
  latency.plan = engine.plan_for(batch);
  Effort effort;
  effort.repeats = options.repeats;
  effort.minutes = options.minutes;
  Pairs pairs = time_pairs(engine, latency.plan, pool, batch, effort);
  const auto made = static_cast<std::int64_t>(pairs.plain_ms.size());
  if (made < effort.repeats) {
    log::warning("batch {}: {} of {} repeats within {:g} minutes (--minutes)", batch, made,
                 effort.repeats, effort.minutes);
  }
  latency.plain = quantiles_of(pairs.plain_ms);
  latency.cached = quantiles_of(pairs.cached_ms);
  latency.first = quantiles_of(pairs.first_ms);
  latency.answer = quantiles_of(pairs.answer_ms);
  // Of means, not of medians: at batch 1 a cached run is either short or long.
  const double saved = 1 - latency.cached.mean / latency.plain.mean;
  latency.saved = bootstrap(static_cast<std::int64_t>(pairs.plain_ms.size()), options.resamples,
                            static_cast<std::uint64_t>(options.common.seed), saved,
                            [&](const std::vector<std::int64_t>& drawn) {
                              double plain = 0, cached = 0;
                              for (const std::int64_t r : drawn) {
                                plain += pairs.plain_ms[static_cast<std::size_t>(r)];
                                cached += pairs.cached_ms[static_cast<std::size_t>(r)];
                              }
                              return 1 - cached / plain;
                            });
  latency.flops_saved = 1 - pairs.flops_cached / pairs.flops_plain;
  latency.plain_ms = std::move(pairs.plain_ms);
  latency.cached_ms = std::move(pairs.cached_ms);
  latency.first_ms = std::move(pairs.first_ms);
  latency.answer_ms = std::move(pairs.answer_ms);
  return latency;
}

artifact::MemoryUse memory_of(const runtime::Engine& engine, const InputPool& pool,
                              std::int64_t batch) {
  double plain = 0, cached = 0;
  const std::size_t plan = engine.plan_for(batch);
  for (std::int64_t i = 0; i < kMemoryBatches; ++i) {
    const model::Tensors inputs = engine.backbone().prepare({pool.batch(batch, i)});
    {
      const runtime::LiveBytes bytes;
      engine.backbone().run(inputs);
      plain += static_cast<double>(bytes.peak());
    }
    const runtime::LiveBytes bytes;
    engine.infer_with(plan, inputs, [](const runtime::Answer&) {});
    cached += static_cast<double>(bytes.peak());
  }
  if (plain == 0) return {batch, -1, -1, plan};
  return {batch, static_cast<std::int64_t>(plain / kMemoryBatches),
          static_cast<std::int64_t>(cached / kMemoryBatches), plan};
}

}  // namespace cachectl::eval
