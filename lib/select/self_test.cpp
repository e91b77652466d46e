#include "select/self_test.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "data/dataset.h"
#include "data/transform.h"
#include "decision/outcome.h"

namespace cachectl::select {
namespace {

// Stored activations may be of half precision: confidences nearer to a threshold than
// this could come out on the other side when the input is run anew.
constexpr double kClear = 0.05;

bool is_clear(const decision::Records& records, const std::vector<decision::Exits>& plans,
              std::size_t sample) {
  for (const auto& exits : plans) {
    for (const auto& exit : exits) {
      if (exit.threshold > 1) continue;  // it answers for none, whatever the rounding
      const double confidence = records.exits[exit.candidate].confidence[sample];
      const double away = confidence - exit.threshold;
      // Near 1 all confidences crowd together; there a tenth of the way is clear.
      const double wanted = std::min(kClear, 0.1 * (1 - exit.threshold));
      if (std::abs(away) < wanted || wanted <= 0) return false;
      if (away >= 0) break;  // it leaves here
    }
  }
  return true;
}

at::Tensor noise(const std::vector<std::int64_t>& shape, std::uint64_t seed) {
  std::vector<std::int64_t> sizes = {1};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  at::Tensor input = at::empty(sizes, at::kFloat);
  Rng rng(derive_seed(seed, "self-test"));
  float* values = input.data_ptr<float>();
  for (std::int64_t i = 0; i < input.numel(); ++i) values[i] = static_cast<float>(rng.normal());
  return input;
}

// Validation samples that are clear, as (place in the validation part, place in the set).
using Places = std::vector<std::pair<std::size_t, std::int64_t>>;
Places find_samples(const Problem& problem, const std::vector<decision::Exits>& plans,
                    const data::Dataset& dataset, std::size_t wanted) {
  std::unordered_map<std::uint64_t, std::int64_t> by_id;
  for (std::int64_t i = 0; i < dataset.size(); ++i) by_id[dataset.id(i)] = i;
  Places places;
  for (std::size_t i = 0; i < problem.validation.samples() && places.size() < wanted; ++i) {
    const auto found = by_id.find(problem.caches.validation_ids[i]);
    if (found == by_id.end() || !is_clear(problem.validation, plans, i)) continue;
    places.emplace_back(i, found->second);
  }
  return places;
}

}  // namespace

void add_self_test(const Options& options, const Problem& problem,
                   const std::vector<decision::Exits>& plans, artifact::PlanFile& file) {
  Places places;
  std::unique_ptr<const data::Dataset> dataset;
  if (options.self_test > 0) {
    try {
      dataset = data::open_dataset(options.data, options.common);
      places = find_samples(problem, plans, *dataset, static_cast<std::size_t>(options.self_test));
    } catch (const Error& error) {
      log::warning("no samples for the self-test: {}", error.what());
    }
  }
  if (places.empty()) {
    if (dataset != nullptr) {
      log::warning("{} holds no validation sample that would do for the plan's self-test",
                   dataset->name());
    }
    file.self_test_inputs =
        noise(problem.profile.input_shape, static_cast<std::uint64_t>(options.common.seed));
    return;
  }
  const data::Transform transform(options.data);
  std::vector<at::Tensor> inputs;
  for (const auto& [sample, index] : places) inputs.push_back(transform(dataset->read(index)));
  file.self_test_inputs = at::stack(inputs);
  file.transform = transform.text();
  // Folders that are no classes of the backbone's (days of traffic, a few of the classes) name
  // none.
  file.class_names = dataset->class_names();
  if (static_cast<std::int64_t>(file.class_names.size()) != file.classes) file.class_names.clear();
  for (std::size_t p = 0; p < plans.size(); ++p) {
    const auto outcome = decision::run_over(problem.validation, plans[p]);
    const auto labels = decision::answers(problem.validation, plans[p], outcome);
    for (const auto& [sample, index] : places) {
      file.plans[p].self_test_labels.push_back(labels[sample]);
      file.plans[p].self_test_exits.push_back(outcome.left_at[sample]);
    }
  }
}

}  // namespace cachectl::select
