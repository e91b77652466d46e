#include "collect/pipeline.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <exception>
#include <functional>
#include <thread>
#include <utility>

#include "artifact/medial_codec.h"
#include "artifact/medial_deflate.h"
#include "base/bounded_queue.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/progress.h"
#include "model/threads.h"

namespace cachectl::collect {
namespace {

constexpr double kSumSlack = 1e-3;  // of a distribution's sum, in float32

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
  names.reserve(layers.size());
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
  at::Tensor pd = backbone.probabilities(raw).contiguous();
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

// Runs inputs through the backbone, all layers cut.
class Recorder {
 public:
  Recorder(const model::Backbone& backbone, const artifact::MedialPlan& plan,
           const data::Dataset& dataset)
      : backbone_(backbone),
        plan_(plan),
        dataset_(dataset),
        chain_(backbone.cut(names_of(plan.layers))) {}

  // give(part, values): the activation of each layer as soon as it is there, then, as part
  // layers(), the backbone's answers.
  template <class Give>
  void compute(const at::Tensor& inputs, std::int64_t first_row, double& seconds, Give give) const {
    model::Tensors live = {inputs};
    for (std::size_t i = 0; i <= layers(); ++i) {
      {
        const Stopwatch watch(seconds);
        live = chain_.run(i, live);
      }
      if (i < layers()) give(i, live.front());
    }
    give(layers(), distribution(backbone_, live.front(),
                                [&](std::int64_t row) { return describe_row(first_row + row); }));
  }

  std::size_t layers() const { return plan_.layers.size(); }
  std::string describe_row(std::int64_t row) const {
    const auto at = static_cast<std::size_t>(row);
    const std::int32_t view = plan_.rows.views.at(at);
    return fmt::format("{:016x}{} of {}", plan_.rows.ids.at(at),
                       view == 0 ? "" : fmt::format(" (augmented view {})", view), dataset_.name());
  }

 private:
  const model::Backbone& backbone_;
  const artifact::MedialPlan& plan_;
  const data::Dataset& dataset_;
  const model::SegmentChain chain_;
};

// Converts what the recorder gives and writes it block by block, in a thread of its own.
class WriterThread {
 public:
  WriterThread(artifact::MedialWriter& writer, const Recorder& recorder, std::int64_t first_row,
               Timings& timings)
      : writer_(writer),
        recorder_(recorder),
        row_(first_row),
        timings_(timings),
        parts_(recorder.layers() + 1) {  // the writer may lag a block behind
    thread_ = std::thread([this] { work(); });
  }
  ~WriterThread() { join(); }
  WriterThread(const WriterThread&) = delete;
  WriterThread& operator=(const WriterThread&) = delete;

  // Of one block after the other, in the recorder's order; rethrows what writing threw.
  void give(std::size_t part, at::Tensor values) {
    if (!parts_.push({part, std::move(values)})) finish();
  }
  // Waits until all is written; rethrows what writing threw.
  void finish() {
    join();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  struct Part {
    std::size_t number = 0;
    at::Tensor values;
  };

  void work() {
    model::set_threads_here(1);
    try {
      while (const auto part = parts_.pop()) {
        if (part->number < recorder_.layers()) {
          convert(part->number, part->values);
          continue;
        }
        block_.pd = part->values;
        const Stopwatch watch(timings_.writing);
        writer_.write_block(block_);
        row_ += block_.pd.size(0);
      }
    } catch (...) {
      error_ = std::current_exception();
      parts_.close();
    }
  }
  // Into the block, whose memory is used again.
  void convert(std::size_t number, const at::Tensor& values) {
    const Stopwatch watch(timings_.conversion);
    const artifact::MedialLayer& layer = writer_.plan().layers[number];
    block_.activations.resize(recorder_.layers());
    block_.clipped.resize(recorder_.layers());
    block_.clipped[number] = 0;
    at::Tensor& out = block_.activations[number];
    if (!out.defined() || out.size(0) != values.size(0)) {
      out = at::empty(block_shape(values.size(0), layer), artifact::scalar_type_of(layer.stored));
    }
    if (const auto bad = artifact::encode(values, layer, out, block_.clipped[number])) {
      refuse(layer, *bad, recorder_.describe_row(row_ + bad->row));
    }
  }
  void join() {
    parts_.close();
    if (thread_.joinable()) thread_.join();
  }

  artifact::MedialWriter& writer_;
  const Recorder& recorder_;
  std::int64_t row_;  // the block's first
  Timings& timings_;
  artifact::MedialBlock block_;
  BoundedQueue<Part> parts_;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace

Timings record_rows(const model::Backbone& backbone, InputStream& inputs,
                    artifact::MedialWriter& writer, const data::Dataset& dataset) {
  Timings timings;
  const artifact::MedialPlan& plan = writer.plan();
  const Recorder recorder(backbone, plan, dataset);
  std::int64_t row = 0;
  for (std::int64_t i = 0; i < writer.blocks_done(); ++i) row += plan.blocks[std::size_t(i)];
  Progress progress("collect", plan.rows.size(), "rows");
  progress.skip(row);
  const std::int64_t first_block = writer.blocks_done();
  {
    const Stopwatch watch(timings.total);
    WriterThread writing(writer, recorder, row, timings);
    for (auto number = static_cast<std::size_t>(first_block); number < plan.blocks.size();
         ++number) {
      cancel::throw_if_requested();
      at::Tensor batch;
      {
        const Stopwatch wait(timings.inputs);
        batch = inputs.next(plan.blocks[number]);
      }
      recorder.compute(batch, row, timings.backbone, [&](std::size_t part, at::Tensor values) {
        const Stopwatch wait(timings.waiting);
        writing.give(part, std::move(values));
      });
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
