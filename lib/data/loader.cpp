#include "data/loader.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace cachectl::data {
namespace {

constexpr std::int64_t kNamedWarnings = 5;  // bad samples that are named; then they are counted

bool is_bad_sample(const Error& error) {
  return error.code() == ExitCode::kCorrupt || error.code() == ExitCode::kCannotOpen;
}

// A sample as the model sees it; what the transform says of a bad one names it.
at::Tensor prepared(const Dataset& dataset, const Transform& transform, std::int64_t index) {
  const at::Tensor raw = dataset.read(index);
  try {
    return transform(raw);
  } catch (const Error& error) {
    if (!is_bad_sample(error)) throw;
    throw Error(error.code(), fmt::format("{}: {}", dataset.sample_name(index), error.what()));
  }
}

}  // namespace

struct BatchLoader::State {
  struct Outcome {
    Batch batch;
    std::exception_ptr error;
  };

  const Dataset& dataset;
  const Transform& transform;
  const std::vector<std::int64_t> indices;
  const LoaderOptions options;
  std::int64_t total = 0, window = 0;

  std::mutex mutex;
  std::condition_variable job_free, outcome_ready;
  std::int64_t next_job = 0, next_out = 0, skipped = 0, delivered = 0;
  bool stopping = false, reported = false;
  std::map<std::int64_t, Outcome> outcomes;
  std::vector<std::thread> threads;

  std::vector<std::int64_t> shape;  // of a sample; the consumer's own

  State(const Dataset& set, const Transform& way, std::vector<std::int64_t> which,
        LoaderOptions how)
      : dataset(set), transform(way), indices(std::move(which)), options(std::move(how)) {}

  const std::vector<std::int64_t>& pool() const {
    return options.pool.empty() ? indices : options.pool;
  }

  bool stopped() {
    const std::lock_guard lock(mutex);
    return stopping;
  }

  AugmentDraw draw_for(std::int64_t index) const {
    return draw_augmentation(options.augment, options.seed, options.view, dataset.id(index),
                             static_cast<std::int64_t>(pool().size()));
  }

  // One sample as the model sees it, flipped and shifted but not mixed.
  at::Tensor sample(std::int64_t index, const AugmentDraw& draw) const {
    at::Tensor input = prepared(dataset, transform, index);
    if (!options.augment.flip && options.augment.shift == 0) return input;
    return flip_and_shift(input.unsqueeze(0), {draw}).squeeze(0);
  }

  at::Tensor augmented(std::int64_t index, AugmentDraw& draw) const {
    at::Tensor input = sample(index, draw);
    if (draw.partner < 0) return input;
    draw.partner = pool().at(static_cast<std::size_t>(draw.partner));
    const at::Tensor other = sample(draw.partner, draw_for(draw.partner));
    require_shape(other.sizes().vec(), input.sizes().vec(), draw.partner);
    if (draw.patch) return paste(input, other, *draw.patch);
    return mix(input.unsqueeze(0), other.unsqueeze(0), {draw.weight}).squeeze(0);
  }

  void require_shape(const std::vector<std::int64_t>& found,
                     const std::vector<std::int64_t>& expected, std::int64_t index) const {
    if (found == expected) return;
    fail(
        ExitCode::kUsage,
        "{} is {} after the transform, those before it are {}: let data.transform bring all to one "
        "size (resize 256, center_crop 224)",
        dataset.sample_name(index), text::shape(found), text::shape(expected));
  }

  void skip(const Error& error) {
    std::int64_t count = 0;
    {
      const std::lock_guard lock(mutex);
      count = ++skipped;
    }
    if (count <= kNamedWarnings) log::warning("skipped: {}", error.what());
  }

  Batch make(std::int64_t number) {
    Batch batch;
    const std::int64_t begin = number * options.batch_size;
    const std::int64_t end =
        std::min(begin + options.batch_size, static_cast<std::int64_t>(indices.size()));
    std::vector<std::int64_t> sizes;
    std::size_t row = 0;  // bytes
    for (std::int64_t i = begin; i < end && !stopped(); ++i) {
      const std::int64_t index = indices[static_cast<std::size_t>(i)];
      AugmentDraw draw;
      at::Tensor input;
      try {
        draw = draw_for(index);
        input = augmented(index, draw);
      } catch (const Error& error) {
        if (!options.skip_bad || !is_bad_sample(error)) throw;
        skip(error);
        continue;
      }
      if (batch.ids.empty()) {
        sizes = input.sizes().vec();
        row = input.nbytes();
        std::vector<std::int64_t> all = sizes;
        all.insert(all.begin(), end - begin);
        batch.inputs = at::empty(all, input.scalar_type());
      }
      require_shape(input.sizes().vec(), sizes, index);
      std::memcpy(static_cast<char*>(batch.inputs.data_ptr()) + batch.ids.size() * row,
                  input.data_ptr(), row);
      batch.ids.push_back(dataset.id(index));
      batch.indices.push_back(index);
      batch.partners.push_back(draw.partner);
      batch.weights.push_back(draw.weight);
    }
    if (!batch.ids.empty() && batch.size() < end - begin) {
      batch.inputs = batch.inputs.narrow(0, 0, batch.size()).contiguous();
    }
    return batch;
  }

