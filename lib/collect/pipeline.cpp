#include "collect/pipeline.h"

#include <ATen/ATen.h>

#include <cassert>
#include <chrono>
#include <cmath>
#include <exception>
#include <functional>
#include <thread>

#include "artifact/medial_codec.h"
#include "artifact/medial_deflate.h"
#include "base/bounded_queue.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/progress.h"

namespace cachectl::collect {
namespace {

constexpr double kSumSlack = 1e-3;       // of a distribution's sum, in float32
constexpr std::size_t kBlocksAhead = 2;  // that the writer may lag behind

using Clock = std::chrono::steady_clock;

// Adds the time it lives to a sum.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() { seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  const Clock::time_point start_ = Clock::now();
};

std::vector<std::string> names_of(const std::vector<artifact::MedialLayer>& layers) {
  std::vector<std::string> names;
  for (const auto& layer : layers) names.push_back(layer.name);
  return names;
}

std::vector<std::int64_t> block_shape(std::int64_t rows, const artifact::MedialLayer& layer) {
  std::vector<std::int64_t> sizes{rows};
  sizes.insert(sizes.end(), layer.shape.begin(), layer.shape.end());
  return sizes;
}

[[noreturn]] void refuse(const artifact::MedialLayer& layer, const artifact::BadValue& bad,
                         const std::string& sample) {
  if (std::isfinite(bad.value)) {
    fail(ExitCode::kCorrupt,
         "layer {}: sample {}: the activation {:g} is beyond {}; take --storage bfloat16 or "
         "float32",
         layer.name, sample, bad.value, io::name_of(layer.stored));
  }
  fail(ExitCode::kCorrupt,
       "layer {}: sample {}: the activation is {:g}; the backbone or its input is broken there, "
       "expected finite numbers",
       layer.name, sample, bad.value);
}

// Answers of the backbone, checked. raw: [rows, classes].
at::Tensor distribution(const model::Backbone& backbone, const at::Tensor& raw,
                        const std::function<std::string(std::int64_t)>& sample) {
  const at::Tensor pd = backbone.probabilities(raw).contiguous();
  const at::Tensor off = (pd.sum(1, false, at::kDouble) - 1).abs();
  // Written so that NaN fails.
  const at::Tensor proper = at::logical_and(off.le(kSumSlack), pd.ge(0).all(1));
  if (proper.all().item<bool>()) return pd;
  const std::int64_t row = proper.to(at::kByte).argmin().item<std::int64_t>();
  fail(ExitCode::kCorrupt,
       "{}: its output for sample {} is no distribution (it sums to {:g}); name what it gives with "
       "--output-kind",
       backbone.options().path, sample(row), pd[row].sum().item<double>());
}

class Recorder {
 public:
  Recorder(const model::Backbone& backbone, artifact::MedialWriter& writer,
           const data::Dataset& dataset)
      : backbone_(backbone),
        plan_(writer.plan()),
        dataset_(dataset),
        chain_(backbone.cut(names_of(plan_.layers))) {}

  // Runs the block's inputs through the backbone; fills `block`, whose memory is used again.
  void compute(const at::Tensor& inputs, std::int64_t first_row, artifact::MedialBlock& block,
               Timings& timings) const {
    const std::int64_t rows = inputs.size(0);
    const auto sample = [&](std::int64_t row) { return describe_row(first_row + row); };
    block.activations.resize(plan_.layers.size());
    block.clipped.assign(plan_.layers.size(), 0);
    model::Tensors live = {inputs};
    for (std::size_t i = 0; i < plan_.layers.size(); ++i) {
      {
        const Stopwatch watch(timings.backbone);
        live = chain_.run(i, live);
      }
      const Stopwatch watch(timings.conversion);
      const artifact::MedialLayer& layer = plan_.layers[i];
      at::Tensor& out = block.activations[i];
      if (!out.defined() || out.size(0) != rows) {
        out = at::empty(block_shape(rows, layer), artifact::scalar_type_of(layer.stored));
      }
      if (const auto bad = artifact::encode(live.front(), layer, out, block.clipped[i])) {
        refuse(layer, *bad, sample(bad->row));
      }
    }
    const Stopwatch watch(timings.backbone);
    live = chain_.run(plan_.layers.size(), live);
    block.pd = distribution(backbone_, live.front(), sample);
  }

 private:
  std::string describe_row(std::int64_t row) const {
    const auto at = static_cast<std::size_t>(row);
    const std::int32_t view = plan_.rows.views.at(at);
    return fmt::format("{:016x}{} of {}", plan_.rows.ids.at(at),
                       view == 0 ? "" : fmt::format(" (augmented view {})", view), dataset_.name());
  }

