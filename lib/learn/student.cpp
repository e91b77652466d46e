#include "learn/student.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <utility>

#include "base/error.h"
#include "model/precision.h"

namespace cachectl::learn {
namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.99, kEpsilon = 1e-8;
constexpr double kFirstShare = 1.0 / 25, kLastShare = 1e-4;  // of the top rate
constexpr double kPi = 3.14159265358979323846;

double cosine(double from, double to, double share) {
  return to + (from - to) * 0.5 * (1 + std::cos(kPi * share));
}

}  // namespace

void describe_steps(OptionTable& table, Recipe& recipe) {
  table.value("batch_size", &recipe.batch_size, "samples a step").range(2, 65536);
  table.value("learning_rate", &recipe.learning_rate, "at the top of the cycle").range(1e-8, 1);
  table.value("weight_decay", &recipe.weight_decay, "of AdamW").range(0, 10);
  table.value("learning_precision", &recipe.precision, "auto: bfloat16 where that is native")
      .choices({"auto", "float32", "bfloat16"});
}

void describe(OptionTable& table, Recipe& recipe) {
  table.value("epochs", &recipe.epochs, "passes over the training samples").range(1, 10000);
  describe_steps(table, recipe);
  table.value("warm_up", &recipe.warm_up, "share of the steps before the top").range(0, 0.99);
}

double one_cycle(const Recipe& recipe, std::int64_t step, std::int64_t steps) {
  const double at = (static_cast<double>(step) + 0.5) / static_cast<double>(steps);
  const double top = recipe.learning_rate;
  if (at < recipe.warm_up) return cosine(top * kFirstShare, top, at / recipe.warm_up);
  return cosine(top, top * kLastShare, (at - recipe.warm_up) / (1 - recipe.warm_up));
}

Student::Student(model::CacheModel model, std::size_t layer, const Recipe& recipe,
                 std::int64_t steps)
    : model_(std::move(model)),
      layer_(layer),
      recipe_(recipe),
      is_mixed_(model::resolved_precision(recipe.precision, at::kCPU) == "bfloat16"),
      steps_(steps),
      mean_(at::zeros_like(model_.flat_parameters())),
      square_(at::zeros_like(model_.flat_parameters())) {}

double Student::step(const at::Tensor& activations, const at::Tensor& pd, const at::Tensor& prior,
                     const PassOn& pass_on) {
  if (!active()) return NAN;
  at::Tensor& gradients = model_.flat_gradients();
  gradients.zero_();
  double value = 0;
  {
    const at::AutoGradMode with_gradients(true);
    const at::Tensor logits = [&] {
      const model::MixedPrecision mixed(is_mixed_, at::kCPU);
      return model_.forward(activations, prior, true).to(at::kFloat);
    }();
    if (pass_on) pass_on(logits.detach());
    const at::Tensor loss =
        at::kl_div(logits.log_softmax(1), pd, at::Reduction::Sum) / static_cast<double>(pd.size(0));
    loss.backward();
    value = loss.item<double>();
  }
  const c10::NoGradGuard no_grad;
  if (!std::isfinite(value) || !std::isfinite(gradients.sum().item<double>())) {
    failed_ = true;
    return value;
  }
  const double rate = one_cycle(recipe_, step_, steps_);
  ++step_;
  at::Tensor& parameters = model_.flat_parameters();
  mean_.mul_(kBeta1).add_(gradients, 1 - kBeta1);
  square_.mul_(kBeta2).addcmul_(gradients, gradients, 1 - kBeta2);
  const double correction1 = 1 - std::pow(kBeta1, static_cast<double>(step_));
  const double correction2 = 1 - std::pow(kBeta2, static_cast<double>(step_));
  parameters.addcmul_(parameters, model_.decays(), -rate * recipe_.weight_decay);
  parameters.addcdiv_(mean_, square_.div(correction2).sqrt_().add_(kEpsilon), -rate / correction1);
  loss_sum_ += value;
  ++steps_of_mean_;
  return value;
}

model::CacheModel::State Student::state() const {
  auto state = model_.state();
  state["optimiser.mean"] = mean_.clone();
  state["optimiser.square"] = square_.clone();
  // One that failed stands still; what it holds is no longer looked at, and must be numbers.
  if (failed_) {
    for (auto& [name, values] : state) values = values.nan_to_num(0, 0, 0);
  }
  // Exact in float32 up to 16.7 million steps.
  state["optimiser.step"] = at::full({1}, static_cast<double>(step_), at::kFloat);
  state["optimiser.failed"] = at::full({1}, failed_ ? 1.0 : 0.0, at::kFloat);
  return state;
}

void Student::restore(const model::CacheModel::State& given, const std::string& where) {
  auto state = given;
  const auto take = [&](const char* name, std::int64_t size) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.numel() != size) {
      fail(ExitCode::kCorrupt, "{}: '{}' is missing or has not {} values", where, name, size);
    }
    at::Tensor value = found->second;
    state.erase(found);
    return value;
  };
  const std::int64_t size = mean_.numel();
  mean_.copy_(take("optimiser.mean", size));
  square_.copy_(take("optimiser.square", size));
  step_ = static_cast<std::int64_t>(take("optimiser.step", 1).item<float>());
  failed_ = take("optimiser.failed", 1).item<float>() != 0;
  model_ = model::CacheModel::from_state(model_.architecture(), model_.input_shape(),
                                         model_.classes(), state, where, model_.takes_prior());
}

}  // namespace cachectl::learn
