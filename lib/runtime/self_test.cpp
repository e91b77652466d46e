#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "runtime/stage.h"

namespace cachectl::runtime {

namespace {

// Sums in another order move a confidence by about 1e-6; other kernels by 1e-5 or so.
constexpr double kRounding = 1e-3;

struct Asked {
  std::int32_t label = 0;
  double confidence = 0, margin = 0;  // margin: between the two most probable classes
  std::size_t exit = 0;
  bool hit = false;
};

double margin_of(const Answer& answer) {
  double second = 0;
  for (std::int64_t c = 0; c < answer.classes; ++c) {
    if (c != answer.label) second = std::max<double>(second, answer.probabilities[c]);
  }
  return answer.confidence - second;
}

// Every exit's answer for every sample: [sample][stage].
std::vector<std::vector<Asked>> ask_all(const model::Backbone& backbone,
                                        const PreparedPlan& prepared, const at::Tensor& inputs) {
  std::vector<std::vector<Asked>> asked(static_cast<std::size_t>(inputs.size(0)));
  Rows rows = rows_of({inputs});
  const OnAnswer note = [&](const Answer& answer) {
    asked[static_cast<std::size_t>(answer.sample)].push_back(
        {answer.label, answer.confidence, margin_of(answer), answer.exit, answer.hit});
  };
  for (std::size_t stage = 0; stage < prepared.chain.size(); ++stage) {
    run_stage(backbone, prepared, stage, rows, {true, 0}, note, Engine::Clock::now());
  }
  return asked;
}

bool rounding_explains(const std::vector<Asked>& stages, const Asked& given,
                       std::size_t expected_exit, const PreparedPlan& prepared) {
  if (given.exit == expected_exit) return given.margin < kRounding;
  const std::size_t decided = std::min(given.exit, expected_exit);
  return std::abs(stages[decided].confidence - prepared.plan.exits[decided].threshold) < kRounding;
}

}  // namespace

void replay_self_test(const model::Backbone& backbone, const std::vector<PreparedPlan>& plans,
                      const artifact::PlanFile& file, const std::string& plan_name, bool is_exact) {
  std::size_t differing = 0, replayed = 0;
  for (std::size_t p = 0; p < plans.size(); ++p) {
    const artifact::Plan& expected = file.plans[p];
    if (expected.self_test_labels.empty()) continue;
    const auto asked = ask_all(backbone, plans[p], file.self_test_inputs);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const auto hit = std::find_if(asked[i].begin(), asked[i].end(),
                                    [](const Asked& stage) { return stage.hit; });
      const std::int32_t label = expected.self_test_labels.at(i);
      const auto exit = static_cast<std::size_t>(expected.self_test_exits.at(i));
      ++replayed;
      if (hit->label == label && hit->exit == exit) continue;
      ++differing;
      if (!is_exact || rounding_explains(asked[i], *hit, exit, plans[p])) continue;
      fail(ExitCode::kIncompatible,
           "{}: self-test: sample {} gets class {} at exit {} (confidence {:.4f}), the plan "
           "recorded class {} at exit {}; the backbone {} does not behave as when the plan was "
           "made: check --output and the device, or select again",
           plan_name, i, hit->label, hit->exit, hit->confidence, label, exit,
           backbone.options().path);
    }
  }
  if (differing == 0 || is_exact) return;
  // Rounding changes a few answers, another model most of them.
  if (differing > 1 && 2 * differing > replayed) {
    fail(ExitCode::kIncompatible,
         "{}: self-test: {} of {} samples are answered otherwise than when the plan was made; the "
         "backbone {} does not behave as it did: check --output and the device, or select again",
         plan_name, differing, replayed, backbone.options().path);
  }
  log::warning(
      "{}: self-test: {} of {} samples are answered otherwise than when the plan was made, at {}",
      plan_name, differing, replayed, file.collected_precision());
}

}  // namespace cachectl::runtime
