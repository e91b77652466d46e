#include "profile/timing.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/cancel.h"
#include "base/progress.h"

namespace cachectl::profile {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kLeastRepeats = 5;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Kernels on a GPU run behind the call; reading one value waits for them.
void wait_for(const at::Tensor& tensor) {
  if (!tensor.device().is_cpu()) (void)tensor.flatten().slice(0, 0, 1).cpu();
}

model::Tensors batch_of(const model::Tensors& inputs, std::int64_t rows) {
  model::Tensors batch;
  for (const at::Tensor& input : inputs) {
    batch.push_back(
        input.index_select(0, at::arange(rows, at::kLong).remainder(input.size(0))).contiguous());
  }
  return batch;
}

struct Samples {
  std::vector<double> plain, chain;
  std::vector<std::vector<double>> segments;  // per segment, per repeat
};

double time_plain(const model::Backbone& backbone, const model::Tensors& batch) {
  const auto start = Clock::now();
  wait_for(backbone.run(batch));
  return milliseconds_since(start);
}

std::vector<double> time_segments(const model::SegmentChain& chain, const model::Tensors& batch) {
  std::vector<double> times;
  model::Tensors live = batch;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const auto start = Clock::now();
    live = chain.run(i, live);
    wait_for(live[0]);
    times.push_back(milliseconds_since(start));
  }
  return times;
}

Samples sample(const model::Backbone& backbone, const model::SegmentChain& chain,
               const model::Tensors& batch, const TimingPlan& plan) {
  for (std::int64_t i = 0; i < plan.warm_up; ++i) {
    time_plain(backbone, batch);
    time_segments(chain, batch);
  }
  Samples samples;
  samples.segments.resize(chain.size());
  const auto start = Clock::now();
  for (std::int64_t i = 0; i < plan.repeats; ++i) {
    cancel::throw_if_requested();
    if (samples.plain.size() >= kLeastRepeats &&
        milliseconds_since(start) > 1000 * plan.seconds_per_size) {
      break;
    }
    const bool plain_first = i % 2 == 0;
    if (plain_first) samples.plain.push_back(time_plain(backbone, batch));
    double all = 0;
    const std::vector<double> times = time_segments(chain, batch);
    for (std::size_t k = 0; k < times.size(); ++k) {
      samples.segments[k].push_back(times[k]);
      all += times[k];
    }
    samples.chain.push_back(all);
    if (!plain_first) samples.plain.push_back(time_plain(backbone, batch));
  }
  return samples;
}

// Per repeat, the time of the segments [from, to).
std::vector<double> sums(const Samples& samples, std::size_t from, std::size_t to) {
  std::vector<double> result(samples.plain.size(), 0);
  for (std::size_t k = from; k < to; ++k) {
    for (std::size_t i = 0; i < result.size(); ++i) result[i] += samples.segments[k][i];
  }
  return result;
}

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(std::floor(place));
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - std::floor(place));
}

}  // namespace

artifact::Timing summarise(std::int64_t batch, std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return {batch, quantile(samples, 0.5), quantile(samples, 0.1), quantile(samples, 0.9)};
}

void time_backbone(const model::Backbone& backbone, const model::Tensors& inputs,
                   const TimingPlan& plan, artifact::Profile& profile) {
  std::vector<std::string> names;
  for (const auto& candidate : backbone.candidates()) names.push_back(candidate.name);
  const model::SegmentChain chain = backbone.cut(names);
  Progress progress("timing", static_cast<std::int64_t>(plan.batch_sizes.size()), "batch sizes");
  for (const std::int64_t size : plan.batch_sizes) {
    const Samples samples = sample(backbone, chain, batch_of(inputs, size), plan);
    profile.plain.push_back(summarise(size, samples.plain));
    profile.chain.push_back(summarise(size, samples.chain));
    for (std::size_t k = 0; k < chain.size(); ++k) {
      profile.segments[k].timings.push_back(summarise(size, samples.segments[k]));
    }
    for (std::size_t k = 0; k < profile.candidates.size(); ++k) {
      profile.candidates[k].before.push_back(summarise(size, sums(samples, 0, k + 1)));
      profile.candidates[k].after.push_back(summarise(size, sums(samples, k + 1, chain.size())));
    }
    progress.advance();
  }
  progress.finish();
}

}  // namespace cachectl::profile
