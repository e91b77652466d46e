// What calibration, selection and verification wait for: bench-answers MEDIAL.h5 CACHES.h5
// [ROUNDS]. Answers of a run's cache models on the validation part, read from the file, against the
// same cache models on activations that lie in memory, by turns. JSON on stdout.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "artifact/caches.h"
#include "artifact/medial.h"
#include "runtime/recorded_answers.h"

namespace cachectl {
namespace {

using Json = nlohmann::ordered_json;

double seconds(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// One cache model, and what it reads, in blocks as large as an engine's batches.
struct Subject {
  std::shared_ptr<const model::Predictor> predictor;
  std::vector<at::Tensor> blocks;
};

Json compare(const std::string& medial_path, const std::string& caches_path, int rounds) {
  constexpr std::int64_t kBlock = 128;
  const artifact::MedialReader medial(medial_path);
  const artifact::Caches caches = artifact::read_caches(caches_path);
  const auto rows = medial.rows_of(data::Part::kValidation);
  std::vector<Subject> subjects;
  for (const artifact::TrainedCache& cache : caches.caches) {
    if (!cache.prior.empty()) {
      throw std::runtime_error(caches_path + ": a cascade; its cache models cannot be asked apart");
    }
    Subject subject{artifact::predictor_of(cache, caches.classes, cache.layer), {}};
    for (const at::Tensor& block : medial.activations(cache.layer, rows).split(kBlock)) {
      subject.blocks.push_back(block);
    }
    subjects.push_back(std::move(subject));
  }
  const std::vector<bool> all(caches.caches.size(), true);
  std::vector<double> from_file, in_memory, ratio;
  for (int round = -1; round < rounds; ++round) {
    const double file = seconds([&] {
      runtime::logits_on(caches.caches, all, caches.classes, medial, rows,
                         [](std::size_t, const std::vector<float>&) {});
    });
    const double memory = seconds([&] {
      for (const Subject& subject : subjects) {
        for (const at::Tensor& block : subject.blocks) subject.predictor->logits(block);
      }
    });
    if (round < 0) continue;  // kernels are made, the file comes into the system's memory
    from_file.push_back(file);
    in_memory.push_back(memory);
    ratio.push_back(memory / file);
  }
  const auto answers = static_cast<double>(rows.size() * subjects.size());
  const char* const commit = std::getenv("CACHECTL_COMMIT");
  return {{"commit", commit == nullptr ? "" : commit},
          {"threads", at::get_num_threads()},
          {"rounds", rounds},
          {"samples", rows.size()},
          {"cache_models", subjects.size()},
          {"answers_per_second", answers / median(from_file)},
          {"in_memory_per_second", answers / median(in_memory)},
          {"of_the_rate_in_memory",
           {{"median", median(ratio)},
            {"min", *std::min_element(ratio.begin(), ratio.end())},
            {"max", *std::max_element(ratio.begin(), ratio.end())}}}};
}

}  // namespace
}  // namespace cachectl

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: bench-answers MEDIAL.h5 CACHES.h5 [ROUNDS]\n";
    return 2;
  }
  try {
    const int rounds = argc > 3 ? std::max(1, std::atoi(argv[3])) : 15;
    std::cout << cachectl::compare(argv[1], argv[2], rounds).dump(2) << '\n';
  } catch (const std::exception& error) {
    std::cerr << "bench-answers: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
