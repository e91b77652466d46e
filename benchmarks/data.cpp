// What it costs to make inputs: drawing, decoding, transforming one at a time, and a loader's
// rate by its threads.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include "data/augment.h"
#include "data/image.h"
#include "data/loader.h"
#include "data/synthetic.h"
#include "unit/data/files.h"

namespace cachectl::data {
namespace {

Options drawn(std::int64_t samples) {
  Options options;
  options.samples = samples;
  return options;
}

void draw_synthetic(benchmark::State& state) {
  const Synthetic set(drawn(1000));
  std::int64_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(set.read(i++ % 1000));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(draw_synthetic);

void decode_png(benchmark::State& state) {
  const std::string bytes = test::png_bytes(500, 375);
  const std::vector<std::uint8_t> file(bytes.begin(), bytes.end());
  for (auto _ : state) benchmark::DoNotOptimize(decode_image(file, "a.png"));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decode_png)->Unit(benchmark::kMicrosecond);

void transform_photo(benchmark::State& state) {
  Options options;
  options.transform = {"resize 256", "center_crop 224"};
  options.mean = {0.485, 0.456, 0.406};
  options.std = {0.229, 0.224, 0.225};
  const Transform transform(options);
  const at::Tensor photo = at::randint(0, 256, {3, 375, 500}).to(at::kByte);
  for (auto _ : state) benchmark::DoNotOptimize(transform(photo));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(transform_photo)->Unit(benchmark::kMicrosecond);

void load_augmented(benchmark::State& state) {
  const Synthetic set(drawn(20000));
  const Transform transform;
  LoaderOptions options;
  options.threads = state.range(0);
  options.augment.flip = true;
  options.augment.shift = 4;
  for (auto _ : state) {
    BatchLoader loader(set, transform, all_indices(set), options);
    while (auto batch = loader.next()) benchmark::DoNotOptimize(batch->inputs);
  }
  state.SetItemsProcessed(state.iterations() * set.size());
}
BENCHMARK(load_augmented)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->Arg(4)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cachectl::data

BENCHMARK_MAIN();
