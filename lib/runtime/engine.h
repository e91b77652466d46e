#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "artifact/plan.h"
#include "base/options.h"
#include "model/backbone.h"
#include "model/cache_model.h"
#include "runtime/rows.h"

// The cache-enabled model: a backbone and a plan. Samples leave at the first exit whose
// cache model is confident enough; nothing but inference happens here.
namespace cachectl::runtime {

struct EngineOptions {
  // How the backbone is loaded: path, precision, device... (`path` may be left to open()).
  model::BackboneOptions backbone;
  std::string cache_precision = "float32";  // of the cache models: float32, bfloat16
  // false: every exit and the backbone answer for every sample, and the batch stays whole.
  bool shrink = true;
  // A batch is shrunk when the FLOPs that the answered rows would still cost exceed this
  // many per byte that would be copied. A core here copies about 5 GB/s and computes
  // about 50 GFLOP/s. 0: always.
  double flops_per_copied_byte = 10;
  bool self_test = true;  // replay the plan's samples at load
};
// --backbone and its section, --cache-precision, --shrink.
void describe(OptionTable& table, EngineOptions& options);

struct Answer {
  std::int64_t sample = 0;       // row of the batch; with stages, the number given in Rows
  std::int32_t label = 0;        // the predicted class
  float confidence = 0;          // its probability
  const float* probabilities{};  // [classes]; valid during the callback
  std::int64_t classes = 0;
  std::size_t exit = 0;     // by depth; Engine::exits(plan).size(): the backbone
  bool hit = true;          // without shrinking: whether a shrinking batch would answer here
  double milliseconds = 0;  // since the start of the batch
};
// Called on the thread that called infer(), in order of depth. What it throws ends the batch.
using OnAnswer = std::function<void(const Answer&)>;

// An answer with its own memory.
struct Result {
  std::int32_t label = 0;
  float confidence = 0;
  std::vector<float> probabilities;
  std::size_t exit = 0;
  double milliseconds = 0;
};

// What one stage did: a segment of the backbone and the exit behind it, if any.
struct StageStats {
  std::int64_t rows_in = 0;   // rows that ran through the segment
  std::int64_t reach = 0;     // of them without an answer yet
  std::int64_t hits = 0;      // answered here; for the last stage, by the backbone
  std::int64_t rows_out = 0;  // rows handed on
  std::int64_t copied_bytes = 0;
  double flops = 0;
  double milliseconds = 0;
};

struct BatchStats {
  std::vector<StageStats> stages;  // exits + 1; those that no row reached are zero
  double milliseconds = 0;
  double flops() const;
  BatchStats& operator+=(const BatchStats& other);  // of batches under one plan
};

// One exit: a cache model and from which confidence on it answers.
struct Exit {
  std::string layer;  // the candidate whose activation it reads
  std::shared_ptr<const model::Predictor> predictor;
  float threshold = 1;  // answers where confidence >= threshold
  double temperature = 1;
  std::string architecture;  // for people
  // Of a predictor that takes a prior: the layer of the exit in front that gives it.
  std::string prior = {};
};

struct EnginePlan {
  std::int64_t batch = 0;   // the batch size it is meant for; 0: any
  std::vector<Exit> exits;  // in order of depth; empty: the backbone alone
};

// The cache model that a file holds, ready to be asked. Throws Error(kIncompatible) when the
// weights don't fit the architecture. where: how messages call the file.
std::shared_ptr<const model::Predictor> predictor_of(const artifact::TrainedCache& cache,
                                                     std::int64_t classes,
                                                     const EngineOptions& options,
                                                     const std::string& where);

// Immutable once made: every member may be called from several threads at once,
// each with a batch of its own. Any batch size: kernels are made for pieces of up to 64 rows,
// eighteen for each layer, when they are first met, and all sizes run on these from then on.
class Engine {
 public:
  // Reads both files and replays the self-test. Throws Error: what Backbone::load and
  // read_plan throw, kIncompatible for a plan of another backbone or a failed self-test.
  static Engine open(const std::string& backbone, const std::string& plan,
                     const EngineOptions& options = {});
  // plan_name: how messages call the plan. Warns where the precisions are not those of its
  // certificates.
  Engine(std::shared_ptr<const model::Backbone> backbone, const artifact::PlanFile& plan,
         const std::string& plan_name, const EngineOptions& options = {});
  // Plans of one's own, with any kind of cache model; ascending batch. None: the
  // backbone alone. Throws Error(kUsage) for exits out of order, for other classes, or
  // where the exit in front is not the one whose logits are taken.
  explicit Engine(std::shared_ptr<const model::Backbone> backbone,
                  std::vector<EnginePlan> plans = {}, const EngineOptions& options = {});
  ~Engine();
  Engine(Engine&&) noexcept;

  // One plan under other thresholds, one per exit. Shares the prepared segments.
  Engine with_thresholds(std::size_t plan, const std::vector<float>& thresholds) const;

  // Makes the kernels that batches of up to `largest` samples and what is left of them can ask for,
  // by running some, so that no later batch waits for one. For this thread's number of threads.
  void warm_up(std::int64_t largest) const;

  const model::Backbone& backbone() const;
  std::int64_t classes() const;
  std::size_t plans() const;                       // at least one
  std::size_t plan_for(std::int64_t batch) const;  // the one that infer() takes
  const EnginePlan& plan(std::size_t index) const;
  const std::vector<Exit>& exits(std::size_t plan) const { return this->plan(plan).exits; }
  const std::string& exit_name(std::size_t plan, std::size_t exit) const;  // or "backbone"
  // Per sample: the segment in front of an exit (exits(): the one to the output), C1.
  double segment_flops(std::size_t plan, std::size_t exit) const;
  double cache_flops(std::size_t plan, std::size_t exit) const;
  // Of the weights in use, at the precision they run in.
  std::int64_t backbone_bytes() const;
  std::int64_t cache_bytes(std::size_t plan) const;

  // inputs: forward's arguments, dimension 0 the samples (none is allowed: no answers).
  // Answers each sample once, as soon as its exit resolves it; without shrinking, once
  // per exit and once by the backbone.
  BatchStats infer(const model::Tensors& inputs, const OnAnswer& on_answer) const;
  BatchStats infer(const at::Tensor& inputs, const OnAnswer& on_answer) const;
  // The answers in order of the rows (the ones that are hits).
  std::vector<Result> infer(const at::Tensor& inputs) const;
  // As infer() under a plan of the caller's choice.
  BatchStats infer_with(std::size_t plan, const model::Tensors& inputs,
                        const OnAnswer& on_answer) const;

  // Stage by stage, for callers that merge the rows of several batches in between.
  // stages = exits + 1. Runs the segment, asks the cache model, answers the hits and
  // leaves in `rows` what goes on: nothing behind the last stage.
  std::size_t stages(std::size_t plan) const;
  using Clock = std::chrono::steady_clock;
  StageStats run_stage(std::size_t plan, std::size_t stage, Rows& rows, const OnAnswer& on_answer,
                       Clock::time_point start = Clock::now()) const;

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  void make(std::vector<EnginePlan> plans);
  std::unique_ptr<State> state_;
};

}  // namespace cachectl::runtime
