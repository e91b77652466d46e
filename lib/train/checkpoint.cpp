#include "train/checkpoint.h"

#include <fmt/core.h>

#include "artifact/tensors.h"
#include "base/error.h"

namespace cachectl::train {
namespace {

constexpr std::int64_t kCurveColumns = 4;

void write_state(io::Group group, const model::CacheModel::State& state) {
  for (const auto& [name, tensor] : state) artifact::write_tensor(group, name, tensor);
}

model::CacheModel::State read_state(const io::Group& group) {
  model::CacheModel::State state;
  for (const auto& name : group.children()) state[name] = artifact::read_tensor(group, name);
  return state;
}

}  // namespace

void write_checkpoint(const std::string& path, const Standing& standing,
                      const std::vector<Course>& courses, const std::string& settings,
                      const CommonOptions& common,
                      const std::map<std::string, io::Provenance>& inputs) {
  io::ArtifactWriter writer(path, "checkpoint", common);
  auto& root = writer.root();
  root.set("epochs_done", standing.epochs_done);
  root.set("epochs", standing.epochs);
  if (!standing.left_out.empty()) root.write_texts("left_out", standing.left_out);
  root.write_text("settings", settings);
  auto layers = root.create_group("layers");
  for (std::size_t i = 0; i < courses.size(); ++i) {
    const Course& course = courses[i];
    auto group = layers.create_group(fmt::format("{:04}", i));
    group.set("layer", course.layer);
    group.set("best_agreement", course.best_agreement);
    group.set("best_epoch", course.best_epoch);
    group.set("gain_epoch", course.gain_epoch);
    group.set("stopped", std::int64_t{course.stopped ? 1 : 0});
    std::vector<double> curve;
    for (const auto& point : course.curve) {
      curve.insert(curve.end(), {static_cast<double>(point.epoch), point.train_loss,
                                 point.validation_loss, point.validation_agreement});
    }
    group.write("curve", curve, {static_cast<std::int64_t>(course.curve.size()), kCurveColumns});
    write_state(group.create_group("state"), course.student.state());
    write_state(group.create_group("best"), course.best);
  }
  for (const auto& [role, made_from] : inputs) writer.add_input(role, made_from);
  writer.commit();
}

Standing read_standing(const std::string& path, const std::string& settings) {
  const io::ArtifactReader reader(path, "checkpoint");
  const auto& root = reader.root();
  const std::string found = root.read_text("settings");
  if (found != settings) {
    fail(ExitCode::kIncompatible,
         "{}: begun with other settings or samples; use the same ones, or --force to begin anew. "
         "It has\n{}and this run has\n{}",
         path, found, settings);
  }
  Standing standing;
  standing.epochs_done = root.integer("epochs_done");
  standing.epochs = root.integer("epochs");
  if (standing.epochs < 1) {
    fail(ExitCode::kCorrupt, "{}: {} epochs, expected at least 1", path, standing.epochs);
  }
  if (root.has("left_out")) standing.left_out = root.read_texts("left_out");
  return standing;
}

void read_checkpoint(const std::string& path, std::vector<Course>& courses) {
  const io::ArtifactReader reader(path, "checkpoint");
  const auto layers = reader.root().group("layers");
  if (layers.children().size() != courses.size()) {
    fail(ExitCode::kCorrupt, "{}: {} layers, expected {}", layers.where(), layers.children().size(),
         courses.size());
  }
  for (std::size_t i = 0; i < courses.size(); ++i) {
    Course& course = courses[i];
    const auto group = layers.group(fmt::format("{:04}", i));
    if (group.text("layer") != course.layer) {
      fail(ExitCode::kCorrupt, "{}: of layer '{}', expected '{}'", group.where(),
           group.text("layer"), course.layer);
    }
    course.best_agreement = group.real("best_agreement");
    course.best_epoch = group.integer("best_epoch");
    course.gain_epoch = group.has_attribute("gain_epoch") ? group.integer("gain_epoch")
                                                          : course.best_epoch;  // older files
    course.stopped = group.integer("stopped") != 0;
    const auto curve = group.read<double>("curve", {-1, kCurveColumns});
    for (std::size_t k = 0; k < curve.size(); k += kCurveColumns) {
      course.curve.push_back(
          {static_cast<std::int64_t>(curve[k]), curve[k + 1], curve[k + 2], curve[k + 3]});
    }
    course.student.restore(read_state(group.group("state")), group.where());
    course.best = read_state(group.group("best"));
  }
}

}  // namespace cachectl::train
