#include "search/search.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "artifact/medial.h"
#include "artifact/profile.h"
#include "base/error.h"
#include "base/log.h"
#include "base/shard.h"
#include "base/text.h"
#include "learn/figures.h"
#include "learn/medial_source.h"
#include "model/precision.h"

namespace cachectl::search {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;
// Of a layer's minutes: new trials until here, promotions behind it, where there are any.
constexpr double kShareForNew = 0.6;

void describe_settings(OptionTable& table, Options& options) {
  table.section("search");
  table.value("layers", &options.layers, "candidates to search, by name; all when empty");
  describe(table, options.space);
  auto& strategy = options.strategy;
  table.value("proposals", &strategy.proposals, "how new trials are found")
      .choices({"evolution", "random"});
  table.value("promotion", &options.promotion, "halving: many short trials, few long ones")
      .choices({"halving", "none"});
  table.value("rung_epochs", &options.rung_epochs, "epochs of each rung").range(1, 10000);
  table.value("rung_shares", &options.rung_shares, "of the training samples, for each rung")
      .range(1e-6, 1);
  table.value("eta", &strategy.eta, "one trial in so many is promoted").range(2, 64);
  table.value("trials", &strategy.trials, "for each layer").range(1, 1e6);
  table.value("group", &strategy.group, "trials trained in one pass over the data").range(1, 256);
  table.value("patience", &strategy.patience, "stop after so many trials without a gain; 0: never")
      .range(0, 1e6);
  table.value("population", &strategy.population, "evolution: the youngest trials that count")
      .range(2, 1e6);
  table.value("tournament", &strategy.tournament, "evolution: the best of so many is the parent")
      .range(1, 1e6);
  table.value("objective", &strategy.objective, "what trials are compared by")
      .choices({"utility", "accuracy"});
  table
      .value("flops_penalty", &strategy.flops_penalty,
             "objective accuracy: lost per share of the following FLOPs that is spent")
      .range(0, 1e6);
  table.value("tolerance", &strategy.tolerance, "of the objective: share of changed answers")
      .range(0, 1);
  table.value("brackets", &options.brackets, "independent searches a layer, which shards share")
      .range(1, 1000);
  table.value("no_views", &options.no_views, "leave out the views that were collected");
  learn::describe_steps(table, options.recipe);
}

// Rungs of the options; checks what a range can't.
Strategy complete(Strategy strategy, const Options& options) {
  if (options.rung_epochs.empty() || options.rung_epochs.size() != options.rung_shares.size()) {
    fail(ExitCode::kUsage, "search.rung_epochs has {} entries and search.rung_shares {}: one each",
         options.rung_epochs.size(), options.rung_shares.size());
  }
  for (std::size_t i = 0; i < options.rung_epochs.size(); ++i) {
    strategy.rungs.push_back({options.rung_epochs[i], options.rung_shares[i]});
  }
  if (options.promotion == "none") strategy.rungs = {strategy.rungs.back()};
  strategy.record_seconds = !options.common.no_provenance;
  return strategy;
}

std::vector<std::string> layers_of(const Options& options, const artifact::MedialReader& medial) {
  std::vector<std::string> names;
  for (const auto& name : options.layers) medial.layer(name);  // throws when unknown
  for (const auto& layer : medial.layers()) {
    const bool wanted =
        options.layers.empty() ||
        std::find(options.layers.begin(), options.layers.end(), layer.name) != options.layers.end();
    if (wanted) names.push_back(layer.name);
  }
  return names;
}

// By layer, all before the first trial: a limit that can't be met is told at once. Leaves the
// layers out where nothing fits.
std::map<std::string, LayerSpace> spaces_of(const Options& options,
                                            const artifact::MedialReader& medial,
                                            const artifact::Profile& profile,
                                            std::vector<std::string>& names) {
  for (const auto& [name, limit] : options.space.layer_max_macs) {
    space_of(options.space, name);  // throws where the limit is no number
    const bool known =
        std::any_of(medial.layers().begin(), medial.layers().end(),
                    [&name = name](const auto& layer) { return layer.name == name; });
    if (!known) log::warning("search.layer_max_macs: {} has no '{}'", medial.path(), name);
  }
  std::map<std::string, LayerSpace> spaces;
  std::vector<std::string> left;
  for (const auto& name : names) {
    const auto& profiled = profile.candidate(name).shape;
    if (profiled != medial.layer(name).shape) {
      fail(ExitCode::kIncompatible,
           "the profile has activations of {} at {}, {} has {}: profile the backbone with inputs "
           "of the size that was collected",
           text::shape(profiled), name, medial.path(), text::shape(medial.layer(name).shape));
    }
    try {
      spaces.emplace(name, LayerSpace(space_of(options.space, name), medial.layer(name).shape,
                                      medial.classes(), profile.candidate(name).flops_after));
      left.push_back(name);
    } catch (const Error& error) {
      if (error.code() != ExitCode::kNothingProcessed) throw;
      log::warning("{} is left out: {}", name, error.what());
    }
  }
  if (left.empty()) fail(ExitCode::kNothingProcessed, "no layer is left to search");
  names = std::move(left);
  return spaces;
}

// Whether a study was begun on these files.
bool is_of(const artifact::Study& study, const std::map<std::string, io::Provenance>& inputs) {
  return std::all_of(inputs.begin(), inputs.end(), [&](const auto& input) {
    const io::Provenance* const recorded = study.provenance.find(input.first);
    return recorded != nullptr && recorded->content_hash == input.second.content_hash;
  });
}

// Whether a study holds nothing beyond these units.
bool is_within(const artifact::Study& study, const std::vector<artifact::StudyUnit>& units) {
  return std::all_of(study.layers.begin(), study.layers.end(), [&](const auto& layer) {
    return std::find(units.begin(), units.end(), artifact::StudyUnit{layer.layer, layer.bracket}) !=
           units.end();
  });
}

// units: those of this shard.
artifact::Study begun(Options& options, const artifact::MedialReader& medial,
                      const std::map<std::string, io::Provenance>& inputs,
                      const std::filesystem::path& partial,
                      const std::vector<artifact::StudyUnit>& units) {
  artifact::Study study;
  study.classes = medial.classes();
  study.validation_samples =
      static_cast<std::int64_t>(medial.rows_of(data::Part::kValidation).size());
  study.tolerance = options.strategy.tolerance;
  study.objective = options.strategy.objective;
  study.settings = settings_of(options);
  study.train_ids_hash = medial.ids_hash(data::Part::kTrain);
  study.validation_ids_hash = medial.ids_hash(data::Part::kValidation);
  if (!std::filesystem::exists(partial)) return study;
  if (!options.common.resume) {
    if (options.common.force) return study;
    fail(ExitCode::kCannotOpen,
         "{}: an earlier search left it; go on with --resume, or begin anew with --force",
         partial.string());
  }
  artifact::Study found = artifact::read_study(partial.string());
  if (found.settings != study.settings || found.train_ids_hash != study.train_ids_hash ||
      found.validation_ids_hash != study.validation_ids_hash || !is_of(found, inputs) ||
      !is_within(found, units)) {
    if (options.common.force) {
      log::warning(
          "{}: an earlier search with other settings or files, or another shard; begins anew",
          partial.string());
      return study;
    }
    fail(ExitCode::kIncompatible,
         "{}: begun with other settings or files, or another --shard; use the same ones, or "
         "--force to "
         "begin anew. It has\n{}and this run has\n{}",
         partial.string(), found.settings, study.settings);
  }
  return found;
}

void search(Options& options) {
  const Strategy strategy = complete(options.strategy, options);
  const Shard shard = shard_of_flag(options.shard);
  const artifact::MedialReader medial(options.medial);
  const artifact::Profile profile = artifact::read_profile(options.profile);
  io::require_same_input("backbone", options.medial, medial.provenance(), options.profile,
                         profile.provenance);
  auto names = layers_of(options, medial);
  const auto spaces = spaces_of(options, medial, profile, names);
  const auto partial = io::partial_path(options.out);
  const std::map<std::string, io::Provenance> inputs = {{"medial", medial.provenance()},
                                                        {"profile", profile.provenance}};
  // In order of depth, then bracket; a shard's are all that don't depend on others.
  const auto all_units = artifact::units_of(names, options.brackets);
  std::vector<artifact::StudyUnit> asked;
  for (auto u = static_cast<std::size_t>(shard.number - 1); u < all_units.size();
       u += static_cast<std::size_t>(shard.of)) {
    asked.push_back(all_units[u]);
  }
  if (asked.empty()) {
    fail(ExitCode::kNothingProcessed, "--shard {}: no layer is left for it; there are {} to share",
         options.shard, all_units.size());
  }
  artifact::Study study = begun(options, medial, inputs, partial, asked);
  study.asked = all_units;

  struct Unit {
    std::size_t layer = 0, place = 0;
  };
  std::vector<Unit> units;
  for (const auto& one : asked) {
    const auto found =
        std::find_if(study.layers.begin(), study.layers.end(), [&](const auto& known) {
          return artifact::StudyUnit{known.layer, known.bracket} == one;
        });
    Unit unit;
    unit.layer =
        static_cast<std::size_t>(std::find(names.begin(), names.end(), one.layer) - names.begin());
    unit.place = static_cast<std::size_t>(found - study.layers.begin());
    if (found == study.layers.end()) {
      const auto& candidate = profile.candidate(one.layer);
      artifact::LayerStudy fresh;
      fresh.layer = one.layer;
      fresh.shape = medial.layer(one.layer).shape;
      fresh.flops_before = candidate.flops_before;
      fresh.flops_after = candidate.flops_after;
      fresh.bracket = one.bracket;
      study.layers.push_back(std::move(fresh));
    }
    units.push_back(unit);
  }

  learn::MedialSource source(
      medial, names, !options.no_views, options.memory_gib * kGiB,
      derive_seed(static_cast<std::uint64_t>(options.common.seed), "source"));
  model::Workers workers(model::thread_count(options.common.threads));
  const auto save = [&] { artifact::write_study(partial.string(), study, options.common, inputs); };
  save();
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t u = 0; u < units.size(); ++u) {
    auto& layer = study.layers[units[u].place];
    if (layer.complete) continue;
    Clock clock;
    if (options.minutes > 0) {
      const double used =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      const double share = (60 * options.minutes - used) / static_cast<double>(units.size() - u);
      clock.end = std::max(1e-3, share);
      clock.no_new = strategy.rungs.size() > 1 ? kShareForNew * clock.end : clock.end;
    }
    const LayerSpace& space = spaces.at(layer.layer);
    for (const auto& refused : space.refused())
      log::debug("{}: left out: {}", layer.layer, refused);
    const auto seed =
        derive_seed(derive_seed(static_cast<std::uint64_t>(options.common.seed), layer.layer),
                    "bracket", static_cast<std::uint64_t>(layer.bracket));
    run_bracket(layer, source, units[u].layer, space, strategy, options.recipe, seed, clock,
                workers, save);
  }
  for (const auto& choice : artifact::choose(study)) {
    if (choice.trial == nullptr) log::warning("{} is discarded: {}", choice.layer, choice.reason);
  }
  artifact::write_study(options.out, study, options.common, inputs);
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
  print(study, options.common.json);
}

}  // namespace

