#include "zoo/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/GradMode.h>

#include <cassert>
#include <cmath>

namespace cachectl::zoo {

namespace {

constexpr double kPi = 3.14159265358979323846;

double cosine(double from, double to, double share) {
  return to + (from - to) * (1 + std::cos(kPi * share)) / 2;
}

}  // namespace

double one_cycle_rate(double peak, std::int64_t step, std::int64_t steps) {
  constexpr double kWarmUp = 0.3, kStart = 1.0 / 25, kEnd = kStart / 1e4;
  const double warm_steps = std::max(1.0, kWarmUp * static_cast<double>(steps));
  const auto at = static_cast<double>(step);
  if (at < warm_steps) return cosine(kStart * peak, peak, at / warm_steps);
  return cosine(peak, kEnd * peak,
                (at - warm_steps) / std::max(1.0, static_cast<double>(steps) - 1 - warm_steps));
}

Sgd::Sgd(std::vector<std::pair<std::string, at::Tensor>> parameters, const Options& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const auto& [name, parameter] : parameters_) {
    momenta_.emplace(name, at::zeros_like(parameter.detach()));
  }
}

void Sgd::step(double rate) {
  const c10::NoGradGuard no_gradients;
  for (auto& [name, parameter] : parameters_) {
    at::Tensor& gradient = parameter.mutable_grad();
    if (!gradient.defined()) continue;  // a layer that this input size does not reach
    at::Tensor change = gradient;
    if (parameter.dim() > 1) change = change.add(parameter, options_.weight_decay);
    at::Tensor& momentum = momenta_.at(name);
    momentum.mul_(options_.momentum).add_(change);
    parameter.add_(options_.nesterov ? change.add(momentum, options_.momentum) : momentum, -rate);
    gradient.reset();
  }
}

}  // namespace cachectl::zoo
