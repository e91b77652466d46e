#include "train/train.h"

#include <ATen/ATen.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "artifact/medial.h"
#include "artifact/study.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/table.h"
#include "base/text.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "data/transform.h"
#include "learn/lesson.h"
#include "learn/medial_source.h"
#include "learn/online_source.h"
#include "model/precision.h"
#include "train/checkpoint.h"
#include "train/result.h"
#include "train/validate.h"

namespace cachectl::train {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

void describe_settings(OptionTable& table, Options& options) {
  table.section("train");
  table.value("architectures", &options.architectures,
              "LAYER=ARCHITECTURE by hand, instead of the study's");
  table.value("layers", &options.layers, "of the study; all it has chosen for when empty");
  describe(table, options.recipe);
  table.value("no_views", &options.no_views, "leave out the views that were collected");
  table.value("online_augment", &options.online_augment,
              "fresh views in every epoch, answered by the backbone");
  table
      .value("view_precision", &options.view_precision,
             "that the backbone answers fresh views in; auto: bfloat16 where that is native")
      .choices({"auto", "float32", "bfloat16"});
  table.value("cascade", &options.cascade,
              "each cache model also takes the logits of the one in front of it");
  table.value("validate_every", &options.validate_every, "epochs; the last one always")
      .range(1, 10000);
  table
      .value("patience", &options.patience,
             "stop a layer after so many validations without a gain; 0: never")
      .range(0, 10000);
}

// Of online views only.
void describe_views(OptionTable& table, Options& options) {
  const std::size_t before = table.options().size();
  model::describe(table, options.backbone);
  for (std::size_t i = before; i < table.options().size(); ++i) {
    table.options()[i].is_required = false;
  }
  data::describe(table, options.data);
  data::describe(table, options.augment);
}

// What is trained: by layer, in order of depth.
std::vector<std::pair<std::string, model::Architecture>> choose(
    const Options& options, const artifact::MedialReader& medial,
    const std::optional<artifact::Study>& study) {
  std::map<std::string, std::string> wanted;
  if (study) {
    for (const auto& choice : artifact::choose(*study)) {
      const bool listed = options.layers.empty() ||
                          std::find(options.layers.begin(), options.layers.end(), choice.layer) !=
                              options.layers.end();
      if (!listed) continue;
      if (choice.trial == nullptr) {
        log::warning("{} is left out: {}", choice.layer, choice.reason);
      } else {
        wanted[choice.layer] = choice.trial->architecture;
      }
    }
    for (const auto& name : options.layers) {
      if (wanted.count(name) == 0 && options.architectures.count(name) == 0) {
        log::warning("{}: {} has no architecture for it", name, options.study);
      }
    }
  }
  if (!study && !options.layers.empty()) {
    fail(ExitCode::kUsage,
         "train.layers chooses among a study's layers: give --study, or name in "
         "train.architectures those to train and no others");
  }
  for (const auto& [layer, architecture] : options.architectures) {
    medial.layer(layer);  // throws when unknown
    wanted[layer] = architecture;
  }
  std::vector<std::pair<std::string, model::Architecture>> chosen;
  for (const auto& layer : medial.layers()) {
    const auto found = wanted.find(layer.name);
    if (found == wanted.end()) continue;
    auto architecture = model::Architecture::parse(found->second);
    try {
      model::layer_sizes(architecture, layer.shape);
    } catch (const Error& error) {
      fail(error.code(), "{}: {}", layer.name, error.what());
    }
    chosen.emplace_back(layer.name, std::move(architecture));
  }
  if (chosen.empty()) {
    fail(ExitCode::kNothingProcessed,
         "no layer to train: give --study, or architectures by layer in the configuration's "
         "train.architectures");
  }
  return chosen;
}

// Where the training samples come from: the medial file, or the backbone once more.
struct Views {
  std::string precision;  // that fresh ones are answered in
  std::unique_ptr<const data::Dataset> dataset;
  data::Transform transform;
  std::unique_ptr<learn::Source> source;