void describe(OptionTable& table, Options& options) {
  table.section("search");
  table.input("medial", options.medial, "activations and the backbone's answers");
  table.input("profile", options.profile, "what each layer costs");
  table.output("out", options.out, "the study");
  describe_settings(table, options);
  table.value("minutes", &options.minutes, "for all layers together; 0: no limit").range(0, 1e6);
  table.value("memory_gib", &options.memory_gib, "for activations kept in memory").range(0, 1e6);
  table.value("shard", &options.shard, "i/n: this run's share of layers and brackets").only_flag();
  table.value("merge", &options.merge, "join the studies of shards into --out").only_flag();
  table.value("status", &options.status, "print a study, also while it grows").only_flag();
}

std::string settings_of(Options& options) {
  OptionTable table;
  describe_settings(table, options);
  return table.effective() +
         fmt::format("seed: {}\nprecision: {}\n", options.common.seed,
                     model::resolved_precision(options.recipe.precision, at::kCPU));
}

void run(Options& options) {
  if (!options.status.empty()) {
    print(read_latest(options.status), options.common.json);
    return;
  }
  if (options.out.empty()) fail(ExitCode::kUsage, "--out is missing: where the study is written");
  if (!options.merge.empty()) {
    const artifact::Study study = merge(options.merge);
    artifact::write_study(options.out, study, options.common, study.provenance.inputs);
    print(study, options.common.json);
    return;
  }
  if (options.medial.empty() || options.profile.empty()) {
    fail(ExitCode::kUsage, "{} is missing: a search needs --medial and --profile",
         options.medial.empty() ? "--medial" : "--profile");
  }
  search(options);
}

}  // namespace cachectl::search
