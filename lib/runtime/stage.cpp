#include "runtime/stage.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "model/confidence.h"

namespace cachectl::runtime {

namespace {

using Clock = Engine::Clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::size_t place_of(const model::Backbone& backbone, const std::string& layer) {
  const auto& all = backbone.candidates();
  const std::string& name = backbone.candidate(layer).name;  // throws, and names the nearest
  return static_cast<std::size_t>(
      std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.name == name; }) -
      all.begin());
}

std::int64_t bytes_per_row(const Rows& rows) {
  std::int64_t bytes = 0;
  for (const at::Tensor& tensor : rows.live) bytes += static_cast<std::int64_t>(tensor.nbytes());
  if (rows.prior.defined()) bytes += static_cast<std::int64_t>(rows.prior.nbytes());
  return bytes / std::max<std::int64_t>(1, rows.size());
}

// Whether the exit of this stage takes the logits of the one in front.
bool takes_prior(const PreparedPlan& prepared, std::size_t stage) {
  const auto& exits = prepared.plan.exits;
  return stage < exits.size() && exits[stage].predictor->takes_prior();
}

// An exit gets the logits it learnt with, or the plan is none.
void require_prior(const Exit& exit, const std::string& in_front) {
  if (!exit.predictor->takes_prior()) return;
  if (!in_front.empty() && exit.prior == in_front) return;
  fail(ExitCode::kUsage,
       "exit '{}' takes the logits of '{}', and in front of it stands {}: a cascade is left from "
       "its end only",
       exit.layer, exit.prior, in_front.empty() ? "none" : "'" + in_front + "'");
}

// Answers of the last stage: the backbone's own. raw, probabilities: [rows, classes].
std::int64_t answer_rest(const at::Tensor& raw, const at::Tensor& probabilities, const Rows& rows,
                         bool everyone, Answer answer, Clock::time_point start,
                         const OnAnswer& on_answer) {
  std::int64_t hits = 0;
  for (std::size_t row = 0; row < rows.samples.size(); ++row) {
    answer.hit = rows.waits(row);
    if (!answer.hit && !everyone) continue;
    const std::int64_t offset = static_cast<std::int64_t>(row) * answer.classes;
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
std::int64_t answer_hits(const at::Tensor& logits, const Exit& exit, Rows& rows, bool everyone,
                         Answer answer, Clock::time_point start, const OnAnswer& on_answer) {
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

// Whether taking the answered rows out pays before the next exit, where the question is
// asked anew.
bool shrinking_pays(const PreparedPlan& prepared, std::size_t stage, std::int64_t dropped,
                    std::int64_t copied_bytes, const StageMode& mode) {
  double next = prepared.segment_flops[stage + 1];
  if (stage + 1 < prepared.cache_flops.size()) next += prepared.cache_flops[stage + 1];
  return static_cast<double>(dropped) * next >=
         static_cast<double>(copied_bytes) * mode.flops_per_copied_byte;
}

}  // namespace

PreparedPlan prepare(const model::Backbone& backbone, EnginePlan plan) {
  std::vector<std::string> layers;
  std::vector<double> segment_flops, cache_flops;
  const std::vector<model::SegmentCost>& parts = backbone.costs();
  std::size_t from = 0;
  const auto flops_up_to = [&](std::size_t to) {
    double flops = 0;
    for (; from < to; ++from) flops += parts[from].flops();
    return flops;
  };
  for (const Exit& exit : plan.exits) {
    const std::size_t place = place_of(backbone, exit.layer);
    if (place < from) {
      fail(ExitCode::kUsage, "exit '{}' does not lie behind '{}' in {}", exit.layer, layers.back(),
           backbone.options().path);
    }
    if (exit.predictor->classes() != backbone.num_classes()) {
      fail(ExitCode::kIncompatible, "the cache model of '{}' knows {} classes, {} has {}",
           exit.layer, exit.predictor->classes(), backbone.options().path, backbone.num_classes());
    }
    if (!(exit.temperature > 0)) {
      fail(ExitCode::kUsage, "exit '{}': temperature {}, expected one above 0", exit.layer,
           exit.temperature);
    }
    require_prior(exit, layers.empty() ? "" : layers.back());
    layers.push_back(exit.layer);
    segment_flops.push_back(flops_up_to(place + 1));
    cache_flops.push_back(exit.predictor->cost().flops());
  }
  segment_flops.push_back(flops_up_to(parts.size()));
  model::SegmentChain chain = backbone.cut(layers);
  return {std::move(plan), std::move(chain), std::move(segment_flops), std::move(cache_flops)};
}

StageStats run_stage(const model::Backbone& backbone, const PreparedPlan& prepared,
                     std::size_t stage, Rows& rows, const StageMode& mode,
                     const OnAnswer& on_answer, Clock::time_point start) {
  const c10::NoGradGuard no_gradients;
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const Clock::time_point begun = Clock::now();

  StageStats stats;
  stats.rows_in = rows.size();
  stats.reach = rows.waiting();
  stats.flops = static_cast<double>(stats.rows_in) * prepared.segment_flops[stage];
  Answer answer;
  answer.classes = backbone.num_classes();
  answer.exit = stage;

  rows.live = prepared.chain.run(stage, std::move(rows.live));
  if (stage == prepared.plan.exits.size()) {
    const at::Tensor raw = rows.live.at(0).cpu().contiguous();
    const at::Tensor probabilities = backbone.probabilities(raw).contiguous();
    stats.hits = answer_rest(raw, probabilities, rows, mode.everyone, answer, start, on_answer);
    rows = {};
    stats.milliseconds = milliseconds_since(begun);
    return stats;
  }

  const Exit& exit = prepared.plan.exits[stage];
  stats.flops += static_cast<double>(stats.rows_in) * prepared.cache_flops[stage];
  // The only wait for a device between two segments: which rows go on depends on these values.
  const at::Tensor answered = exit.predictor->logits(rows.live.at(0), rows.prior);
  const at::Tensor logits = answered.cpu().contiguous();
  rows.prior = takes_prior(prepared, stage + 1) ? answered : at::Tensor{};
  stats.hits = answer_hits(logits, exit, rows, mode.everyone, answer, start, on_answer);
  const std::int64_t left = stats.reach - stats.hits;
  if (!mode.everyone && left == 0) {
    rows = {};
  } else if (!mode.everyone && left < rows.size()) {
    const std::int64_t copied = left * bytes_per_row(rows);
    if (shrinking_pays(prepared, stage, rows.size() - left, copied, mode)) {
      rows = survivors(rows);
      stats.copied_bytes = copied;
    }
  }
  stats.rows_out = rows.size();
  stats.milliseconds = milliseconds_since(begun);
  return stats;
}

}  // namespace cachectl::runtime
