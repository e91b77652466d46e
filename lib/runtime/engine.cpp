#include "runtime/engine.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "model/confidence.h"
#include "runtime/look_up.h"
#include "runtime/self_test.h"

namespace cachectl::runtime {

namespace {

// A plan made ready: the segments between its exits, and the exits.
struct Prepared {
  model::SegmentChain chain;
  std::vector<std::shared_ptr<const LookUp>> look_ups;
  std::vector<ExitInfo> exits;
  std::vector<double> segment_flops;  // exits + 1, per sample
};

// The place of each layer among the backbone's candidates, rising.
std::vector<std::size_t> places_of(const model::Backbone& backbone,
                                   const std::vector<std::string>& layers,
                                   const std::string& plan_name) {
  std::vector<std::size_t> places;
  for (const std::string& layer : layers) {
    const model::Candidate& wanted = backbone.candidate(layer);
    const auto& all = backbone.candidates();
    const auto place =
        std::find_if(all.begin(), all.end(),
                     [&](const auto& candidate) { return candidate.name == wanted.name; });
    places.push_back(static_cast<std::size_t>(place - all.begin()));
    if (places.size() > 1 && places.back() <= places[places.size() - 2]) {
      fail(ExitCode::kCorrupt, "{}: exit '{}' does not lie behind '{}' in the backbone", plan_name,
           layer, layers[places.size() - 2]);
    }
  }
  return places;
}

void require_shape(const artifact::TrainedCache& cache, const model::Candidate& candidate,
                   const std::string& plan_name) {
  if (cache.input_shape == candidate.shape) return;
  fail(ExitCode::kIncompatible,
       "{}: the cache model of '{}' reads activations of {}, the backbone gives {} there for the "
       "inputs at hand",
       plan_name, cache.layer, text::shape(cache.input_shape), text::shape(candidate.shape));
}

Prepared prepare(const model::Backbone& backbone, const artifact::PlanFile& file,
                 const artifact::Plan& plan, const std::string& plan_name,
                 const EngineOptions& options,
                 std::vector<std::shared_ptr<const LookUp>>& made) {
  std::vector<std::string> layers;
  for (const artifact::Exit& exit : plan.exits) {
    layers.push_back(file.caches.at(static_cast<std::size_t>(exit.cache)).layer);
  }
  const std::vector<std::size_t> places = places_of(backbone, layers, plan_name);
  Prepared prepared{backbone.cut(layers), {}, {}, {}};
  std::size_t from = 0;
  for (std::size_t e = 0; e <= layers.size(); ++e) {
    const std::size_t to = e < layers.size() ? places[e] + 1 : backbone.costs().size();
    double flops = 0;
    for (std::size_t part = from; part < to; ++part) flops += backbone.costs()[part].flops();
    prepared.segment_flops.push_back(flops);
    from = to;
  }
  for (std::size_t e = 0; e < layers.size(); ++e) {
    const auto index = static_cast<std::size_t>(plan.exits[e].cache);
    const artifact::TrainedCache& cache = file.caches[index];
    require_shape(cache, backbone.candidates()[places[e]], plan_name);
    if (made[index] == nullptr) {
      made[index] =
          make_look_up(cache, file.classes, options.cache_precision, options.backbone.device);
    }
    prepared.look_ups.push_back(made[index]);
    ExitInfo info;
    info.layer = cache.layer;
    info.architecture = cache.architecture;
    info.threshold = static_cast<float>(plan.exits[e].threshold);
    info.temperature = cache.calibration.temperature;
    info.segment_flops = prepared.segment_flops[e];
    info.cache_flops = made[index]->flops();
    prepared.exits.push_back(std::move(info));
  }
  return prepared;
}

std::int64_t bytes_per_row(const model::Tensors& live) {
  std::int64_t bytes = 0;
  for (const at::Tensor& tensor : live) {
    bytes += static_cast<std::int64_t>(tensor.nbytes()) / std::max<std::int64_t>(1, tensor.size(0));
  }
  return bytes;
}

double milliseconds_since(Engine::Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Engine::Clock::now() - start).count();
}

}  // namespace

