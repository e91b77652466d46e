#include "select/problem.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "data/transform.h"
#include "select/measured_cost.h"
#include "select/stage_times.h"

namespace cachectl::select {
namespace {

std::vector<bool> marked(const std::vector<std::string>& layers, const artifact::Caches& caches,
                         const std::string& flag) {
  std::vector<bool> marks(caches.caches.size(), false);
  for (const auto& layer : layers) {
    bool known = false;
    std::vector<std::string> names;
    for (std::size_t d = 0; d < caches.caches.size(); ++d) {
      names.push_back(caches.caches[d].layer);
      if (caches.caches[d].layer != layer) continue;
      marks[d] = true;
      known = true;
    }
    if (known) continue;
    const std::string near = text::nearest(layer, names);
    fail(ExitCode::kUsage, "{}: '{}' has no cache model{}; there are {}", flag, layer,
         near.empty() ? "" : " (did you mean '" + near + "'?)", text::join(names, ", "));
  }
  return marks;
}

// In a cascade a cache model needs those whose logits it takes, and nothing in between: what is
// required brings them along.
void add_priors(const artifact::Caches& caches, Limits& limits) {
  const auto& all = caches.caches;
  for (const auto& cache : all) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const auto& other) { return other.layer == cache.prior; });
    limits.prior.push_back(found == all.end() ? Limits::kNoPrior : found - all.begin());
  }
  decision::Exits required;
  for (std::size_t d = all.size(); d-- > 0;) {
    if (!limits.required[d]) continue;
    required.insert(required.begin(), {d, 1});
    if (limits.prior[d] == Limits::kNoPrior) continue;
    const auto prior = static_cast<std::size_t>(limits.prior[d]);
    if (limits.forbidden[prior]) {
      fail(ExitCode::kUsage,
           "'{}' is required and takes the logits of '{}', which is forbidden; require no more "
           "than stands in front of what is forbidden, or train without --cascade",
           all[d].layer, all[prior].layer);
    }
    limits.required[prior] = true;
  }
  for (std::size_t e = 0; e < required.size(); ++e) {
    const std::size_t d = required[e].candidate;
    const auto in_front =
        e == 0 ? Limits::kNoPrior : static_cast<std::ptrdiff_t>(required[e - 1].candidate);
    if (limits.may_follow(d, in_front)) continue;
    fail(ExitCode::kUsage, "'{}' takes the logits of '{}', so that '{}' can't be required between",
         all[d].layer, all[d].prior, all[required[e - 1].candidate].layer);
  }
}

// What is required, with those whose logits it takes, fits the limits.
void require_room(const Limits& limits) {
  std::size_t count = 0;
  double bytes = 0;
  for (std::size_t d = 0; d < limits.required.size(); ++d) {
    if (!limits.required[d]) continue;
    ++count;
    bytes += limits.bytes[d];
  }
  if (count > limits.max_exits) {
    fail(ExitCode::kUsage,
         "--max-caches {}: what is required needs {} cache models, with those whose logits they "
         "take",
         limits.max_exits, count);
  }
  if (bytes > limits.max_bytes) {
    fail(ExitCode::kUsage, "--max-model-mib {:g}: what is required takes {}",
         limits.max_bytes / (1024 * 1024), text::bytes(bytes));
  }
}

Limits limits_of(const Options& options, const artifact::Caches& caches) {
  Limits limits;
  if (options.max_caches > 0) limits.max_exits = static_cast<std::size_t>(options.max_caches);
  if (options.max_model_mib > 0) limits.max_bytes = options.max_model_mib * 1024 * 1024;
  for (const auto& cache : caches.caches) {
    limits.bytes.push_back(static_cast<double>(cache.weight_bytes));
  }
  limits.required = marked(options.require, caches, "--require");
  limits.forbidden = marked(options.forbid, caches, "--forbid");
  for (std::size_t d = 0; d < caches.caches.size(); ++d) {
    if (!limits.required[d] || !limits.forbidden[d]) continue;
    fail(ExitCode::kUsage, "'{}' is required and forbidden at once", caches.caches[d].layer);
  }
  add_priors(caches, limits);
  require_room(limits);
  return limits;
}

// The medial file must have the parts that they were trained and calibrated on: only then
// is it known that its certify part has had no hand in them.
void require_fit(const Options& options, const artifact::MedialReader& medial,
                 const artifact::Caches& caches) {
  artifact::require_same_ids(medial, data::Part::kTrain, caches.train_ids_hash, options.caches);
  artifact::require_same_ids(medial, data::Part::kValidation, caches.validation_ids_hash,
                             options.caches);
}

