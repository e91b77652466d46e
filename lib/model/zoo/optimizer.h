#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "zoo/state_dict.h"

namespace cachectl::zoo {

// Smith and Topin 2018: from peak / 25 up to the peak over the first 30 % of the
// steps, then down to almost nothing, both along a cosine. step: in [0, steps).
double one_cycle_rate(double peak, std::int64_t step, std::int64_t steps);

// Stochastic gradient descent with momentum. Weight decay acts on matrices and kernels,
// not on biases, norms and embeddings of one dimension.
class Sgd {
 public:
  struct Options {
    double momentum = 0.9;
    bool nesterov = true;
    double weight_decay = 5e-4;
  };
  // The parameters are changed in place by step().
  Sgd(std::vector<std::pair<std::string, at::Tensor>> parameters, const Options& options);

  // Takes the gradients, and clears them.
  void step(double rate);

  // The momenta by parameter, sharing memory; to save and to restore.
  const StateDict& state() const { return momenta_; }

 private:
  std::vector<std::pair<std::string, at::Tensor>> parameters_;
  const Options options_;
  StateDict momenta_;
};

}  // namespace cachectl::zoo
