#include "artifact/caches.h"

#include <ATen/ATen.h>

#include "artifact/cache_group.h"
#include "base/error.h"

namespace cachectl::artifact {

void write_caches(const std::string& path, const Caches& caches, const CommonOptions& common,
                  const std::map<std::string, io::Provenance>& inputs) {
  io::ArtifactWriter writer(path, "caches", common);
  for (const auto& [role, made] : inputs) writer.add_input(role, made);
  io::Group& root = writer.root();
  bool calibrated = !caches.caches.empty();
  for (const auto& cache : caches.caches) calibrated = calibrated && cache.calibrated;
  root.set("classes", caches.classes);
  root.set("cache_models", static_cast<std::int64_t>(caches.caches.size()));
  root.set("calibrated", calibrated ? "yes" : "no");
  root.set("train_ids_hash", caches.train_ids_hash);
  root.set("validation_ids_hash", caches.validation_ids_hash);
  io::Group models = root.create_group("caches");
  write_cache_models(models, caches.caches, true);
  if (calibrated) {
    root.write("validation_ids", caches.validation_ids);
    root.write("backbone_classes", caches.backbone_classes);
  }
  writer.commit();
}

Caches read_caches(const std::string& path) {
  const io::ArtifactReader reader(path, "caches");
  const io::Group& root = reader.root();
  Caches caches;
  caches.provenance = reader.provenance();
  caches.classes = root.integer("classes");
  if (caches.classes < 2) {
    fail(ExitCode::kCorrupt, "{}: classes {}: expected at least 2", path, caches.classes);
  }
  caches.train_ids_hash = root.text("train_ids_hash");
  caches.validation_ids_hash = root.text("validation_ids_hash");
  caches.caches = read_cache_models(root.group("caches"));
  if (static_cast<std::int64_t>(caches.caches.size()) != root.integer("cache_models")) {
    fail(ExitCode::kCorrupt, "{}: /caches: {} cache models, the header says {}", path,
         caches.caches.size(), root.integer("cache_models"));
  }
  if (root.text("calibrated") != "yes") return caches;
  caches.validation_ids = root.read<std::uint64_t>("validation_ids");
  const auto samples = static_cast<std::int64_t>(caches.validation_ids.size());
  caches.backbone_classes = root.read<std::int32_t>("backbone_classes", {samples});
  for (const auto& cache : caches.caches) {
    const auto found = cache.calibration.predictions.size();
    if (!cache.calibrated || static_cast<std::int64_t>(found) != samples) {
      fail(ExitCode::kCorrupt, "{}: /caches: {}: {} predictions for {} validation samples", path,
           cache.layer, found, samples);
    }
    for (const auto label : cache.calibration.predictions) {
      if (label < 0 || label >= caches.classes) {
        fail(ExitCode::kCorrupt, "{}: /caches: {}: class {} of {}", path, cache.layer, label,
             caches.classes);
      }
    }
  }
  return caches;
}

}  // namespace cachectl::artifact
