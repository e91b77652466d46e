// Training cache models: 8 architectures in one pass over the data against one after the
// other, each of which reads and converts the file's activations anew, as a trial by itself
// does; and against the same pass over activations in memory, which is what reading could at best
// leave. The ratios are of one run; run it on an idle machine.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <chrono>

#include "learn/lesson.h"
#include "learn/medial_source.h"
#include "support/scratch.h"
#include "support/tiny_medial.h"

namespace cachectl::learn {
namespace {

constexpr const char* kArchitectures[] = {
    "conv3x3/2-32, pool2", "conv3x3/3-32, pool2", "pool2, conv3x3/2-32, mean",
    "mean, fc128",         "conv1x1/2-32, pool2", "dwconv3x3/2-32, pool2",
    "pool4, fc64",         "conv3x3/3-16"};

constexpr std::int64_t kSamples = 4000, kClasses = 4;
const std::vector<std::int64_t> kShape = {32, 16, 16};

struct Files {
  Scratch scratch;
  std::string path = scratch.path("medial.h5");
  Files() {
    TinyMedial medial;
    medial.samples = kSamples;
    medial.stored = io::DType::kFloat16;
    medial.deflate = 1;
    medial.layers = {{"layer", kShape, kClasses}};
    medial.write(path);
  }
};

std::vector<Student> students(const Source& source, const Recipe& recipe, std::size_t first,
                              std::size_t count) {
  std::vector<Student> all;
  for (std::size_t i = first; i < first + count; ++i) {
    all.emplace_back(model::CacheModel(model::Architecture::parse(kArchitectures[i]),
                                       source.layers()[0].shape, source.classes()),
                     0, recipe, steps_of(recipe, source.samples()));
  }
  return all;
}

MemorySource::Part random_part() {
  return {{at::randn({kSamples, kShape[0], kShape[1], kShape[2]})},
          at::randn({kSamples, kClasses}).softmax(1)};
}

void one_pass(benchmark::State& state) {
  static const Files files;
  const artifact::MedialReader medial(files.path);
  Recipe recipe;
  recipe.epochs = 2;
  const auto seconds = [](auto&& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  MemorySource in_memory({"layer"}, random_part(), random_part(), 1);
  double together = 0, from_memory = 0, apart = 0, trials = 0;
  const std::size_t threads = model::thread_count(0);
  for (auto _ : state) {
    together += seconds([&] {
      MedialSource source(medial, {"layer"}, false, 1e9, 1);
      model::Workers workers(threads);
      auto all = students(source, recipe, 0, 8);
      teach(source, all, recipe, source.samples(), 0, recipe.epochs, workers);
    });
    apart += seconds([&] {
      for (std::size_t i = 0; i < 8; ++i) {
        MedialSource source(medial, {"layer"}, false, 1e9, 1);
        model::Workers workers(threads);
        auto one = students(source, recipe, i, 1);
        teach(source, one, recipe, source.samples(), 0, recipe.epochs, workers);
      }
    });
    from_memory += seconds([&] {
      model::Workers workers(threads);
      auto all = students(in_memory, recipe, 0, 8);
      teach(in_memory, all, recipe, kSamples, 0, recipe.epochs, workers);
    });
    trials += 8;
  }
  state.counters["trials_per_minute"] = 60 * trials / together;
  state.counters["times_faster_than_apart"] = apart / together;
  state.counters["of_the_rate_in_memory"] = from_memory / together;
}
BENCHMARK(one_pass)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace cachectl::learn

BENCHMARK_MAIN();