  const model::Backbone& backbone_;
  const artifact::MedialPlan& plan_;
  const data::Dataset& dataset_;
  const model::SegmentChain chain_;
};

// Writes blocks in a thread of its own, in their order.
class WriterThread {
 public:
  WriterThread(artifact::MedialWriter& writer, double& seconds)
      : writer_(writer), seconds_(seconds), full_(kBlocksAhead), empty_(kBlocksAhead + 1) {
    for (std::size_t i = 0; i < kBlocksAhead + 1; ++i) empty_.push({});
    thread_ = std::thread([this] { work(); });
  }
  ~WriterThread() { join(); }
  WriterThread(const WriterThread&) = delete;
  WriterThread& operator=(const WriterThread&) = delete;

  // A block whose memory may be used again; rethrows what writing threw.
  artifact::MedialBlock take() {
    auto block = empty_.pop();
    if (!block) finish();
    assert(block);
    return std::move(*block);
  }
  void give(artifact::MedialBlock block) { full_.push(std::move(block)); }
  // Waits until all is written; rethrows what writing threw.
  void finish() {
    join();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void work() {
    try {
      while (auto block = full_.pop()) {
        {
          const Stopwatch watch(seconds_);
          writer_.write_block(*block);
        }
        empty_.push(std::move(*block));
      }
    } catch (...) {
      error_ = std::current_exception();
      full_.close();
    }
    empty_.close();
  }
  void join() {
    full_.close();
    if (thread_.joinable()) thread_.join();
  }

  artifact::MedialWriter& writer_;
  double& seconds_;
  BoundedQueue<artifact::MedialBlock> full_, empty_;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace

Timings record_rows(const model::Backbone& backbone, InputStream& inputs,
                    artifact::MedialWriter& writer, const data::Dataset& dataset) {
  Timings timings;
  const artifact::MedialPlan& plan = writer.plan();
  const Recorder recorder(backbone, writer, dataset);
  std::int64_t row = 0;
  for (std::int64_t i = 0; i < writer.blocks_done(); ++i) row += plan.blocks[std::size_t(i)];
  Progress progress("collect", plan.rows.size(), "rows");
  progress.skip(row);
  const std::int64_t first_block = writer.blocks_done();
  {
    const Stopwatch watch(timings.total);
    WriterThread writing(writer, timings.writing);
    for (auto number = static_cast<std::size_t>(first_block); number < plan.blocks.size();
         ++number) {
      cancel::throw_if_requested();
      artifact::MedialBlock block;
      {
        const Stopwatch wait(timings.waiting);
        block = writing.take();
      }
      at::Tensor batch;
      {
        const Stopwatch wait(timings.inputs);
        batch = inputs.next(plan.blocks[number]);
      }
      recorder.compute(batch, row, block, timings);
      writing.give(std::move(block));
      row += plan.blocks[number];
      progress.advance(plan.blocks[number]);
    }
    const Stopwatch wait(timings.waiting);
    writing.finish();
  }
  progress.finish();
  return timings;
}

double probe(const model::Backbone& backbone, InputStream& inputs, std::int64_t rows,
             std::int64_t rows_per_block, int deflate, bool set_scales,
             std::vector<artifact::MedialLayer>& layers) {
  const model::SegmentChain chain = backbone.cut(names_of(layers));
  std::vector<at::Tensor> low(layers.size()), high(layers.size()), first(layers.size());
  for (std::int64_t row = 0; row < rows; row += rows_per_block) {
    cancel::throw_if_requested();
    model::Tensors live = {inputs.next(std::min(rows_per_block, rows - row))};
    for (std::size_t i = 0; i < layers.size(); ++i) {
      live = chain.run(i, live);
      if (row == 0 && deflate > 0) first[i] = live.front();
      const auto [least, greatest] = artifact::activation_range(live.front(), layers[i]);
      low[i] = row == 0 ? least : at::minimum(low[i], least);
      high[i] = row == 0 ? greatest : at::maximum(high[i], greatest);
    }
  }
  for (std::size_t i = 0; set_scales && i < layers.size(); ++i) {
    if (!at::isfinite(low[i] + high[i]).all().item<bool>()) {
      fail(ExitCode::kCorrupt, "layer {}: NaN or infinite activations among the first {} samples",
           layers[i].name, rows);
    }
    artifact::set_scale(layers[i], low[i], high[i]);
  }
  if (deflate == 0) return 1;
  double packed = 0, stored = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    at::Tensor out = at::empty(first[i].sizes(), artifact::scalar_type_of(layers[i].stored));
    std::int64_t clipped = 0;
    if (artifact::encode(first[i], layers[i], out, clipped)) continue;  // refused when recorded
    const std::int64_t row_bytes = layers[i].row_bytes();
    for (const auto& chunk :
         artifact::deflate_rows(static_cast<const char*>(out.data_ptr()), out.size(0), row_bytes,
                                artifact::rows_per_chunk(rows_per_block, row_bytes),
                                io::size_of(layers[i].stored), deflate, 1)) {
      packed += static_cast<double>(chunk.size());
    }
    stored += static_cast<double>(out.nbytes());
  }
  return stored > 0 ? packed / stored : 1;
}

}  // namespace cachectl::collect
