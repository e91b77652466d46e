#include "train/result.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/log.h"
#include "learn/figures.h"

namespace cachectl::train {
namespace {

constexpr std::int64_t kSamples = 4;  // activations stored for the replay at load

// prior: of a cascade, the cache model in front; else nullptr.
artifact::TrainedCache trained(const Course& course, const artifact::TrainedCache* prior,
                               learn::Source& source) {
  const auto& learnt = course.student.model();
  const auto model =
      model::CacheModel::from_state(learnt.architecture(), learnt.input_shape(), learnt.classes(),
                                    course.best, course.layer, learnt.takes_prior());
  artifact::TrainedCache cache;
  cache.layer = course.layer;
  cache.input_shape = model.input_shape();
  cache.architecture = model.architecture().text();
  const auto cost = model.cost();
  cache.flops = cost.flops();
  cache.parameters = cost.parameters;
  cache.weight_bytes = cost.weight_bytes;
  cache.weights = course.best;
  cache.curve = course.curve;
  cache.validation_agreement = course.best_agreement;
  const std::int64_t samples = std::min(kSamples, source.validation_pd().size(0));
  cache.sample_inputs = source.validation(course.student.layer(), 0, samples);
  if (prior != nullptr) {
    cache.prior = prior->layer;
    cache.sample_prior = prior->sample_logits;
  }
  cache.sample_logits = model.freeze()->logits(cache.sample_inputs, cache.sample_prior);
  return cache;
}

// Which courses are worth keeping: better than chance, or needed by one that is.
std::vector<char> worth_keeping(const std::vector<Course>& courses, const at::Tensor& pd,
                                bool cascade) {
  const double chance = learn::chance_agreement(pd);
  std::vector<char> keep(courses.size(), 0);
  const Course* taker = nullptr;
  for (std::size_t i = courses.size(); i-- > 0;) {
    const Course& course = courses[i];
    // What it had learnt before is that of the cycle's beginning.
    if (course.best.empty() || course.student.failed()) {
      log::warning("{} is discarded: its loss is no number", course.layer);
      continue;
    }
    const bool beats = learn::beats_chance(course.best_agreement, chance, pd.size(0));
    keep[i] = beats || taker != nullptr;
    if (!beats) {
      log::warning("{} {}: it agrees on {:.2f} %, the most frequent class alone on {:.2f} %",
                   course.layer,
                   keep[i] ? "is kept only because " + taker->layer + " takes its logits"
                           : std::string("is discarded"),
                   100 * course.best_agreement, 100 * chance);
    }
    if (cascade && keep[i]) taker = &course;
  }
  return keep;
}

}  // namespace

std::vector<artifact::TrainedCache> trained_caches(const std::vector<Course>& courses, bool cascade,
                                                   learn::Source& source) {
  const auto keep = worth_keeping(courses, source.validation_pd(), cascade);
  std::vector<artifact::TrainedCache> caches;
  for (std::size_t i = 0; i < courses.size(); ++i) {
    if (!keep[i]) continue;
    const bool has_prior = cascade && !caches.empty();
    caches.push_back(trained(courses[i], has_prior ? &caches.back() : nullptr, source));
  }
  return caches;
}

}  // namespace cachectl::train