  Views(const Options& options, const artifact::MedialReader& medial,
        const std::vector<std::string>& names, std::size_t threads)
      : precision(
            model::resolved_precision(options.view_precision, at::Device(options.common.device))) {
    const double memory = options.memory_gib * kGiB;
    const auto seed = derive_seed(static_cast<std::uint64_t>(options.common.seed), "source");
    if (!options.online_augment) {
      source =
          std::make_unique<learn::MedialSource>(medial, names, !options.no_views, memory, seed);
      return;
    }
    if (options.backbone.path.empty()) {
      fail(ExitCode::kUsage, "--online-augment needs --backbone and the section data");
    }
    model::BackboneOptions described = options.backbone;
    described.device = options.common.device;
    described.path = options.common.resolve(described.path);
    described.precision = precision;
    dataset = data::open_dataset(options.data, options.common);
    transform = data::Transform(options.data);
    const auto backbone = model::Backbone::load(
        described, {data::first_inputs(*dataset, transform, options.data.skip_bad)});
    source = std::make_unique<learn::OnlineSource>(medial, names, backbone, *dataset, transform,
                                                   options.augment, threads, memory, seed);
  }
};

void print(const artifact::Caches& caches, const std::vector<Course>& courses, bool json) {
  const auto epoch_of = [&](const artifact::TrainedCache& cache) {
    for (const auto& course : courses) {
      if (course.layer == cache.layer) return course.best_epoch;
    }
    return std::int64_t{0};
  };
  if (json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const auto& cache : caches.caches) {
      all.push_back({{"layer", cache.layer},
                     {"architecture", cache.architecture},
                     {"prior", cache.prior},
                     {"macs", cache.flops / 2},
                     {"parameters", cache.parameters},
                     {"validation_agreement", cache.validation_agreement},
                     {"best_epoch", epoch_of(cache)}});
    }
    std::cout << all.dump(2) << '\n';
    return;
  }
  Table table({"layer", "shape", "architecture", "MACs", "parameters", "agrees", "epoch"});
  for (const auto& cache : caches.caches) {
    table.add({cache.layer, text::shape(cache.input_shape), cache.architecture,
               text::count(cache.flops / 2), text::count(double(cache.parameters)),
               fmt::format("{:.2f} %", 100 * cache.validation_agreement),
               std::to_string(epoch_of(cache))});
  }
  table.print(std::cout);
}

}  // namespace

void describe(OptionTable& table, Options& options) {
  table.section("train");
  table.input("medial", options.medial, "activations and the backbone's answers").required();
  table.input("study", options.study, "of the search; or name architectures");
  table.output("out", options.out, "the trained cache models").required();
  describe_settings(table, options);
  describe_views(table, options);
  table.section("train");
  table.value("minutes", &options.minutes, "shorten the training to fit; 0: no limit")
      .range(0, 1e6);
  table.value("memory_gib", &options.memory_gib, "for activations kept in memory").range(0, 1e6);
}