struct Engine::State {
  std::shared_ptr<const model::Backbone> backbone;
  artifact::PlanFile file;
  EngineOptions options;
  std::vector<Prepared> plans;  // as file.plans
  std::string last = "backbone";
};

double BatchStats::flops() const {
  double sum = 0;
  for (const StageStats& stage : stages) sum += stage.flops;
  return sum;
}

BatchStats& BatchStats::operator+=(const BatchStats& other) {
  if (stages.empty()) stages.resize(other.stages.size());
  assert(stages.size() == other.stages.size());
  for (std::size_t s = 0; s < stages.size(); ++s) {
    stages[s].rows_in += other.stages[s].rows_in;
    stages[s].reach += other.stages[s].reach;
    stages[s].hits += other.stages[s].hits;
    stages[s].rows_out += other.stages[s].rows_out;
    stages[s].copied_bytes += other.stages[s].copied_bytes;
    stages[s].flops += other.stages[s].flops;
    stages[s].milliseconds += other.stages[s].milliseconds;
  }
  milliseconds += other.milliseconds;
  return *this;
}

void describe(OptionTable& table, EngineOptions& options) {
  describe(table, options.backbone);
  table.section("engine");
  table.value("cache_precision", &options.cache_precision, "number format of the cache models")
      .choices({"float32", "bfloat16"});
  table.value("shrink", &options.shrink,
              "take answered samples out of the batch; off: every exit answers for every sample");
  table
      .value("flops_per_copied_byte", &options.flops_per_copied_byte,
             "shrink a batch when it saves more FLOPs than this per byte copied; 0: always")
      .range(0, 1e9)
      .only_in_yaml();
}

Engine Engine::open(const std::string& backbone, const std::string& plan,
                    const EngineOptions& options) {
  artifact::PlanFile file = artifact::read_plan(plan);
  model::BackboneOptions backbone_options = options.backbone;
  backbone_options.path = backbone;
  return Engine(model::Backbone::load(backbone_options, {file.self_test_inputs}), std::move(file),
                plan, options);
}

Engine::Engine(std::shared_ptr<const model::Backbone> backbone, const EngineOptions& options)
    : state_(std::make_unique<State>()) {
  state_->backbone = std::move(backbone);
  state_->options = options;
  state_->file.backbone_hash = state_->backbone->hash();
  state_->file.classes = state_->backbone->num_classes();
  state_->file.plans.resize(1);
  std::vector<std::shared_ptr<const LookUp>> none;
  state_->plans.push_back(prepare(*state_->backbone, state_->file, state_->file.plans[0],
                                  "empty plan", options, none));
}

Engine::Engine(std::shared_ptr<const model::Backbone> backbone, artifact::PlanFile plan,
               const std::string& plan_name, const EngineOptions& options)
    : state_(std::make_unique<State>()) {
  if (plan.backbone_hash != backbone->hash()) {
    fail(ExitCode::kIncompatible,
         "{}: made for the backbone {:.12}, but {} is {:.12}; select again for this backbone, or "
         "name the one it was made for",
         plan_name, plan.backbone_hash, backbone->options().path, backbone->hash());
  }
  if (plan.classes != backbone->num_classes()) {
    fail(ExitCode::kIncompatible, "{}: for {} classes, but {} has {}", plan_name, plan.classes,
         backbone->options().path, backbone->num_classes());
  }
  state_->backbone = std::move(backbone);
  state_->file = std::move(plan);
  state_->options = options;
  std::vector<std::shared_ptr<const LookUp>> made(state_->file.caches.size());
  for (const artifact::Plan& each : state_->file.plans) {
    state_->plans.push_back(
        prepare(*state_->backbone, state_->file, each, plan_name, options, made));
  }
  if (options.self_test) replay_self_test(*this, state_->file, plan_name);
}

Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;