  void work() {
    while (true) {
      std::int64_t job = 0;
      {
        std::unique_lock lock(mutex);
        job_free.wait(
            lock, [&] { return stopping || next_job == total || next_job < next_out + window; });
        if (stopping || next_job == total) return;
        job = next_job++;
      }
      Outcome outcome;
      try {
        outcome.batch = make(job);
      } catch (...) {
        outcome.error = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      outcomes.emplace(job, std::move(outcome));
      outcome_ready.notify_one();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    job_free.notify_all();
    for (auto& thread : threads) thread.join();
    threads.clear();
  }

  // Waits for batch next_out; a signal ends the wait.
  Outcome take() {
    std::unique_lock lock(mutex);
    while (outcomes.count(next_out) == 0) {
      lock.unlock();
      cancel::throw_if_requested();
      lock.lock();
      outcome_ready.wait_for(lock, std::chrono::milliseconds(100),
                             [&] { return outcomes.count(next_out) > 0; });
    }
    Outcome outcome = std::move(outcomes.extract(next_out).mapped());
    ++next_out;
    job_free.notify_all();
    return outcome;
  }

  void report_end() {
    if (skipped == 0 || reported) return;
    reported = true;
    const auto asked = static_cast<std::int64_t>(indices.size());
    if (delivered == 0) {
      fail(ExitCode::kNothingProcessed, "{}: all {} samples are bad", dataset.name(), asked);
    }
    log::warning("{}: skipped {} bad samples of {}", dataset.name(), skipped, asked);
  }
};

BatchLoader::BatchLoader(const Dataset& dataset, const Transform& transform,
                         std::vector<std::int64_t> indices, LoaderOptions options)
    : state_(std::make_unique<State>(dataset, transform, std::move(indices), std::move(options))) {
  State& state = *state_;
  assert(state.options.batch_size > 0);
  const std::int64_t size = state.options.batch_size;
  state.total = (static_cast<std::int64_t>(state.indices.size()) + size - 1) / size;
  std::int64_t threads = state.options.threads;
  if (threads <= 0) threads = std::max(1U, std::thread::hardware_concurrency());
  threads = std::min(threads, state.total);
  state.window = std::max({state.options.prefetch, threads, std::int64_t{1}});
  for (std::int64_t i = 0; i < threads; ++i) {
    state.threads.emplace_back([&state] { state.work(); });
  }
}

BatchLoader::~BatchLoader() {
  state_->stop();
}

std::optional<Batch> BatchLoader::next() {
  State& state = *state_;
  cancel::throw_if_requested();
  while (state.next_out < state.total) {
    State::Outcome outcome = state.take();
    if (outcome.error) std::rethrow_exception(outcome.error);
    if (outcome.batch.ids.empty()) continue;
    std::vector<std::int64_t> shape = outcome.batch.inputs.sizes().vec();
    shape.erase(shape.begin());
    if (state.shape.empty()) state.shape = shape;
    state.require_shape(shape, state.shape, outcome.batch.indices.front());
    state.delivered += outcome.batch.size();
    return std::move(outcome.batch);
  }
  state.report_end();
  return std::nullopt;
}

std::int64_t BatchLoader::batches() const {
  return state_->total;
}

std::int64_t BatchLoader::skipped() const {
  const std::lock_guard lock(state_->mutex);
  return state_->skipped;
}

std::vector<std::int64_t> all_indices(const Dataset& dataset) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(dataset.size()));
  std::iota(indices.begin(), indices.end(), std::int64_t{0});
  return indices;
}

at::Tensor first_inputs(const Dataset& dataset, const Transform& transform, bool skip_bad) {
  constexpr std::int64_t kRows = 4;
  std::vector<std::int64_t> first = all_indices(dataset);
  LoaderOptions loading;
  loading.batch_size = kRows;
  loading.threads = 1;
  loading.prefetch = 1;
  loading.skip_bad = skip_bad;
  if (!skip_bad) first.resize(std::min<std::size_t>(first.size(), kRows));
  BatchLoader loader(dataset, transform, first, loading);
  const auto batch = loader.next();
  if (!batch) fail(ExitCode::kNothingProcessed, "{}: no sample", dataset.name());
  return batch->inputs;
}

std::vector<std::int64_t> input_shape(const Dataset& dataset, const Transform& transform,
                                      bool skip_bad) {
  const std::int64_t tries = skip_bad ? std::min<std::int64_t>(dataset.size(), 100) : 1;
  for (std::int64_t i = 0; i < tries; ++i) {
    try {
      return prepared(dataset, transform, i).sizes().vec();
    } catch (const Error& error) {
      if (!skip_bad || !is_bad_sample(error)) throw;
    }
  }
  fail(ExitCode::kNothingProcessed, "{}: all of the first {} samples are bad", dataset.name(),
       tries);
}

}  // namespace cachectl::data
