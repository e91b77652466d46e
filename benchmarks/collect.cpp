// bench-collect BACKBONE.pt CIFAR.bin [SAMPLES] [REPEATS] [FOLDER]: the time of a collection over
// that of the plain backbone on the same data, and the rate of batches from a medial file over
// that of batches in memory. Each pair is measured in turns within one run. JSON on stdout.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "artifact/medial_loader.h"
#include "base/error.h"
#include "base/log.h"
#include "collect/collect.h"
#include "data/loader.h"
#include "data/transform.h"
#include "model/backbone.h"

namespace {

using namespace cachectl;
using Json = nlohmann::ordered_json;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of all threads, in the program and in the kernel.
struct Cpu {
  double user = 0, system = 0;
};

Cpu cpu_now() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return {seconds(usage.ru_utime), seconds(usage.ru_stime)};
}

void add_cpu(Cpu& sum, const Cpu& before) {
  const Cpu now = cpu_now();
  sum.user += now.user - before.user;
  sum.system += now.system - before.system;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

collect::Options options_for(const std::string& backbone, const std::string& data,
                             std::int64_t samples) {
  collect::Options options;
  options.common.tool = "bench-collect";
  options.common.force = true;
  options.backbone.path = backbone;
  options.data.kind = "cifar10";
  options.data.path = data;
  options.data.max_samples = samples;
  options.data.mean = {0.485, 0.456, 0.406};
  options.data.std = {0.229, 0.224, 0.225};
  return options;
}

// The plain backbone over the same batches, read by the same loader.
double plain_seconds(const collect::Options& options, Cpu& cpu) {
  const auto dataset = data::open_dataset(options.data, options.common);
  const data::Transform transform(options.data);
  data::LoaderOptions loading;
  loading.batch_size = options.batch_size;
  data::BatchLoader first(*dataset, transform, {0, 1, 2, 3}, loading);
  const auto backbone = model::Backbone::load(options.backbone, {first.next()->inputs});
  data::BatchLoader loader(*dataset, transform, data::all_indices(*dataset), loading);
  const Cpu before = cpu_now();
  const double seconds = seconds_of([&] {
    while (const auto batch = loader.next()) (void)backbone->run({batch->inputs});
  });
  add_cpu(cpu, before);
  return seconds;
}

Json overhead(collect::Options options, const std::string& storage, int repeats) {
  options.storage = storage;
  std::vector<double> plain, whole, ratios;
  collect::Timings timings;
  Cpu plain_cpu, whole_cpu;
  for (int i = 0; i < repeats; ++i) {
    plain.push_back(plain_seconds(options, plain_cpu));
    const Cpu before = cpu_now();
    const collect::Result result = collect::record(options);
    add_cpu(whole_cpu, before);
    timings = result.timings;
    whole.push_back(timings.total);
    ratios.push_back(whole.back() / plain.back());
  }
  const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
  return {{"storage", storage},
          {"bytes", std::filesystem::file_size(options.out)},
          {"plain_seconds", median(plain)},
          {"collect_seconds", median(whole)},
          {"ratio", median(ratios)},
          {"ratio_low", *low},
          {"ratio_high", *high},
          // Per run; the collection's has the loading of the backbone in it.
          {"cpu_seconds",
           {{"plain_user", plain_cpu.user / repeats},
            {"plain_system", plain_cpu.system / repeats},
            {"collect_user", whole_cpu.user / repeats},
            {"collect_system", whole_cpu.system / repeats}}},
          {"last_run",
           {{"backbone", timings.backbone},
            {"conversion", timings.conversion},
            {"inputs", timings.inputs},
            {"waiting_for_writer", timings.waiting},
            {"commit", timings.commit},
            {"writer_thread", timings.writing}}}};
}

// A step of training beside which batches are made: a convolution, its loss and gradient.
double training_seconds(const std::function<std::optional<at::Tensor>()>& next,
                        std::int64_t channels) {
  at::Tensor weight = at::randn({32, channels, 3, 3}).mul_(0.01).requires_grad_(true);
  return seconds_of([&] {
    while (const auto batch = next()) {
      const at::Tensor loss = at::conv2d(*batch, weight, {}, 1, 1).square().mean();
      loss.backward();
      weight.mutable_grad().zero_();
    }
  });
}

Json loading(const std::string& path, const std::string& layer, std::int64_t memory, int repeats) {
  const artifact::MedialReader medial(path);
  const auto rows = medial.rows_of(data::Part::kTrain);
  artifact::MedialLoaderOptions options;
  options.memory_bytes = memory;
  artifact::MedialLoader loader(medial, {layer}, rows, options);
  std::vector<at::Tensor> held;
  loader.start(0);
  while (auto batch = loader.next()) held.push_back(batch->activations.front());
  std::vector<double> ratios;
  for (int i = 0; i < repeats; ++i) {
    std::size_t at = 0;
    const double in_memory = training_seconds(
        [&]() -> std::optional<at::Tensor> {
          if (at == held.size()) return std::nullopt;
          return held[at++];
        },
        medial.layer(layer).shape.at(0));
    const double from_file = training_seconds(
        [&, started = false]() mutable -> std::optional<at::Tensor> {
          if (!started) loader.start(1 + i);
          started = true;
          auto batch = loader.next();
          if (!batch) return std::nullopt;
          return batch->activations.front();
        },
        medial.layer(layer).shape.at(0));
    ratios.push_back(in_memory / from_file);
  }
  return {{"layer", layer},
          {"memory_bytes", memory},
          {"held_in_memory", loader.is_held_in_memory()},
          {"rate_over_memory", median(ratios)}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "bench-collect BACKBONE.pt CIFAR.bin [SAMPLES] [REPEATS] [FOLDER]\n";
    return 2;
  }
  try {
    const std::int64_t samples = argc > 3 ? std::stoll(argv[3]) : 2000;
    const int repeats = argc > 4 ? std::stoi(argv[4]) : 5;
    const std::filesystem::path folder =
        argc > 5 ? argv[5] : std::filesystem::temp_directory_path().string();
    log::start("bench-collect", log::Level::kWarning);
    collect::Options options = options_for(argv[1], argv[2], samples);
    options.out = (folder / "bench-collect.h5").string();
    const char* const commit = std::getenv("CACHECTL_COMMIT");
    Json json = {{"backbone", argv[1]},
                 {"commit", commit == nullptr ? "" : commit},
                 {"samples", samples},
                 {"repeats", repeats},
                 {"threads", at::get_num_threads()}};
    for (const char* storage : {"float32", "bfloat16", "int8", "float16"}) {
      json["collect"].push_back(overhead(options, storage, repeats));
    }
    const artifact::MedialReader medial(options.out);
    const std::string layer = medial.layers()[medial.layers().size() / 2].name;
    for (const std::int64_t memory : {std::int64_t{4} << 30, std::int64_t{16} << 20}) {
      json["loader"].push_back(loading(options.out, layer, memory, repeats));
    }
    std::filesystem::remove(options.out);
    std::cout << json.dump(2) << '\n';
  } catch (const std::exception& error) {
    std::cerr << "bench-collect: " << error.what() << '\n';
    return 1;
  }
}
