// How selection grows: candidates and samples against time; the exact subsets on one core.
#include <benchmark/benchmark.h>

#include "model/workers.h"
#include "select/joint.h"
#include "select/plan_list.h"
#include "select/subset.h"
#include "unit/select/synthetic.h"

namespace cachectl::select {
namespace {

struct Case {
  explicit Case(const benchmark::State& state)
      : candidates(static_cast<std::size_t>(state.range(0))),
        samples(static_cast<std::size_t>(state.range(1))),
        records(synthetic_records(samples, candidates, candidates)),
        curves(decision::make_curves(records)),
        cost(synthetic_cost(samples, candidates, candidates)) {}
  std::size_t candidates, samples;
  decision::Records records;
  std::vector<decision::Curve> curves;
  decision::CostModel cost;
};

constexpr double kTolerance = 0.02;
const std::size_t kThreads = model::thread_count(0);  // of what takes any number

template <Budget kBudget>
void best_subset(benchmark::State& state) {
  const Case c(state);
  for (auto _ : state) {
    const auto best = best_subsets(c.records, c.curves, c.cost, kTolerance, kBudget, {}, 10);
    state.counters["saved"] = 1 - best.at(0).cost / c.cost.plain();
  }
}
BENCHMARK(best_subset<Budget::kHalving>)
    ->ArgNames({"candidates", "samples"})
    ->ArgsProduct({{8, 16, 20, 24, 27, 32}, {1000, 10000}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(best_subset<Budget::kEqual>)
    ->ArgNames({"candidates", "samples"})
    ->ArgsProduct({{8, 16, 20, 24, 27, 32}, {1000, 10000}})
    ->Unit(benchmark::kMillisecond);

void joint(benchmark::State& state) {
  const Case c(state);
  for (auto _ : state) {
    const Limits limits;
    JointSearch search(c.records, c.curves, c.cost, limits, kThreads);
    const auto allowed = decision::allowed_wrong(kTolerance, static_cast<std::int64_t>(c.samples));
    state.counters["saved"] = 1 - search.solve(allowed, {}).cost / c.cost.plain();
  }
}
BENCHMARK(joint)
    ->ArgNames({"candidates", "samples"})
    ->ArgsProduct({{8, 20, 27, 50}, {1000, 10000}})
    ->Unit(benchmark::kMillisecond);

void list_of_plans(benchmark::State& state) {
  const Case c(state);
  for (auto _ : state) {
    const auto list = plan_list(c.records, c.curves, {c.cost}, {}, {2 * kTolerance, 64, kThreads});
    state.counters["plans"] = static_cast<double>(list.size());
  }
}
BENCHMARK(list_of_plans)
    ->ArgNames({"candidates", "samples"})
    ->ArgsProduct({{8, 20, 27, 50}, {1000, 10000}})
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1);

}  // namespace
}  // namespace cachectl::select

BENCHMARK_MAIN();
