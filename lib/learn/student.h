#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "base/options.h"
#include "model/cache_model.h"

namespace cachectl::learn {

// How a cache model is trained: AdamW (Loshchilov and Hutter 2019) with one cycle of the
// learning rate (Smith and Topin 2018), against the Kullback-Leibler divergence from the
// backbone's distribution.
struct Recipe {
  std::int64_t epochs = 60;       // [1, 10000]
  std::int64_t batch_size = 128;  // [2, 65536]
  double learning_rate = 3e-3;    // at the top of the cycle, (0, 1]
  double weight_decay = 0.3;      // [0, 10], of weights, times the learning rate
  double warm_up = 0.25;          // share of the steps, [0, 1)
  // auto, float32, bfloat16: what products are computed in; weights and sums stay float32.
  std::string precision = "auto";
};
void describe(OptionTable& table, Recipe& recipe);        // into the present section
void describe_steps(OptionTable& table, Recipe& recipe);  // without its length

// The rate at a step of a cycle: up from 1/25 of the top and down to 1/10,000, by cosines.
double one_cycle(const Recipe& recipe, std::int64_t step, std::int64_t steps);

// A cache model that is being trained on one layer. One thread at a time.
class Student {
 public:
  // layer: index into the source's layers. steps: of the whole cycle.
  Student(model::CacheModel model, std::size_t layer, const Recipe& recipe, std::int64_t steps);

  // One step on one batch; returns its loss. A loss or gradient that is not finite ends
  // the student: failed() from then on, and steps do nothing. prior: logits for the batch,
  // where the model takes one. pass_on gets the model's own, detached, as soon as they are
  // there: before the gradients.
  using PassOn = std::function<void(const at::Tensor&)>;
  double step(const at::Tensor& activations, const at::Tensor& pd, const at::Tensor& prior = {},
              const PassOn& pass_on = {});

  const model::CacheModel& model() const { return model_; }
  std::size_t layer() const { return layer_; }
  bool failed() const { return failed_; }
  void give_up() { failed_ = true; }
  void stop() { stopped_ = true; }  // no more steps
  bool active() const { return !failed_ && !stopped_; }
  double mean_loss() const { return steps_of_mean_ ? loss_sum_ / double(steps_of_mean_) : 0; }
  void reset_mean() { loss_sum_ = 0, steps_of_mean_ = 0; }

  // What a later run needs to go on: the model's state and the optimiser's.
  model::CacheModel::State state() const;
  void restore(const model::CacheModel::State& state, const std::string& where);
  std::int64_t steps_done() const { return step_; }

 private:
  model::CacheModel model_;
  std::size_t layer_;
  Recipe recipe_;
  bool is_mixed_;
  std::int64_t steps_, step_ = 0;
  at::Tensor mean_, square_;
  double loss_sum_ = 0;
  std::int64_t steps_of_mean_ = 0;
  bool failed_ = false, stopped_ = false;
};

}  // namespace cachectl::learn