const model::Backbone& Engine::backbone() const { return *state_->backbone; }
std::int64_t Engine::classes() const { return state_->file.classes; }
std::size_t Engine::plans() const { return state_->plans.size(); }
const artifact::Plan& Engine::plan(std::size_t index) const { return state_->file.plans.at(index); }
std::size_t Engine::plan_for(std::int64_t batch) const {
  if (plans() == 1) return 0;
  return static_cast<std::size_t>(&state_->file.plan_for(batch) - state_->file.plans.data());
}
const std::vector<ExitInfo>& Engine::exits(std::size_t plan) const {
  return state_->plans.at(plan).exits;
}
const std::string& Engine::exit_name(std::size_t plan, std::size_t exit) const {
  const auto& all = exits(plan);
  return exit < all.size() ? all[exit].layer : state_->last;
}
std::size_t Engine::stages(std::size_t plan) const { return state_->plans.at(plan).chain.size(); }

std::int64_t Engine::backbone_bytes() const {
  std::int64_t bytes = 0;
  for (const model::SegmentCost& cost : state_->backbone->costs()) bytes += cost.weight_bytes;
  return bytes;
}

std::int64_t Engine::cache_bytes(std::size_t plan) const {
  std::int64_t bytes = 0;
  for (const auto& look_up : state_->plans.at(plan).look_ups) bytes += look_up->bytes();
  return bytes;
}

namespace {

// Answers of the last stage: the backbone's own. logits or probabilities, [rows, classes].
std::int64_t answer_rest(const at::Tensor& raw, const at::Tensor& probabilities, const Rows& rows,
                         bool everyone, Answer answer, Engine::Clock::time_point start,
                         const OnAnswer& on_answer) {
  std::int64_t hits = 0;
  for (std::size_t row = 0; row < rows.samples.size(); ++row) {
    answer.hit = rows.waits(row);
    if (!answer.hit && !everyone) continue;
    const auto offset = static_cast<std::int64_t>(row) * answer.classes;
    const float* const values = raw.data_ptr<float>() + offset;
    answer.sample = rows.sample(row);
    answer.label =
        static_cast<std::int32_t>(std::max_element(values, values + answer.classes) - values);
    answer.probabilities = probabilities.data_ptr<float>() + offset;
    answer.confidence = answer.probabilities[answer.label];
    answer.milliseconds = milliseconds_since(start);
    hits += answer.hit ? 1 : 0;
    on_answer(answer);
  }
  return hits;
}

// Answers of one exit. Marks the rows that leave.
std::int64_t answer_hits(const at::Tensor& logits, const ExitInfo& exit, Rows& rows, bool everyone,
                         Answer answer, Engine::Clock::time_point start,
                         const OnAnswer& on_answer) {
  std::vector<float> probabilities(static_cast<std::size_t>(answer.classes));
  answer.probabilities = probabilities.data();
  std::int64_t hits = 0;
  for (std::size_t row = 0; row < rows.samples.size(); ++row) {
    if (!rows.waits(row) && !everyone) continue;
    const float* const values =
        logits.data_ptr<float>() + static_cast<std::int64_t>(row) * answer.classes;
    const model::Decision decision = model::decide(values, answer.classes, exit.temperature);
    answer.hit = rows.waits(row) && decision.confidence >= exit.threshold;
    if (!answer.hit && !everyone) continue;
    model::decide(values, answer.classes, exit.temperature, probabilities.data());
    answer.sample = rows.sample(row);
    answer.label = decision.label;
    answer.confidence = decision.confidence;
    answer.milliseconds = milliseconds_since(start);
    if (answer.hit) {
      rows.mark_answered(row);
      ++hits;
    }
    on_answer(answer);
  }
  return hits;
}

}  // namespace

