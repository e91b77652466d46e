#include "search/bracket.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "base/cancel.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"
#include "learn/figures.h"
#include "learn/lesson.h"
#include "search/asha.h"

namespace cachectl::search {
namespace {

using artifact::Trial;
using artifact::TrialState;
using model::Architecture;

constexpr int kMostRepeats = 50;

std::vector<Standing> standings_of(const artifact::LayerStudy& study) {
  std::vector<Standing> standings;
  for (const auto& trial : study.trials) {
    Standing standing;
    standing.failed = trial.state == TrialState::kFailed;
    for (const auto& rung : trial.rungs) standing.scores.push_back(rung.score);
    standings.push_back(std::move(standing));
  }
  return standings;
}

// Whether a is fitter: further up first, since figures of different rungs don't compare.
bool fitter(const Trial& a, const Trial& b) {
  if (a.rungs.size() != b.rungs.size()) return a.rungs.size() > b.rungs.size();
  return !a.rungs.empty() && a.last()->score > b.last()->score;
}

Trial trial_of(const Architecture& architecture, std::string origin,
               const artifact::LayerStudy& study, std::int64_t classes) {
  const auto cost = model::head_cost(architecture, study.shape, classes);
  Trial trial;
  trial.architecture = architecture.text();
  trial.origin = std::move(origin);
  trial.flops = cost.flops();
  trial.parameters = cost.parameters;
  trial.weight_bytes = cost.weight_bytes;
  return trial;
}

double score_of(const learn::Answers& answers, const learn::Figures& figures,
                const artifact::LayerStudy& study, const Trial& trial, const Strategy& strategy) {
  if (strategy.objective == "accuracy") {
    return figures.agreement - strategy.flops_penalty * trial.flops / study.flops_after;
  }
  // After little training few answers are sure enough for the tolerance, and the cheapest
  // trial would lead. The mean over wider tolerances tells trials apart sooner; the last
  // rung counts the tolerance itself, through `utility`.
  double sum = 0;
  constexpr double kWidths[] = {1, 2, 4, 8};
  for (const double width : kWidths) {
    sum +=
        learn::judge(answers, study.flops_after, trial.flops, width * strategy.tolerance).utility;
  }
  return sum / static_cast<double>(std::size(kWidths));
}

}  // namespace

std::vector<Trial> propose(const artifact::LayerStudy& study, const LayerSpace& space,
                           const Strategy& strategy, std::uint64_t seed, std::size_t count) {
  const std::int64_t classes = space.classes();
  std::set<std::string> known;
  for (const auto& trial : study.trials) known.insert(trial.architecture);
  std::vector<Trial> proposed;
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t number = study.trials.size() + k;
    Rng rng(derive_seed(seed, "trial", number));
    const bool is_first = study.bracket == 0 && number < space.first().size();
    Architecture architecture;
    std::string origin;
    for (int repeat = 0; repeat < kMostRepeats; ++repeat) {
      const auto population = static_cast<std::size_t>(strategy.population);
      if (is_first && repeat == 0) {
        architecture = space.first()[number];
        origin = "first";
      } else if (strategy.proposals == "random" || study.trials.size() < population) {
        architecture = space.draw(rng);
        origin = "random";
      } else {
        // Regularised evolution (Real et al. 2019): the best of a few of the youngest.
        const std::size_t oldest = study.trials.size() - population;
        const Trial* parent = nullptr;
        for (std::int64_t draw = 0; draw < strategy.tournament; ++draw) {
          const Trial& one = study.trials[oldest + rng.below(population)];
          if (one.state == TrialState::kFailed) continue;
          if (parent == nullptr || fitter(one, *parent)) parent = &one;
        }
        if (parent == nullptr) {
          architecture = space.draw(rng);
          origin = "random";
        } else {
          architecture = space.mutate(Architecture::parse(parent->architecture), rng);
          origin = fmt::format("mutation of {}", parent->number);
        }
      }
      if (known.count(architecture.text()) == 0) break;
    }
    known.insert(architecture.text());
    Trial trial = trial_of(architecture, origin, study, classes);
    trial.number = static_cast<std::int64_t>(number);
    proposed.push_back(std::move(trial));
  }
  return proposed;
}

