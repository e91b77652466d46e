// The plain backbone and the chain with all candidates cut, beside LibTorch's own ways to run
// the same file, in turns within one process. Prints JSON: milliseconds per batch, and ratios of
// paired repeats.
//
//   bench-backbones FILE SHAPE [BATCH,...] [SECONDS_PER_SIZE]
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/backbone.h"

namespace {

using namespace cachectl;
namespace jit = torch::jit;
using Json = nlohmann::ordered_json;

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

Json figures(const std::vector<double>& values) {
  return {{"median", quantile(values, 0.5)},
          {"p10", quantile(values, 0.1)},
          {"p90", quantile(values, 0.9)}};
}

std::vector<double> ratios(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> result;
  for (std::size_t i = 0; i < a.size(); ++i) result.push_back(a[i] / b[i]);
  return result;
}

struct Side {
  std::string name;
  std::function<at::Tensor(const at::Tensor&)> run;
};

Json measure(const std::vector<Side>& sides, const at::Tensor& x, double seconds) {
  using Clock = std::chrono::steady_clock;
  using namespace std::chrono_literals;
  std::vector<std::vector<double>> times(sides.size());
  // The first side by itself, as another process is timed: with the others in between, it finds
  // nothing of its own in the caches.
  std::vector<double> alone;
  for (int i = 0; i < 3; ++i) sides[0].run(x);
  for (const auto first = Clock::now();
       alone.size() < 7 || (alone.size() < 2000 && Clock::now() - first < seconds * 1s / 4);) {
    const auto begin = Clock::now();
    sides[0].run(x);
    alone.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  for (int i = 0; i < 3; ++i) {
    for (const Side& side : sides) side.run(x);
  }
  const auto start = Clock::now();
  const auto spent = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  for (std::size_t round = 0; round < 7 || (spent() < seconds && round < 2000); ++round) {
    for (std::size_t k = 0; k < sides.size(); ++k) {
      // Each side comes first, second, ... in turn.
      const std::size_t at = (k + round) % sides.size();
      const auto begin = Clock::now();
      sides[at].run(x);
      times[at].push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
  }
  Json json = {{"batch", x.size(0)}, {"repeats", times[0].size()}};
  json[sides[0].name + "_alone_ms"] = figures(alone);
  for (std::size_t k = 0; k < sides.size(); ++k) json[sides[k].name + "_ms"] = figures(times[k]);
  for (std::size_t k = 1; k < sides.size(); ++k) {
    json[sides[k].name + "_over_plain"] = figures(ratios(times[k], times[0]));
  }
  return json;
}

void bench(int argc, char** argv) {
  const std::string path = argv[1];
  std::vector<std::int64_t> shape{0};
  for (const auto& size : text::split(argv[2], 'x')) shape.push_back(std::stoll(size));
  const auto batches = text::split(argc > 3 ? argv[3] : "1,8,32,128", ',');
  const double seconds = argc > 4 ? std::stod(argv[4]) : 10;
  const auto batch_of = [&](std::int64_t rows) {
    shape[0] = rows;
    at::manual_seed(1);
    return at::randn(shape);
  };
  model::BackboneOptions options;
  options.path = path;
  const auto backbone = model::Backbone::load(options, {batch_of(4)});
  std::vector<std::string> names;
  for (const auto& candidate : backbone->candidates()) names.push_back(candidate.name);
  const model::SegmentChain chain = backbone->cut(names);
  const c10::NoGradGuard no_grad;
  jit::Module loaded = jit::load(path);
  loaded.eval();
  jit::Module frozen = jit::freeze(loaded);
  jit::Module copy = loaded.clone();
  jit::Module optimized = jit::optimize_for_inference(copy);
  const auto forward = [](jit::Module& module) {
    return [&module](const at::Tensor& x) {
      const c10::IValue result = module.forward({x});
      return result.isTensor() ? result.toTensor() : result.toTupleRef().elements()[0].toTensor();
    };
  };
  const std::vector<Side> sides = {
      {"plain", [&](const at::Tensor& x) { return backbone->run({x}); }},
      {"chain", [&](const at::Tensor& x) { return chain.run({x}); }},
      {"frozen", forward(frozen)},
      {"optimize_for_inference", forward(optimized)}};
  Json json = {{"backbone", path}, {"threads", at::get_num_threads()}, {"cuts", names.size()}};
  json["batches"] = Json::array();
  for (const auto& rows : batches) {
    json["batches"].push_back(measure(sides, batch_of(std::stoll(rows)), seconds));
  }
  std::cout << json.dump(2) << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  cachectl::memory::keep_freed();
  if (argc < 3) {
    std::cerr << "bench-backbones FILE SHAPE [BATCH,...] [SECONDS_PER_SIZE]\n";
    return 2;
  }
  try {
    bench(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "bench-backbones: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