void run(Options& options) {
  const artifact::MedialReader medial(options.medial);
  std::map<std::string, io::Provenance> inputs = {{"medial", medial.provenance()}};
  std::optional<artifact::Study> study;
  if (!options.study.empty()) {
    study = artifact::read_study(options.study);
    if (const auto absent = artifact::missing(*study); !absent.empty()) {
      log::warning(
          "{}: {} of the {} searches are not in it: join the shards by cachectl-search "
          "--merge",
          options.study, absent.size(), study->asked.size());
    }
    io::require_same_input("backbone", options.medial, medial.provenance(), options.study,
                           study->provenance);
    artifact::require_same_ids(medial, data::Part::kTrain, study->train_ids_hash, options.study);
    artifact::require_same_ids(medial, data::Part::kValidation, study->validation_ids_hash,
                               options.study);
    inputs["study"] = study->provenance;
  }
  const auto chosen = choose(options, medial, study);
  std::vector<std::string> names;
  names.reserve(chosen.size());
  for (const auto& [layer, architecture] : chosen) names.push_back(layer);

  const auto seed = static_cast<std::uint64_t>(options.common.seed);
  const auto threads = model::thread_count(options.common.threads);
  const Views views(options, medial, names, threads);
  learn::Source& source = *views.source;
  model::Workers workers(threads);
  OptionTable table;
  describe_settings(table, options);
  if (options.online_augment) describe_views(table, options);
  // "auto" is another precision on another processor.
  std::string settings =
      table.effective() + (options.online_augment ? "views: " + views.precision + '\n' : "") +
      fmt::format("seed: {}\nmedial: {}\nprecision: {}\n", seed, medial.provenance().content_hash,
                  model::resolved_precision(options.recipe.precision, at::kCPU));
  for (const auto& [layer, architecture] : chosen) {
    settings += fmt::format("{}: {}\n", layer, architecture.text());
  }

  const auto partial = io::partial_path(options.out);
  bool go_on = std::filesystem::exists(partial) && options.common.resume;
  if (std::filesystem::exists(partial) && !go_on && !options.common.force) {
    fail(ExitCode::kCannotOpen,
         "{}: an earlier training left it; go on with --resume, or begin anew with --force",
         partial.string());
  }
  const std::int64_t samples = source.samples();
  learn::Recipe recipe = options.recipe;
  Standing standing;
  if (go_on) {
    try {
      standing = read_standing(partial.string(), settings);
      recipe.epochs = standing.epochs;
      log::info("goes on behind epoch {}", standing.epochs_done);
    } catch (const Error& error) {
      if (!options.common.force || error.code() != ExitCode::kIncompatible) throw;
      log::warning("{}: an earlier training with other settings or samples; begins anew",
                   partial.string());
      go_on = false;
    }
  }
  const auto begin_courses = [&] {
    std::vector<Course> courses;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const auto& [layer, architecture] = chosen[i];
      if (std::count(standing.left_out.begin(), standing.left_out.end(), layer) > 0) continue;
      model::CacheModel model(architecture, source.layers()[i].shape, medial.classes(),
                              derive_seed(seed, layer), options.cascade && !courses.empty());
      learn::Student student(std::move(model), i, recipe, learn::steps_of(recipe, samples));
      courses.push_back({layer, std::move(student), {}, -1, 0, 0, {}, false});
    }
    return courses;
  };
  if (!go_on && options.minutes > 0) {
    // A quarter of an epoch, by students of their own and with the rows in memory, tells
    // what an epoch takes here.
    std::vector<learn::Student> probes;
    for (auto& course : begin_courses()) probes.push_back(std::move(course.student));
    learn::teach(source, probes, recipe, 2 * recipe.batch_size, 0, 1, workers);
    const std::int64_t some = std::max(std::min(samples, 2 * recipe.batch_size), samples / 4);
    const auto start = std::chrono::steady_clock::now();
    learn::teach(source, probes, recipe, some, 0, 1, workers);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() *
        static_cast<double>(samples) / static_cast<double>(some);
    const auto fit = static_cast<std::int64_t>(60 * options.minutes / std::max(1e-6, seconds)) - 1;
    if (fit < recipe.epochs) {
      recipe.epochs = std::max<std::int64_t>(1, fit);
      log::info("an epoch takes {}: {} epochs fit into {:g} minutes", text::duration(seconds),
                recipe.epochs, options.minutes);
    }
  }
  standing.epochs = recipe.epochs;
  std::vector<Course> courses = begin_courses();
  if (go_on) read_checkpoint(partial.string(), courses);

  // Trains the courses to their end; false when one of a cascade has failed before.
  const auto finish_courses = [&] {
    Progress progress("train", recipe.epochs, "epochs");
    progress.skip(standing.epochs_done);
    // The lesson works on students in a row; courses take them back behind each epoch.
    std::vector<learn::Student> students;
    for (auto& course : courses) {
      students.push_back(course.student);
      if (course.stopped) students.back().stop();
    }
    const auto one_has_failed = [&] {
      return std::any_of(students.begin(), students.end(),
                         [](const learn::Student& student) { return student.failed(); });
    };
    learn::teach(source, students, recipe, samples, standing.epochs_done, recipe.epochs, workers,
                 [&](std::int64_t epoch) {
                   const bool last = epoch == recipe.epochs;
                   progress.advance();
                   if (options.cascade && one_has_failed()) return false;
                   if (!last && epoch % options.validate_every != 0) return true;
                   validate(source, courses, students, epoch,
                            {options.cascade, options.patience, options.validate_every}, workers);
                   if (options.cascade && one_has_failed()) return false;
                   bool any = false;
                   for (std::size_t i = 0; i < courses.size(); ++i) {
                     courses[i].student = students[i];
                     any = any || students[i].active();
                   }
                   if (!last && any) {
                     standing.epochs_done = epoch;
                     write_checkpoint(partial.string(), standing, courses, settings, options.common,
                                      inputs);
                   }
                   return any;
                 });
    progress.finish();
    if (!options.cascade || !one_has_failed()) return true;
    // The first in order of depth: those behind it had its logits, which were no numbers.
    std::size_t failed = 0;
    while (!students[failed].failed()) ++failed;
    log::warning("{} is discarded: its loss is no number; the cascade begins anew without it",
                 courses[failed].layer);
    standing.left_out.push_back(courses[failed].layer);
    return false;
  };
  while (!finish_courses()) {
    standing.epochs_done = 0;
    courses = begin_courses();
  }

  artifact::Caches caches;
  caches.classes = medial.classes();
  caches.train_ids_hash = medial.ids_hash(data::Part::kTrain);
  caches.validation_ids_hash = medial.ids_hash(data::Part::kValidation);
  caches.caches = trained_caches(courses, options.cascade, source);
  if (caches.caches.empty()) {
    fail(ExitCode::kNothingProcessed, "no cache model is better than chance; nothing is written");
  }
  artifact::write_caches(options.out, caches, options.common, inputs);
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
  print(caches, courses, options.common.json);
}

}  // namespace cachectl::train
