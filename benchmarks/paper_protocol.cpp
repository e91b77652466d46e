// What it does to the figures to train, choose and measure on the same samples, as the public code
// of the paper does: bench-paper-protocol MEDIAL.h5 CALIBRATED.h5 PROFILE.h5 [TOLERANCE]. The
// cache models of one run, once with subset and thresholds chosen and measured on the training
// samples, once chosen on validation samples and measured on the test part. JSON on stdout.
#include <fmt/core.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "artifact/caches.h"
#include "artifact/medial.h"
#include "artifact/profile.h"
#include "base/error.h"
#include "decision/outcome.h"
#include "runtime/recorded_answers.h"
#include "select/measured_cost.h"
#include "select/subset.h"

namespace cachectl {
namespace {

using Json = nlohmann::ordered_json;

class Comparison {
 public:
  Comparison(const std::string& medial, const std::string& caches, const std::string& profile)
      : medial_(medial),
        caches_(artifact::read_caches(caches)),
        profile_(artifact::read_profile(profile)) {}

  Json run(double tolerance) const {
    const auto train = records_on(data::Part::kTrain);
    const auto validation = records_on(data::Part::kValidation);
    const auto test = records_on(data::Part::kTest);
    const auto same = chosen_on(train, tolerance);
    const auto apart = chosen_on(validation, tolerance);
    return {{"tolerance", tolerance},
            {"chosen_and_measured_on_training_samples", measured(same, train)},
            {"the_same_plan_on_the_test_part", measured(same, test)},
            {"chosen_on_validation_measured_on_the_test_part", measured(apart, test)}};
  }

 private:
  decision::Records records_on(data::Part part) const {
    const auto rows = medial_.rows_of(part);
    decision::Records records;
    records.backbone = runtime::backbone_classes(medial_, rows);
    records.exits.resize(caches_.caches.size());
    const std::vector<bool> all(caches_.caches.size(), true);
    runtime::logits_on(caches_.caches, all, caches_.classes, medial_, rows,
                       [&](std::size_t i, const std::vector<float>& logits) {
                         records.exits[i] = runtime::answers_of(
                             logits, caches_.classes, caches_.caches[i].calibration.temperature);
                       });
    return records;
  }

  decision::Exits chosen_on(const decision::Records& records, double tolerance) const {
    const auto cost = select::flops_model(profile_, caches_, records.samples());
    const auto best = select::best_subsets(records, decision::make_curves(records), cost, tolerance,
                                           select::Budget::kHalving, {}, 1);
    return best.empty() ? decision::Exits{} : best[0].exits;
  }

  Json measured(const decision::Exits& exits, const decision::Records& records) const {
    const auto outcome = decision::run_over(records, exits);
    const auto cost = select::flops_model(profile_, caches_, records.samples());
    Json json = {{"samples", outcome.samples},
                 {"flops_saved", 1 - decision::cost_of(exits, outcome, cost) / cost.plain()},
                 {"answered_otherwise_than_by_the_backbone", outcome.risk()},
                 {"exits", Json::array()}};
    for (std::size_t i = 0; i < exits.size(); ++i) {
      const double reach = static_cast<double>(outcome.reach[i]);
      json["exits"].push_back(
          {{"layer", caches_.caches[exits[i].candidate].layer},
           {"hit_rate", reach > 0 ? static_cast<double>(outcome.hits[i]) / reach : 0},
           {"cache_accuracy", outcome.hits[i] > 0 ? 1 - static_cast<double>(outcome.wrong[i]) /
                                                            static_cast<double>(outcome.hits[i])
                                                  : 0}});
    }
    return json;
  }

  artifact::MedialReader medial_;
  artifact::Caches caches_;
  artifact::Profile profile_;
};

}  // namespace
}  // namespace cachectl

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: bench-paper-protocol MEDIAL.h5 CALIBRATED.h5 PROFILE.h5 [TOLERANCE]\n";
    return 2;
  }
  try {
    const cachectl::Comparison comparison(argv[1], argv[2], argv[3]);
    std::cout << comparison.run(argc > 4 ? std::atof(argv[4]) : 0.01).dump(2) << '\n';
  } catch (const cachectl::Error& error) {
    std::cerr << "bench-paper-protocol: " << error.what() << '\n';
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::cerr << "bench-paper-protocol: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