decision::Records records_of(const artifact::Caches& caches) {
  decision::Records records;
  records.backbone = caches.backbone_classes;
  for (const auto& cache : caches.caches) {
    records.exits.push_back({cache.calibration.predictions, cache.calibration.confidences});
  }
  return records;
}

// One input: of the data set, or where there is none, of noise.
at::Tensor sample_input(const Options& options, const Problem& problem) {
  try {
    const auto dataset = data::open_dataset(options.data, options.common);
    return data::first_inputs(*dataset, data::Transform(options.data), options.data.skip_bad)
        .narrow(0, 0, 1);
  } catch (const Error& error) {
    log::warning("cache models are timed on noise: {}", error.what());
  }
  std::vector<std::int64_t> shape = problem.profile.input_shape;
  shape.insert(shape.begin(), 1);
  return at::rand(shape);
}

StageTimes times_of_stages(const Options& options, const Problem& problem, std::int64_t largest) {
  model::BackboneOptions loading = options.backbone;
  loading.device = options.common.device;
  loading.path = options.common.resolve(loading.path);
  const at::Tensor sample = sample_input(options, problem);
  const auto backbone = model::Backbone::load(loading, {sample});
  if (backbone->hash() != problem.profile.backbone_hash) {
    fail(ExitCode::kIncompatible, "{} is not the backbone that {} was made of", loading.path,
         options.profile);
  }
  return time_stages(*backbone, problem.caches, sample, largest);
}

void add_costs(const Options& options, Problem& problem) {
  const std::size_t samples = problem.validation.samples();
  if (options.cost == "flops") {
    problem.batches = {0};
    problem.costs.push_back(flops_model(problem.profile, problem.caches, samples));
    return;
  }
  const std::set<std::int64_t> sizes(options.batch.begin(), options.batch.end());
  if (sizes.empty()) fail(ExitCode::kUsage, "--batch: --cost latency needs a batch size");
  for (const auto size : sizes) problem.batches.push_back(size);
  if (!options.backbone.path.empty()) {
    require_order(problem.profile, problem.caches);
    const StageTimes times = times_of_stages(options, problem, *sizes.rbegin());
    for (const auto size : sizes) {
      problem.costs.push_back(
          decision::latency_cost(samples, size, times.segments, times.look_ups));
    }
    return;
  }
  log::warning(
      "without --backbone the cache models are timed apart from it: expect the saving to be less "
      "than predicted, most in small batches");
  if (problem.profile.device != options.common.device) {
    log::warning("the profile was measured on {}, cache models are timed on {}",
                 problem.profile.device, options.common.device);
  }
  const auto look_ups = time_look_ups(problem.caches, *sizes.rbegin(), options.common.device);
  for (const auto size : sizes) {
    problem.costs.push_back(
        latency_model(problem.profile, problem.caches, look_ups, samples, size));
  }
}

}  // namespace

Problem read_problem(const Options& options, const artifact::MedialReader& medial) {
  Problem problem;
  problem.profile = artifact::read_profile(options.profile);
  problem.caches = artifact::read_caches(options.caches);
  const auto& caches = problem.caches;
  io::require_same_input("backbone", options.profile, problem.profile.provenance, options.caches,
                         caches.provenance);
  io::require_same_input("backbone", options.profile, problem.profile.provenance, options.medial,
                         medial.provenance());
  if (caches.caches.empty()) {
    fail(ExitCode::kNothingProcessed, "{}: holds no cache model", options.caches);
  }
  for (const auto& cache : caches.caches) {
    if (cache.calibrated) continue;
    fail(ExitCode::kIncompatible,
         "{}: the cache model of {} is not calibrated: run "
         "cachectl-calibrate first",
         options.caches, cache.layer);
  }
  if (caches.classes != problem.profile.classes) {
    fail(ExitCode::kIncompatible, "{}: {} classes, but {} has {}", options.caches, caches.classes,
         options.profile, problem.profile.classes);
  }
  require_fit(options, medial, caches);
  problem.validation = records_of(caches);
  problem.curves = decision::make_curves(problem.validation);
  problem.limits = limits_of(options, caches);
  add_costs(options, problem);
  return problem;
}

}  // namespace cachectl::select
