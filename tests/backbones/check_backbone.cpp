// Loads a TorchScript file as a backbone, cuts it at all its candidates, and compares the
// whole and the chain, with batches that shrink, against LibTorch's own run of the file.
//
//   check_backbone FILE INPUT[,INPUT] [MACS]
//
// INPUT: 3x224x224, or 64:int64:1000 for tokens below 1000. MACS: published, per sample; must be
// met within 1 %. Prints one line; exits 1 when something does not hold.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/core.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <chrono>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "model/backbone.h"

namespace {

using namespace cachectl;

at::Tensor made_up(const std::string& text, std::int64_t rows) {
  const auto parts = text::split(text, ':');
  std::vector<std::int64_t> shape{rows};
  for (const auto& size : text::split(parts[0], 'x')) shape.push_back(std::stoll(size));
  if (parts.size() < 3) return at::randn(shape);
  return at::randint(std::stoll(parts[2]), shape, at::kLong);
}

at::Tensor by_libtorch(const std::string& path, const model::Tensors& inputs) {
  const c10::NoGradGuard no_grad;
  torch::jit::Module module = torch::jit::load(path);
  module.eval();
  const c10::IValue result = module.forward({inputs.begin(), inputs.end()});
  if (result.isTensor()) return result.toTensor();
  if (result.isTuple()) return result.toTupleRef().elements().at(0).toTensor();
  return result.toGenericDict().begin()->value().toTensor();
}

model::Tensors rows_of(const model::Tensors& tensors, const at::Tensor& index) {
  model::Tensors result;
  for (const auto& tensor : tensors) result.push_back(model::select_rows(tensor, index));
  return result;
}

// The largest difference in units of the outputs' spread.
double distance(const at::Tensor& got, const at::Tensor& expected) {
  const double scale = std::max(1e-12, expected.abs().max().item<double>());
  return (got - expected).abs().max().item<double>() / scale;
}

double shrinking(const model::SegmentChain& chain, model::Tensors live,
                 const at::Tensor& expected) {
  at::Tensor ids = at::arange(expected.size(0), at::kLong);
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    live = chain.run(i, live);
    if (ids.size(0) < 2 || i % 3 != 0) continue;
    const at::Tensor stay = at::arange(ids.size(0) - 1, 0, -1, at::kLong);
    live = rows_of(live, stay);
    ids = ids.index_select(0, stay);
  }
  return distance(chain.run(chain.size() - 1, live)[0], expected.index_select(0, ids));
}

int check(int argc, char** argv) {
  at::manual_seed(5);
  const std::string path = argv[1];
  model::Tensors inputs;
  for (const auto& text : text::split(argv[2], ',')) inputs.push_back(made_up(text, 6));
  const auto start = std::chrono::steady_clock::now();
  model::BackboneOptions options;
  options.path = path;
  const auto backbone = model::Backbone::load(options, inputs);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::vector<std::string> names;
  for (const auto& candidate : backbone->candidates()) names.push_back(candidate.name);
  const model::SegmentChain chain = backbone->cut(names);
  const at::Tensor expected = by_libtorch(path, inputs);
  const double whole = distance(backbone->run(inputs), expected);
  const double cut = distance(chain.run(inputs), expected);
  const double shrunk = shrinking(chain, inputs, expected);
  double macs = 0;
  for (const auto& cost : backbone->costs()) macs += cost.macs;
  fmt::print(
      "{} candidates, {:.4f} GMACs, loaded in {:.1f} s, differences {:.1e} {:.1e} {:.1e}{}{}\n",
      names.size(), macs / 1e9, took.count(), whole, cut, shrunk,
      backbone->uncounted_ops().empty() ? "" : ", uncounted ",
      text::join(backbone->uncounted_ops(), " "));
  if (std::getenv("CHECK_NAMES")) fmt::print("  {}\n", text::join(names, " "));
  bool good = whole < 1e-5 && cut < 1e-5 && shrunk < 1e-5 && !names.empty();
  if (argc > 3) good = good && std::abs(macs / std::stod(argv[3]) - 1) < 0.01;
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "check_backbone FILE INPUT[,INPUT] [MACS]\n");
    return 2;
  }
  try {
    return check(argc, argv);
  } catch (const Error& error) {
    fmt::print("exit {}: {}\n", static_cast<int>(error.code()), error.what());
    return 1;
  }
}
