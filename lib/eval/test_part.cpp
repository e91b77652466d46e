#include "eval/test_part.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "artifact/medial.h"
#include "base/error.h"
#include "base/log.h"
#include "data/split.h"

namespace cachectl::eval {

namespace {

std::vector<std::int64_t> positions_of(const data::Dataset& dataset,
                                       const std::vector<std::uint64_t>& ids,
                                       const std::string& medial) {
  std::unordered_map<std::uint64_t, std::int64_t> place;
  for (std::int64_t i = 0; i < dataset.size(); ++i) place[dataset.id(i)] = i;
  std::vector<std::int64_t> positions;
  for (const std::uint64_t id : ids) {
    const auto found = place.find(id);
    if (found != place.end()) positions.push_back(found->second);
  }
  if (positions.size() != ids.size()) {
    fail(ExitCode::kIncompatible,
         "{}: {} of its {} test samples are not in {}; name the data set it was collected from",
         medial, ids.size() - positions.size(), ids.size(), dataset.name());
  }
  std::sort(positions.begin(), positions.end());
  return positions;
}

std::vector<std::int64_t> test_positions(const Options& options, const data::Dataset& dataset) {
  if (options.all_samples) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(dataset.size()));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  if (!options.medial.empty()) {
    const artifact::MedialReader medial(options.medial);
    std::vector<std::uint64_t> ids;
    for (const std::int64_t row : medial.rows_of(data::Part::kTest)) {
      ids.push_back(medial.rows().ids.at(static_cast<std::size_t>(row)));
    }
    return positions_of(dataset, ids, options.medial);
  }
  const data::Split split(dataset.ids(), options.split,
                          static_cast<std::uint64_t>(options.common.seed));
  return split.indices(data::Part::kTest);
}

void require_transform(const artifact::PlanFile& plan, const data::Transform& transform,
                       const std::string& plan_name) {
  if (plan.transform.empty() || plan.transform == transform.text()) return;
  fail(ExitCode::kIncompatible,
       "{}: made for inputs transformed by '{}', the configuration says '{}'; evaluate with the "
       "configuration that the plan was made with",
       plan_name, plan.transform, transform.text());
}

// Whether labels can be the truth for a backbone. Of folders and CIFAR all classes are known, and a
// label's meaning is its place among them; other labels are numbers.
bool are_of_backbone(const labels::Labels& found, const Options& options,
                     const artifact::PlanFile& plan) {
  const std::string& kind = options.data.kind;
  const bool named = kind == "folder" || kind == "cifar10" || kind == "cifar100";
  return !named || found.classes == plan.classes;
}

}  // namespace

void require_unseen(const std::vector<std::uint64_t>& ids, const artifact::PlanFile& plan,
                    const std::string& plan_name, const std::string& data_name) {
  const std::unordered_set<std::uint64_t> wanted(ids.begin(), ids.end());
  const auto require = [&](const std::vector<std::uint64_t>& consumed, const char* step) {
    const auto overlap = std::count_if(consumed.begin(), consumed.end(),
                                       [&](std::uint64_t id) { return wanted.count(id) > 0; });
    if (overlap == 0) return;
    fail(ExitCode::kIncompatible,
         "{}: {} of the {} samples to evaluate on served {}, so they say nothing about new ones; "
         "use the seed and split that {} was collected with, or --medial, or other data",
         plan_name, overlap, wanted.size(), step, data_name);
  };
  require(plan.train_ids, "to train its cache models");
  require(plan.validation_ids, "to choose its thresholds");
  require(plan.certify_ids, "for its certificate");
}

TestPart open_test_part(const Options& options, const artifact::PlanFile& plan) {
  TestPart part;
  part.dataset = data::open_dataset(options.data, options.common);
  part.transform = data::Transform(options.data);
  require_transform(plan, part.transform, options.plan);
  part.indices = test_positions(options, *part.dataset);
  if (part.indices.empty()) {
    fail(ExitCode::kNothingProcessed,
         "{}: the test part is empty (split.test {}); give it a share, or use --all-samples",
         part.dataset->name(), options.split.test);
  }
  for (const std::int64_t index : part.indices) part.ids.push_back(part.dataset->id(index));
  require_unseen(part.ids, plan, options.plan, part.dataset->name());
  if (options.use_labels && labels::has_labels(options.data, options.common)) {
    const labels::Labels found = labels::open_labels(options.data, options.common);
    if (are_of_backbone(found, options, plan)) {
      part.truth = found.at(part.indices);
      return part;
    }
    log::warning(
        "{}: its labels are of {} classes, the backbone knows {}: they are no labels for it, and "
        "everything is measured against the backbone",
        part.dataset->name(), found.classes, plan.classes);
    return part;
  }
  log::info("{}: no labels: everything is measured against the backbone", part.dataset->name());
  return part;
}

}  // namespace cachectl::eval
