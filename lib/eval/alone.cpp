#include "eval/alone.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "artifact/caches.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "data/split.h"

namespace cachectl::eval {

namespace {

using Ids = std::vector<std::uint64_t>;

std::string hash_of(const Ids& ids) {
  const std::set<std::uint64_t> samples(ids.begin(), ids.end());
  return data::ids_hash(Ids(samples.begin(), samples.end()));
}

// What is known of the plan's samples must hold for these cache models too.
void require_fit(const artifact::Caches& caches, const artifact::PlanFile& plan,
                 const model::Backbone& backbone, const Options& options) {
  const io::Provenance* const made_for = caches.provenance.find("backbone");
  if (made_for != nullptr && made_for->content_hash != backbone.hash()) {
    fail(ExitCode::kIncompatible, "{}: made for the backbone {:.12}, but {} is {:.12}",
         options.caches, made_for->content_hash, backbone.options().path, backbone.hash());
  }
  const auto require = [&](const std::string& recorded, const Ids& ids, const char* what) {
    if (recorded == hash_of(ids)) return;
    fail(ExitCode::kIncompatible,
         "{}: its cache models {} other samples than those of {}, and the test part may be among "
         "them; name the cache models that this plan was selected from",
         options.caches, what, options.plan);
  };
  require(caches.train_ids_hash, plan.train_ids, "learnt from");
  require(caches.validation_ids_hash, plan.validation_ids, "were validated on");
}

void require_shape(const artifact::TrainedCache& cache, const model::Backbone& backbone,
                   const Options& options) {
  const model::Candidate& candidate = backbone.candidate(cache.layer);
  if (cache.input_shape == candidate.shape) return;
  fail(ExitCode::kIncompatible,
       "{}: the cache model of '{}' reads activations of {}, {} gives {} there for the inputs at "
       "hand",
       options.caches, cache.layer, text::shape(cache.input_shape), backbone.options().path,
       text::shape(candidate.shape));
}

// One that takes the logits of a plan's needs the plan's to be the one it learnt with: a cache
// model of that layer from another training answers otherwise.
void require_same_priors(const std::vector<artifact::TrainedCache>& added,
                         const artifact::Caches& from, const artifact::PlanFile& plan,
                         const Options& options) {
  const auto of_layer = [](const std::vector<artifact::TrainedCache>& caches,
                           const std::string& layer) {
    return std::find_if(caches.begin(), caches.end(),
                        [&](const auto& cache) { return cache.layer == layer; });
  };
  for (const artifact::TrainedCache& cache : added) {
    if (cache.prior.empty()) continue;
    const auto in_plan = of_layer(plan.caches, cache.prior);
    if (in_plan == plan.caches.end()) continue;
    const auto learnt_with = of_layer(from.caches, cache.prior);
    const bool same =
        in_plan->architecture == learnt_with->architecture &&
        std::all_of(in_plan->weights.begin(), in_plan->weights.end(), [&](const auto& weight) {
          return at::equal(weight.second, learnt_with->weights.at(weight.first));
        });
    if (same) continue;
    fail(ExitCode::kIncompatible,
         "{}: the cache model of '{}' takes the logits of '{}', but {} holds another one for that "
         "layer; name the cache models that this plan was selected from",
         options.caches, cache.layer, cache.prior, options.plan);
  }
}

// Those of --caches at layers where the plan has none.
std::vector<artifact::TrainedCache> added_to(const artifact::PlanFile& plan,
                                             const model::Backbone& backbone,
                                             const Options& options) {
  const artifact::Caches all = artifact::read_caches(options.caches);
  require_fit(all, plan, backbone, options);
  std::set<std::string> known;
  for (const artifact::TrainedCache& cache : plan.caches) known.insert(cache.layer);
  std::vector<artifact::TrainedCache> added;
  for (const artifact::TrainedCache& cache : all.caches) {
    if (known.count(cache.layer) > 0) continue;
    require_shape(cache, backbone, options);
    if (!cache.calibrated) {
      log::warning(
          "{}: the cache model of {} is not calibrated: its confidences are taken as they "
          "are",
          options.caches, cache.layer);
    }
    added.push_back(cache);
  }
  require_same_priors(added, all, plan, options);
  return added;
}

}  // namespace

runtime::Engine engine_of_all(std::shared_ptr<const model::Backbone> backbone,
                              const artifact::PlanFile& plan, const Options& options) {
  runtime::EngineOptions ask_all = options.engine;
  ask_all.backbone = backbone->options();
  ask_all.shrink = false;
  std::vector<runtime::Exit> exits;
  const auto add = [&](const std::vector<artifact::TrainedCache>& caches, const std::string& file) {
    for (const artifact::TrainedCache& cache : caches) {
      exits.push_back({cache.layer, runtime::predictor_of(cache, plan.classes, ask_all, file), 2,
                       cache.calibration.temperature, cache.architecture, cache.prior});
    }
  };
  add(plan.caches, options.plan);
  if (!options.caches.empty()) add(added_to(plan, *backbone, options), options.caches);
  const auto& candidates = backbone->candidates();
  const auto depth_of = [&](const runtime::Exit& exit) {
    const std::string& name = backbone->candidate(exit.layer).name;
    return std::find_if(candidates.begin(), candidates.end(),
                        [&](const auto& candidate) { return candidate.name == name; });
  };
  std::stable_sort(exits.begin(), exits.end(),
                   [&](const auto& a, const auto& b) { return depth_of(a) < depth_of(b); });
  std::vector<runtime::EnginePlan> plans(1);
  plans[0].exits = std::move(exits);
  return runtime::Engine(std::move(backbone), std::move(plans), ask_all);
}

}  // namespace cachectl::eval
