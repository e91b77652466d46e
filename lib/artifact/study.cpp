#include "artifact/study.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/architecture.h"

namespace cachectl::artifact {
namespace {

constexpr std::int64_t kStates = 3;
// trial, rung, epochs, samples, score, utility, agreement, divergence, hit rate, cache
// accuracy, training loss, seconds.
constexpr std::int64_t kRungColumns = 12;

void write_layer(io::Group group, const LayerStudy& layer) {
  group.set("layer", layer.layer);
  group.set("shape", layer.shape);
  group.set("flops_before", layer.flops_before);
  group.set("flops_after", layer.flops_after);
  group.set("chance", layer.chance);
  group.set("bracket", layer.bracket);
  group.set("complete", std::int64_t{layer.complete ? 1 : 0});
  std::vector<std::string> architectures, origins;
  std::vector<std::int64_t> parameters, bytes;
  std::vector<std::uint8_t> states;
  std::vector<double> flops, rungs;
  for (const auto& trial : layer.trials) {
    architectures.push_back(trial.architecture);
    origins.push_back(trial.origin);
    flops.push_back(trial.flops);
    parameters.push_back(trial.parameters);
    bytes.push_back(trial.weight_bytes);
    states.push_back(static_cast<std::uint8_t>(trial.state));
    for (const auto& rung : trial.rungs) {
      rungs.insert(rungs.end(),
                   {double(trial.number), double(rung.rung), double(rung.epochs),
                    double(rung.samples), rung.score, rung.utility, rung.agreement, rung.divergence,
                    rung.hit_rate, rung.cache_accuracy, rung.train_loss, rung.seconds});
    }
  }
  group.write_texts("architecture", architectures);
  group.write_texts("origin", origins);
  group.write("flops", flops);
  group.write("parameters", parameters);
  group.write("weight_bytes", bytes);
  group.write("state", states);
  group.write("rungs", rungs,
              {static_cast<std::int64_t>(rungs.size()) / kRungColumns, kRungColumns});
}

void write_asked(io::Group& root, const std::vector<StudyUnit>& units) {
  if (units.empty()) return;
  std::vector<std::string> layers;
  std::vector<std::int64_t> brackets;
  for (const auto& unit : units) {
    layers.push_back(unit.layer);
    brackets.push_back(unit.bracket);
  }
  io::Group group = root.create_group("asked");
  group.write_texts("layer", layers);
  group.write("bracket", brackets);
}

std::vector<StudyUnit> read_asked(const io::Group& root) {
  std::vector<StudyUnit> units;
  if (!root.has("asked")) return units;
  const auto group = root.group("asked");
  const auto layers = group.read_texts("layer");
  const auto brackets =
      group.read<std::int64_t>("bracket", {static_cast<std::int64_t>(layers.size())});
  for (std::size_t i = 0; i < layers.size(); ++i) units.push_back({layers[i], brackets[i]});
  return units;
}

RungResult rung_of(const double* row) {
  RungResult rung;
  rung.rung = static_cast<std::int64_t>(row[1]);
  rung.epochs = static_cast<std::int64_t>(row[2]);
  rung.samples = static_cast<std::int64_t>(row[3]);
  rung.score = row[4];
  rung.utility = row[5];
  rung.agreement = row[6];
  rung.divergence = row[7];
  rung.hit_rate = row[8];
  rung.cache_accuracy = row[9];
  rung.train_loss = row[10];
  rung.seconds = row[11];
  return rung;
}

LayerStudy read_layer(const io::Group& group, std::int64_t classes) {
  LayerStudy layer;
  layer.layer = group.text("layer");
  layer.shape = group.integers("shape");
  layer.flops_before = group.real("flops_before");
  layer.flops_after = group.real("flops_after");
  layer.chance = group.real("chance");
  layer.bracket = group.integer("bracket");
  layer.complete = group.integer("complete") != 0;
  const auto architectures = group.read_texts("architecture");
  const auto count = static_cast<std::int64_t>(architectures.size());
  const auto origins = group.read_texts("origin");
  const auto flops = group.read<double>("flops", {count});
  const auto parameters = group.read<std::int64_t>("parameters", {count});
  const auto bytes = group.read<std::int64_t>("weight_bytes", {count});
  const auto states = group.read<std::uint8_t>("state", {count});
  if (origins.size() != architectures.size()) {
    fail(ExitCode::kCorrupt, "{}/origin: {} entries for {} trials", group.where(), origins.size(),
         count);
  }
  for (std::size_t i = 0; i < architectures.size(); ++i) {
    Trial trial;
    trial.number = static_cast<std::int64_t>(i);
    trial.architecture = architectures[i];
    trial.origin = origins[i];
    trial.flops = flops[i];
    trial.parameters = parameters[i];
    trial.weight_bytes = bytes[i];
    if (states[i] >= kStates) {
      fail(ExitCode::kCorrupt, "{}/state: trial {} has state {}, expected 0 to {}", group.where(),
           i, states[i], kStates - 1);
    }
    trial.state = static_cast<TrialState>(states[i]);
    try {
      const auto cost =
          model::head_cost(model::Architecture::parse(trial.architecture), layer.shape, classes);
      if (cost.flops() != trial.flops) {
        fail(ExitCode::kCorrupt, "it costs {} FLOPs, not {}", cost.flops(), trial.flops);
      }
    } catch (const Error& error) {
      fail(ExitCode::kCorrupt, "{}: trial {} ({}): {}", group.where(), i, trial.architecture,
           error.what());
    }
    layer.trials.push_back(std::move(trial));
  }
  const auto rows = group.read<double>("rungs", {-1, kRungColumns});
  io::require_finite(rows, group.where() + "/rungs");
  for (std::size_t i = 0; i < rows.size(); i += kRungColumns) {
    const double number = rows[i];
    if (!(number >= 0 && number < double(count)) || number != std::floor(number)) {
      fail(ExitCode::kCorrupt, "{}/rungs: row {} is of trial {}, there are {}", group.where(),
           i / kRungColumns, number, count);
    }
    auto& rungs = layer.trials[static_cast<std::size_t>(number)].rungs;
    rungs.push_back(rung_of(&rows[i]));
    if (rungs.back().rung != static_cast<std::int64_t>(rungs.size()) - 1) {
      fail(ExitCode::kCorrupt, "{}/rungs: row {} is rung {} of trial {}, expected {}",
           group.where(), i / kRungColumns, rungs.back().rung, number, rungs.size() - 1);
    }
  }
  return layer;
}

}  // namespace

const char* name_of(TrialState state) {
  switch (state) {
    case TrialState::kStopped:
      return "stopped";
    case TrialState::kFinished:
      return "finished";
    case TrialState::kFailed:
      return "failed";
  }
  return "";
}

bool Study::complete() const {
  return std::all_of(layers.begin(), layers.end(),
                     [](const auto& layer) { return layer.complete; });
}

std::vector<StudyUnit> units_of(const std::vector<std::string>& layers, std::int64_t brackets) {
  std::vector<StudyUnit> units;
  for (const auto& layer : layers) {
    for (std::int64_t bracket = 0; bracket < brackets; ++bracket) units.push_back({layer, bracket});
  }
  return units;
}

std::vector<StudyUnit> missing(const Study& study) {
  std::vector<StudyUnit> units;
  for (const auto& unit : study.asked) {
    const bool found =
        std::any_of(study.layers.begin(), study.layers.end(), [&](const LayerStudy& layer) {
          return StudyUnit{layer.layer, layer.bracket} == unit;
        });
    if (!found) units.push_back(unit);
  }
  return units;
}

std::vector<const Trial*> pareto_front(const std::vector<const LayerStudy*>& brackets) {
  std::vector<const Trial*> best;
  std::size_t highest = 1;
  for (const auto* bracket : brackets) {
    for (const auto& trial : bracket->trials) {
      if (trial.state != TrialState::kFailed) highest = std::max(highest, trial.rungs.size());
    }
  }
  for (const auto* bracket : brackets) {
    for (const auto& trial : bracket->trials) {
      const bool sound = trial.state != TrialState::kFailed;
      if (sound && trial.rungs.size() == highest) best.push_back(&trial);
    }
  }
  // By rising FLOPs; of equal ones the more useful first.
  std::stable_sort(best.begin(), best.end(), [](const Trial* a, const Trial* b) {
    if (a->flops != b->flops) return a->flops < b->flops;
    return a->last()->utility > b->last()->utility;
  });
  std::vector<const Trial*> front;
  for (const auto* trial : best) {
    if (front.empty() || trial->last()->utility > front.back()->last()->utility) {
      front.push_back(trial);
    }
  }
  return front;
}

std::vector<Choice> choose(const Study& study) {
  std::vector<Choice> choices;
  for (const auto& layer : study.layers) {
    const bool known = std::any_of(choices.begin(), choices.end(),
                                   [&](const auto& choice) { return choice.layer == layer.layer; });
    if (known) continue;
    Choice choice;
    choice.layer = layer.layer;
    std::vector<const LayerStudy*> brackets;
    for (const auto& other : study.layers) {
      if (other.layer == layer.layer) brackets.push_back(&other);
    }
    // Three standard deviations above what agrees without looking.
    const auto samples = static_cast<double>(std::max<std::int64_t>(1, study.validation_samples));
    const double enough = layer.chance + 3 * std::sqrt(layer.chance * (1 - layer.chance) / samples);
    double best_agreement = 0;
    std::size_t highest = 1;
    for (const auto* bracket : brackets) {
      for (const auto& trial : bracket->trials) {
        if (trial.state != TrialState::kFailed) highest = std::max(highest, trial.rungs.size());
      }
    }
    for (const auto* bracket : brackets) {
      for (const auto& trial : bracket->trials) {
        if (trial.state == TrialState::kFailed || trial.rungs.size() != highest) continue;
        best_agreement = std::max(best_agreement, trial.last()->agreement);
        if (trial.last()->agreement <= enough) continue;
        const bool by_score = study.objective != "utility";
        const auto value = [&](const Trial& one) {
          return by_score ? one.last()->score : one.last()->utility;
        };
        if (choice.trial == nullptr || value(trial) > value(*choice.trial)) choice.trial = &trial;
      }
    }
    if (choice.trial == nullptr) {
      choice.reason = fmt::format(
          "nothing beats chance: the best agreement is {:.2f} %, the most frequent class alone has "
          "{:.2f} %",
          100 * best_agreement, 100 * layer.chance);
    }
    choices.push_back(std::move(choice));
  }
  return choices;
}

void write_study(const std::string& path, const Study& study, const CommonOptions& common,
                 const std::map<std::string, io::Provenance>& inputs) {
  io::ArtifactWriter writer(path, "study", common);
  auto& root = writer.root();
  root.set("classes", study.classes);
  root.set("validation_samples", study.validation_samples);
  root.set("tolerance", study.tolerance);
  root.set("objective", study.objective);
  root.set("train_ids_hash", study.train_ids_hash);
  root.set("validation_ids_hash", study.validation_ids_hash);
  root.write_text("settings", study.settings);
  write_asked(root, study.asked);
  auto layers = root.create_group("layers");
  for (std::size_t i = 0; i < study.layers.size(); ++i) {
    write_layer(layers.create_group(fmt::format("{:04}", i)), study.layers[i]);
  }
  for (const auto& [role, made_from] : inputs) writer.add_input(role, made_from);
  writer.commit();
}

Study read_study(const std::string& path) {
  const io::ArtifactReader reader(path, "study");
  const auto& root = reader.root();
  Study study;
  study.provenance = reader.provenance();
  study.classes = root.integer("classes");
  if (study.classes < 2) {
    fail(ExitCode::kCorrupt, "{}: {} classes, expected at least 2", root.where(), study.classes);
  }
  study.validation_samples = root.integer("validation_samples");
  study.tolerance = root.real("tolerance");
  study.objective = root.text("objective");
  study.train_ids_hash = root.text("train_ids_hash");
  study.validation_ids_hash = root.text("validation_ids_hash");
  study.settings = root.read_text("settings");
  study.asked = read_asked(root);
  const auto layers = root.group("layers");
  for (const auto& name : layers.children()) {
    study.layers.push_back(read_layer(layers.group(name), study.classes));
  }
  return study;
}

}  // namespace cachectl::artifact
