#include "runtime/engine.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "model/pieces.h"
#include "runtime/stage.h"

namespace cachectl::runtime {

struct Engine::State {
  std::shared_ptr<const model::Backbone> backbone;
  EngineOptions options;
  std::vector<PreparedPlan> plans;
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
  model::describe(table, options.backbone);
  table.section("engine");
  table.value("cache_precision", &options.cache_precision, "precision to run the cache models in")
      .choices({"float32", "bfloat16"});
  table.value("shrink", &options.shrink,
              "take answered samples out of the batch; off: every exit answers for every sample");
  table
      .value("flops_per_copied_byte", &options.flops_per_copied_byte,
             "shrink a batch when that saves more FLOPs than this per byte copied; 0: always")
      .range(0, 1e9)
      .only_in_yaml();
}

std::shared_ptr<const model::Predictor> predictor_of(const artifact::TrainedCache& cache,
                                                     std::int64_t classes,
                                                     const EngineOptions& options,
                                                     const std::string& where) {
  return artifact::predictor_of(cache, classes, where + ": cache model of " + cache.layer,
                                options.cache_precision, options.backbone.device);
}

namespace {

void require_backbone(const model::Backbone& backbone, const artifact::PlanFile& plan,
                      const std::string& plan_name) {
  if (plan.backbone_hash != backbone.hash()) {
    fail(ExitCode::kIncompatible,
         "{}: made for the backbone {:.12}, but {} is {:.12}; select again for this backbone, or "
         "name the one it was made for",
         plan_name, plan.backbone_hash, backbone.options().path, backbone.hash());
  }
  if (plan.classes != backbone.num_classes()) {
    fail(ExitCode::kIncompatible, "{}: for {} classes, but {} has {}", plan_name, plan.classes,
         backbone.options().path, backbone.num_classes());
  }
  for (const artifact::TrainedCache& cache : plan.caches) {
    const model::Candidate& candidate = backbone.candidate(cache.layer);
    if (cache.input_shape == candidate.shape) continue;
    fail(ExitCode::kIncompatible,
         "{}: the cache model of '{}' reads activations of {}, {} gives {} there for the inputs "
         "at hand",
         plan_name, cache.layer, text::shape(cache.input_shape), backbone.options().path,
         text::shape(candidate.shape));
  }
}

// A certificate speaks of the answers at the precision that it was given at.
void warn_outside_certificate(const artifact::PlanFile& file, const std::string& plan_name,
                              const std::string& precision, const std::string& cache_precision) {
  for (const artifact::Plan& plan : file.plans) {
    if (!plan.certificate || !plan.certificate->holds) continue;
    const std::string outside = artifact::outside_of(*plan.certificate, precision, cache_precision);
    if (outside.empty()) continue;
    log::warning("{}: {}", plan_name, outside);
    return;
  }
}

std::vector<EnginePlan> plans_of(const artifact::PlanFile& file, const EngineOptions& options,
                                 const std::string& plan_name) {
  std::vector<std::shared_ptr<const model::Predictor>> predictors;
  for (const artifact::TrainedCache& cache : file.caches) {
    predictors.push_back(predictor_of(cache, file.classes, options, plan_name));
  }
  std::vector<EnginePlan> plans;
  for (const artifact::Plan& plan : file.plans) {
    EnginePlan made;
    made.batch = plan.batch;
    for (const artifact::Exit& exit : plan.exits) {
      const auto index = static_cast<std::size_t>(exit.cache);
      const artifact::TrainedCache& cache = file.caches.at(index);
      made.exits.push_back({cache.layer, predictors[index], static_cast<float>(exit.threshold),
                            cache.calibration.temperature, cache.architecture, cache.prior});
    }
    plans.push_back(std::move(made));
  }
  return plans;
}

}  // namespace

Engine Engine::open(const std::string& backbone, const std::string& plan,
                    const EngineOptions& options) {
  const artifact::PlanFile file = artifact::read_plan(plan);
  model::BackboneOptions backbone_options = options.backbone;
  backbone_options.path = backbone;
  std::shared_ptr<const model::Backbone> loaded =
      model::Backbone::load(backbone_options, {file.self_test_inputs});
  return Engine(std::move(loaded), file, plan, options);
}

Engine::Engine(std::shared_ptr<const model::Backbone> backbone, const artifact::PlanFile& plan,
               const std::string& plan_name, const EngineOptions& options)
    : state_(std::make_unique<State>()) {
  require_backbone(*backbone, plan, plan_name);
  state_->backbone = std::move(backbone);
  state_->options = options;
  state_->options.backbone = state_->backbone->options();  // cache models go where it is
  warn_outside_certificate(plan, plan_name, state_->backbone->options().precision,
                           options.cache_precision);
  make(plans_of(plan, state_->options, plan_name));
  if (options.self_test) {
    // At half precision, then or now, some samples come out otherwise by rounding.
    const bool is_exact = plan.collected_precision() == "float32" &&
                          state_->backbone->options().precision == "float32" &&
                          options.cache_precision == "float32";
    replay_self_test(*state_->backbone, state_->plans, plan, plan_name, is_exact);
  }
}

Engine::Engine(std::shared_ptr<const model::Backbone> backbone, std::vector<EnginePlan> plans,
               const EngineOptions& options)
    : state_(std::make_unique<State>()) {
  state_->backbone = std::move(backbone);
  state_->options = options;
  if (plans.empty()) plans.resize(1);
  make(std::move(plans));
}

void Engine::make(std::vector<EnginePlan> plans) {
  for (EnginePlan& plan : plans) {
    state_->plans.push_back(prepare(*state_->backbone, std::move(plan)));
  }
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;

Engine Engine::with_thresholds(std::size_t plan, const std::vector<float>& thresholds) const {
  auto state = std::make_unique<State>();
  state->backbone = state_->backbone;
  state->options = state_->options;
  state->plans.push_back(state_->plans.at(plan));
  std::vector<Exit>& exits = state->plans[0].plan.exits;
  assert(thresholds.size() == exits.size());
  for (std::size_t e = 0; e < exits.size(); ++e) exits[e].threshold = thresholds[e];
  return Engine(std::move(state));
}

void Engine::warm_up(std::int64_t largest) const {
  const StageMode everyone{true, 0};
  std::vector<std::int64_t> most(plans(), 0);  // rows that infer() gives to each plan
  for (std::int64_t batch = 1; batch <= largest; ++batch) most[plan_for(batch)] = batch;
  for (std::size_t p = 0; p < plans(); ++p) {
    const PreparedPlan& prepared = state_->plans[p];
    for (const std::int64_t rows : model::pieces_up_to(most[p])) {
      model::Tensors inputs;
      for (std::vector<std::int64_t> shape : state_->backbone->input_shapes()) {
        shape.insert(shape.begin(), rows);
        inputs.push_back(at::zeros(shape));
      }
      Rows batch = rows_of(inputs);
      for (std::size_t stage = 0; stage < prepared.chain.size(); ++stage) {
        runtime::run_stage(
            *state_->backbone, prepared, stage, batch, everyone, [](const Answer&) {},
            Clock::now());
      }
    }
  }
}

const model::Backbone& Engine::backbone() const {
  return *state_->backbone;
}
std::int64_t Engine::classes() const {
  return state_->backbone->num_classes();
}
std::size_t Engine::plans() const {
  return state_->plans.size();
}
const EnginePlan& Engine::plan(std::size_t index) const {
  return state_->plans.at(index).plan;
}
std::size_t Engine::stages(std::size_t plan) const {
  return state_->plans.at(plan).chain.size();
}

std::size_t Engine::plan_for(std::int64_t batch) const {
  std::size_t nearest = 0;
  double least = 0;
  for (std::size_t p = 0; p < plans(); ++p) {
    const auto meant = static_cast<double>(std::max<std::int64_t>(1, plan(p).batch));
    const double distance =
        std::abs(std::log(static_cast<double>(std::max<std::int64_t>(1, batch)) / meant));
    if (p == 0 || distance < least) {
      nearest = p;
      least = distance;
    }
  }
  return nearest;
}

const std::string& Engine::exit_name(std::size_t plan, std::size_t exit) const {
  static const std::string backbone = "backbone";
  const std::vector<Exit>& all = exits(plan);
  return exit < all.size() ? all[exit].layer : backbone;
}

double Engine::segment_flops(std::size_t plan, std::size_t exit) const {
  return state_->plans.at(plan).segment_flops.at(exit);
}
double Engine::cache_flops(std::size_t plan, std::size_t exit) const {
  return state_->plans.at(plan).cache_flops.at(exit);
}

std::int64_t Engine::backbone_bytes() const {
  std::int64_t bytes = 0;
  for (const model::SegmentCost& cost : state_->backbone->costs()) bytes += cost.weight_bytes;
  return bytes;
}

std::int64_t Engine::cache_bytes(std::size_t plan) const {
  std::int64_t bytes = 0;
  for (const Exit& exit : exits(plan)) bytes += exit.predictor->cost().weight_bytes;
  return bytes;
}

StageStats Engine::run_stage(std::size_t plan, std::size_t stage, Rows& rows,
                             const OnAnswer& on_answer, Clock::time_point start) const {
  const StageMode mode{!state_->options.shrink, state_->options.flops_per_copied_byte};
  return runtime::run_stage(*state_->backbone, state_->plans.at(plan), stage, rows, mode, on_answer,
                            start);
}

BatchStats Engine::infer_with(std::size_t plan, const model::Tensors& inputs,
                              const OnAnswer& on_answer) const {
  const Clock::time_point start = Clock::now();
  if (inputs.empty() || inputs[0].dim() == 0) {
    fail(ExitCode::kUsage, "infer: no inputs; the first dimension of each must be the samples");
  }
  BatchStats stats;
  stats.stages.resize(stages(plan));
  Rows rows = rows_of(inputs);
  for (std::size_t stage = 0; stage < stats.stages.size() && rows.size() > 0; ++stage) {
    stats.stages[stage] = run_stage(plan, stage, rows, on_answer, start);
  }
  stats.milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  return stats;
}

BatchStats Engine::infer(const model::Tensors& inputs, const OnAnswer& on_answer) const {
  const bool has_rows = !inputs.empty() && inputs[0].dim() > 0;
  return infer_with(plan_for(has_rows ? inputs[0].size(0) : 1), inputs, on_answer);
}

BatchStats Engine::infer(const at::Tensor& inputs, const OnAnswer& on_answer) const {
  return infer(model::Tensors{inputs}, on_answer);
}

std::vector<Result> Engine::infer(const at::Tensor& inputs) const {
  std::vector<Result> results(inputs.dim() == 0 ? 0 : static_cast<std::size_t>(inputs.size(0)));
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
