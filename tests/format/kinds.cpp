#include "format/kinds.h"

#include <filesystem>
#include <numeric>

#include "artifact/caches.h"
#include "artifact/plan.h"
#include "artifact/report.h"
#include "labels/labels_file.h"
#include "support/artifacts.h"
#include "support/sample_report.h"
#include "support/tiny_chain.h"
#include "support/tiny_study.h"
#include "train/checkpoint.h"

namespace cachectl::format_test {
namespace {

using artifact::test::options;

std::map<std::string, io::Provenance> inputs() {
  return {{"backbone", io::outside_input("backbone", "abc", "resnet.pt")}};
}

Kind profile_kind() {
  return {"profile", "profile",
          [](const std::string& path) {
            const TinyChain chain(200);
            std::filesystem::copy_file(chain.profile_path, path);
          },
          [](const std::string& path) { artifact::read_profile(path); }};
}

Kind medial_kind(const std::string& name, io::DType stored, int deflate) {
  Kind kind{name, "medial",
            [stored, deflate](const std::string& path) {
              TinyMedial tiny;
              tiny.samples = 20;
              tiny.views = 1;
              tiny.stored = stored;
              tiny.deflate = deflate;
              tiny.rows_per_block = 16;
              tiny.layers = {{"early", {2, 4, 4}, 1}, {"late", {8}, 1}};
              tiny.write(path);
            },
            [](const std::string& path) {
              const artifact::MedialReader reader(path);
              std::vector<std::int64_t> rows(static_cast<std::size_t>(reader.rows().size()));
              std::iota(rows.begin(), rows.end(), 0);
              reader.pd(rows);
              for (const auto& layer : reader.layers()) reader.activations(layer.name, rows);
            }};
  kind.has_bulk = true;
  return kind;
}

Kind labels_kind() {
  return {"labels", "labels",
          [](const std::string& path) {
            labels::LabelsFile file;
            file.ids = {1, 2, ~std::uint64_t{0}};
            file.labels.values = {0, labels::kUnknown, 4};
            file.labels.classes = 5;
            file.class_names = {"a", "b", "c", "d", "e"};
            labels::write_labels(path, file, options(), io::outside_input("data", "d", "some"));
          },
          [](const std::string& path) { labels::read_labels(path); }};
}

Kind study_kind() {
  return {"study", "study",
          [](const std::string& path) {
            const auto study =
                artifact::test::study_of({artifact::test::layer_study("layer1", 1e5)});
            artifact::write_study(path, study, options(), inputs());
          },
          [](const std::string& path) { artifact::choose(artifact::read_study(path)); }};
}

Kind caches_kind(const std::string& name, bool calibrated) {
  return {name, "caches",
          [calibrated](const std::string& path) {
            artifact::Caches caches;
            caches.classes = 5;
            caches.train_ids_hash = "t";
            caches.validation_ids_hash = "v";
            caches.caches = {artifact::test::cache_of("layer1")};
            caches.caches[0].calibrated = calibrated;
            if (calibrated) {
              caches.validation_ids = {3, 9, 27};
              caches.backbone_classes = {0, 4, 1};
            }
            artifact::write_caches(path, caches, options(), inputs());
          },
          [](const std::string& path) { artifact::read_caches(path); }};
}

Kind plan_kind() {
  return {"plan", "plan",
          [](const std::string& path) {
            artifact::write_plan(path, artifact::test::two_plans(), options(), inputs());
          },
          [](const std::string& path) { artifact::read_plan(path); }};
}

Kind report_kind() {
  return {"report", "report",
          [](const std::string& path) {
            artifact::write_report(path, report::small_report(), options(), inputs());
          },
          [](const std::string& path) { artifact::read_report(path); }};
}

std::vector<train::Course> courses() {
  model::CacheModel model(model::Architecture::parse("fc4"), {3, 2, 2}, 5);
  std::vector<train::Course> all{
      {"layer1", learn::Student(std::move(model), 0, {}, 10), {}, -1, 0, 0, {}, false}};
  all[0].best = all[0].student.model().state();
  return all;
}

Kind checkpoint_kind() {
  return {
      "checkpoint", "checkpoint",
      [](const std::string& path) {
        auto some = courses();
        some[0].curve = {{1, 0.5, 0.6, 0.7}};
        train::write_checkpoint(path, {1, 4, {"layer2"}}, some, "epochs: 4\n", options(), inputs());
      },
      [](const std::string& path) {
        auto some = courses();
        train::read_standing(path, "epochs: 4\n");
        train::read_checkpoint(path, some);
      }};
}

}  // namespace

const std::vector<Kind>& all_kinds() {
  static const std::vector<Kind> kinds = {
      profile_kind(),
      medial_kind("medial", io::DType::kFloat32, 0),
      medial_kind("medial_int8_deflated", io::DType::kInt8, 3),
      labels_kind(),
      study_kind(),
      caches_kind("caches", false),
      caches_kind("calibrated", true),
      plan_kind(),
      report_kind(),
      checkpoint_kind(),
  };
  return kinds;
}

}  // namespace cachectl::format_test
