#include "select/measured_cost.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>

#include "base/cancel.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/text.h"
#include "model/cache_model.h"

namespace cachectl::select {
namespace {

// Milliseconds; the median of as many runs as fit a tenth of a second, at least 7.
template <class Body>
double median_ms(Body body) {
  using Clock = std::chrono::steady_clock;
  constexpr int kWarmUp = 3;
  constexpr std::size_t kLeast = 7, kMost = 200;
  constexpr double kBudgetMs = 100;
  for (int i = 0; i < kWarmUp; ++i) body();
  std::vector<double> times;
  double spent = 0;
  while (times.size() < kLeast || (times.size() < kMost && spent < kBudgetMs)) {
    const auto start = Clock::now();
    body();
    const std::chrono::duration<double, std::milli> took = Clock::now() - start;
    times.push_back(took.count());
    spent += took.count();
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
}

// Of every cache model the profile's candidate it reads, as an index; rising.
std::vector<std::size_t> places(const artifact::Profile& profile, const artifact::Caches& caches) {
  std::vector<std::size_t> places;
  for (const auto& cache : caches.caches) {
    const auto* candidate = &profile.candidate(cache.layer);
    if (candidate->shape != cache.input_shape) {
      fail(ExitCode::kIncompatible,
           "the profile has activations of {} at {}, the cache model there reads {}: profile the "
           "backbone with inputs of the size that was collected",
           text::shape(candidate->shape), cache.layer, text::shape(cache.input_shape));
    }
    const auto place = static_cast<std::size_t>(candidate - profile.candidates.data());
    if (!places.empty() && place <= places.back()) {
      fail(ExitCode::kCorrupt, "cache models out of order: {} stands behind {}", cache.layer,
           profile.candidates[places.back()].name);
    }
    places.push_back(place);
  }
  return places;
}

decision::Timing sum_of(const std::vector<decision::Timing>& segments, std::size_t from,
                        std::size_t to) {
  decision::Timing total = segments[from];
  for (std::size_t s = from + 1; s < to; ++s) {
    for (std::size_t i = 0; i < total.batch.size(); ++i) {
      total.seconds[i] += segments[s].at(total.batch[i]);
    }
  }
  return total;
}

decision::Timing timing_of(std::vector<artifact::Timing> measured) {  // in any order
  std::sort(measured.begin(), measured.end(),
            [](const auto& a, const auto& b) { return a.batch < b.batch; });
  decision::Timing timing;
  for (const auto& one : measured) {
    timing.batch.push_back(one.batch);
    timing.seconds.push_back(one.median_ms * 1e-3);
  }
  return timing;
}

}  // namespace

void require_order(const artifact::Profile& profile, const artifact::Caches& caches) {
  places(profile, caches);
}

decision::CostModel flops_model(const artifact::Profile& profile, const artifact::Caches& caches,
                                std::size_t samples) {
  places(profile, caches);
  std::vector<double> before, look_up;
  for (const auto& cache : caches.caches) {
    before.push_back(profile.candidate(cache.layer).flops_before);
    look_up.push_back(cache.flops);
  }
  return decision::flops_cost(samples, before, profile.flops, look_up);
}

std::vector<decision::Timing> time_look_ups(const artifact::Caches& caches, std::int64_t largest,
                                            const std::string& device) {
  const c10::InferenceMode no_gradients;
  std::vector<decision::Timing> timings;
  Progress progress("timing", static_cast<std::int64_t>(caches.caches.size()), "cache models");
  for (const auto& cache : caches.caches) {
    const auto model =
        artifact::predictor_of(cache, caches.classes, cache.layer, "float32", device);
    decision::Timing timing;
    for (std::int64_t size = 1;; size = std::min(2 * size, largest)) {
      cancel::throw_if_requested();
      std::vector<std::int64_t> shape = {size};
      shape.insert(shape.end(), cache.input_shape.begin(), cache.input_shape.end());
      const at::Tensor activations = at::rand(shape).to(at::Device(device));
      at::Tensor prior;
      if (model->takes_prior()) prior = at::rand({size, caches.classes}).to(at::Device(device));
      double ms = median_ms([&] { model->logits(activations, prior).cpu(); });
      if (size > 1) {
        const at::Tensor rows = at::arange(0, size, 2, at::kLong).to(at::Device(device));
        ms += median_ms([&] { activations.index_select(0, rows); });
      }
      timing.batch.push_back(size);
      timing.seconds.push_back(ms * 1e-3);
      if (size >= largest) break;
    }
    timings.push_back(std::move(timing));
    progress.advance();
  }
  return timings;
}

decision::CostModel latency_model(const artifact::Profile& profile, const artifact::Caches& caches,
                                  const std::vector<decision::Timing>& look_ups,
                                  std::size_t samples, std::int64_t batch) {
  std::vector<decision::Timing> segments;
  for (const auto& segment : profile.segments) segments.push_back(timing_of(segment.timings));
  const decision::Timing plain = timing_of(profile.plain);
  const bool timed =
      !plain.batch.empty() && std::none_of(segments.begin(), segments.end(),
                                           [](const auto& timing) { return timing.batch.empty(); });
  if (!timed) {
    fail(ExitCode::kIncompatible,
         "the profile has no timings; --cost latency needs them: run cachectl-profile with batch "
         "sizes, or take --cost flops");
  }
  for (auto& segment : segments) {
    for (std::size_t i = 0; i < segment.batch.size(); ++i) {
      double together = 0;
      for (const auto& each : profile.segments) {
        together += timing_of(each.timings).at(segment.batch[i]);
      }
      segment.seconds[i] *= plain.at(segment.batch[i]) / together;
    }
  }
  std::vector<decision::Timing> between;
  std::size_t done = 0;
  for (const std::size_t place : places(profile, caches)) {
    between.push_back(sum_of(segments, done, place + 1));
    done = place + 1;
  }
  between.push_back(sum_of(segments, done, segments.size()));
  return decision::latency_cost(samples, batch, between, look_ups);
}

}  // namespace cachectl::select