void run_bracket(artifact::LayerStudy& study, learn::Source& source, std::size_t layer,
                 const LayerSpace& space, const Strategy& strategy, const learn::Recipe& recipe,
                 std::uint64_t seed, const Clock& clock, model::Workers& workers,
                 const std::function<void()>& save) {
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds_since = [](auto start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  study.chance = learn::chance_agreement(source.validation_pd());
  const std::string name =
      study.bracket == 0 ? study.layer : fmt::format("{} ({})", study.layer, study.bracket);
  Progress progress("search " + name, strategy.trials, "trials");
  progress.skip(static_cast<std::int64_t>(study.trials.size()));

  // The best score seen in the first rung and at which trial: for the patience.
  const auto stalled = [&] {
    if (strategy.patience == 0) return false;
    double best = -INFINITY;
    std::int64_t at = 0;
    for (const auto& trial : study.trials) {
      if (!trial.rungs.empty() && trial.rungs[0].score > best) {
        best = trial.rungs[0].score;
        at = trial.number;
      }
    }
    return static_cast<std::int64_t>(study.trials.size()) - 1 - at >= strategy.patience;
  };

  while (!study.complete) {
    cancel::throw_if_requested();
    const double now = seconds_since(begin);
    if (clock.end > 0 && now > clock.end && !study.trials.empty()) break;
    const bool no_new =
        (clock.no_new > 0 && now > clock.no_new && !study.trials.empty()) || stalled();
    const auto tried = static_cast<std::int64_t>(study.trials.size());
    const auto left = no_new ? 0 : std::max<std::int64_t>(0, strategy.trials - tried);
    const Work work = next_work(
        standings_of(study), strategy.rungs.size(), static_cast<std::size_t>(strategy.eta),
        static_cast<std::size_t>(left), static_cast<std::size_t>(strategy.group));
    if (work.empty()) break;
    if (work.fresh > 0) {
      for (auto& trial : propose(study, space, strategy, seed, work.fresh)) {
        study.trials.push_back(std::move(trial));
      }
    }
    std::vector<std::size_t> members = work.promoted;
    for (std::size_t k = 0; k < work.fresh; ++k) {
      members.push_back(study.trials.size() - work.fresh + k);
    }
    const Rung& rung = strategy.rungs[work.rung];
    learn::Recipe lesson = recipe;
    lesson.epochs = rung.epochs;
    const auto count =
        std::max<std::int64_t>(std::min<std::int64_t>(source.samples(), 2 * recipe.batch_size),
                               std::llround(rung.share * static_cast<double>(source.samples())));
    std::vector<learn::Student> students;
    for (const auto member : members) {
      const auto& trial = study.trials[member];
      const auto weights_seed =
          derive_seed(seed, "weights", static_cast<std::uint64_t>(trial.number));
      students.emplace_back(model::CacheModel(Architecture::parse(trial.architecture), study.shape,
                                              source.classes(), weights_seed),
                            layer, lesson, learn::steps_of(lesson, count));
    }
    const auto start = std::chrono::steady_clock::now();
    const auto undo = [&] {  // a pass that was cut short leaves no trace
      study.trials.resize(study.trials.size() - work.fresh);
    };
    std::vector<learn::Answers> answers;
    try {
      learn::teach(source, students, lesson, count, 0, lesson.epochs, workers);
      answers = learn::examine(source, students, workers);
    } catch (...) {
      undo();
      throw;
    }
    const double seconds = seconds_since(start) / static_cast<double>(members.size());
    for (std::size_t k = 0; k < members.size(); ++k) {
      Trial& trial = study.trials[members[k]];
      if (students[k].failed() || !answers[k].all_finite()) {
        trial.state = TrialState::kFailed;
        log::warning("{}: trial {} ({}) failed: its loss is no number", name, trial.number,
                     trial.architecture);
        continue;
      }
      const auto figures =
          learn::judge(answers[k], study.flops_after, trial.flops, strategy.tolerance);
      artifact::RungResult result;
      result.rung = static_cast<std::int64_t>(work.rung);
      result.epochs = lesson.epochs;
      result.samples = std::min(count, source.samples());
      result.score = score_of(answers[k], figures, study, trial, strategy);
      result.utility = figures.utility;
      result.agreement = figures.agreement;
      result.divergence = figures.divergence;
      result.hit_rate = figures.hit_rate;
      result.cache_accuracy = figures.cache_accuracy;
      result.train_loss = students[k].mean_loss();
      result.seconds = strategy.record_seconds ? seconds : 0;
      trial.rungs.push_back(result);
      if (work.rung + 1 == strategy.rungs.size()) trial.state = TrialState::kFinished;
    }
    save();
    progress.advance(static_cast<std::int64_t>(work.fresh));
  }
  study.complete = true;
  save();
  progress.finish();
}

}  // namespace cachectl::search