StageStats Engine::run_stage(std::size_t plan, std::size_t stage, Rows& rows,
                             const OnAnswer& on_answer, Clock::time_point start) const {
  const c10::InferenceMode no_gradients;
  const Prepared& prepared = state_->plans.at(plan);
  const bool is_last = stage == prepared.exits.size();
  const bool everyone = !state_->options.shrink;
  const Clock::time_point begun = Clock::now();

  StageStats stats;
  stats.rows_in = rows.size();
  stats.reach = rows.waiting();
  Answer answer;
  answer.classes = classes();
  answer.exit = stage;

  rows.live = prepared.chain.run(stage, rows.live);
  stats.flops = static_cast<double>(stats.rows_in) * prepared.segment_flops[stage];
  if (is_last) {
    const at::Tensor raw = rows.live.at(0).cpu().contiguous();
    const at::Tensor probabilities = state_->backbone->probabilities(raw).contiguous();
    stats.hits = answer_rest(raw, probabilities, rows, everyone, answer, start, on_answer);
    rows = {};
  } else {
    const ExitInfo& exit = prepared.exits[stage];
    stats.flops += static_cast<double>(stats.rows_in) * exit.cache_flops;
    // The only wait for the device: which rows go on depends on these values.
    const at::Tensor logits = prepared.look_ups[stage]->logits(rows.live.at(0)).cpu().contiguous();
    stats.hits = answer_hits(logits, exit, rows, everyone, answer, start, on_answer);
    const std::int64_t left = stats.reach - stats.hits;
    if (left == 0 && !everyone) {
      rows = {};
    } else if (left < rows.size() && !everyone) {
      double next = prepared.segment_flops[stage + 1];
      if (stage + 1 < prepared.exits.size()) next += prepared.exits[stage + 1].cache_flops;
      const std::int64_t copied = left * bytes_per_row(rows.live);
      if (static_cast<double>(rows.size() - left) * next >=
          static_cast<double>(copied) * state_->options.flops_per_copied_byte) {
        rows = survivors(rows);
        stats.copied_bytes = copied;
      }
    }
    stats.rows_out = rows.size();
  }
  stats.milliseconds = milliseconds_since(begun);
  return stats;
}

BatchStats Engine::infer_with(std::size_t plan, const model::Tensors& inputs,
                              const OnAnswer& on_answer) const {
  const Clock::time_point start = Clock::now();
  BatchStats stats;
  stats.stages.resize(stages(plan));
  if (inputs.empty() || inputs[0].dim() == 0) {
    fail(ExitCode::kUsage, "infer: no inputs; the first dimension of each must be the samples");
  }
  Rows rows = rows_of(inputs);
  for (std::size_t stage = 0; stage < stats.stages.size() && rows.size() > 0; ++stage) {
    stats.stages[stage] = run_stage(plan, stage, rows, on_answer, start);
  }
  stats.milliseconds = milliseconds_since(start);
  return stats;
}

BatchStats Engine::infer(const model::Tensors& inputs, const OnAnswer& on_answer) const {
  const std::int64_t batch = inputs.empty() || inputs[0].dim() == 0 ? 1 : inputs[0].size(0);
  return infer_with(plan_for(batch), inputs, on_answer);
}

BatchStats Engine::infer(const at::Tensor& inputs, const OnAnswer& on_answer) const {
  return infer(model::Tensors{inputs}, on_answer);
}

std::vector<Result> Engine::infer(const at::Tensor& inputs) const {
  std::vector<Result> results(static_cast<std::size_t>(inputs.size(0)));
  infer(model::Tensors{inputs}, [&](const Answer& answer) {
    if (!answer.hit) return;
    results[static_cast<std::size_t>(answer.sample)] = {
        answer.label, answer.confidence,
        std::vector<float>(answer.probabilities, answer.probabilities + answer.classes),
        answer.exit, answer.milliseconds};
  });
  return results;
}

}  // namespace cachectl::runtime
