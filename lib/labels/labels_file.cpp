#include "labels/labels_file.h"

#include <algorithm>
#include <cassert>
#include <iostream>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "data/dataset.h"

namespace cachectl::labels {

void describe(OptionTable& table, Options& options) {
  data::describe(table, options.data);
  table.section("");
  table.output("out", options.out, "the labels file to write").required();
}

io::Provenance write_labels(const std::string& path, const LabelsFile& file,
                            const CommonOptions& common, const io::Provenance& data) {
  assert(file.ids.size() == file.labels.values.size());
  io::ArtifactWriter writer(path, "labels", common);
  writer.add_input("data", data);
  io::Group& root = writer.root();
  root.write("id", file.ids);
  root.write("label", file.labels.values);
  if (!file.class_names.empty()) root.write_texts("class_name", file.class_names);
  root.set("classes", file.labels.classes);
  root.set("samples", static_cast<std::int64_t>(file.ids.size()));
  const auto& values = file.labels.values;
  root.set("unknown",
           static_cast<std::int64_t>(std::count(values.begin(), values.end(), kUnknown)));
  return writer.commit();
}

LabelsFile read_labels(const std::string& path) {
  const io::ArtifactReader reader(path, "labels");
  const io::Group& root = reader.root();
  LabelsFile file;
  file.provenance = reader.provenance();
  file.ids = root.read<std::uint64_t>("id");
  file.labels.values = root.read<std::int64_t>("label", {std::int64_t(file.ids.size())});
  file.labels.classes = root.integer("classes");
  file.labels.skipped = root.integer("unknown");
  if (root.has("class_name")) file.class_names = root.read_texts("class_name");
  for (std::size_t i = 0; i < file.ids.size(); ++i) {
    const std::int64_t label = file.labels.values[i];
    if (label >= kUnknown && label < file.labels.classes) continue;
    fail(ExitCode::kCorrupt, "{}: /label: sample {:016x} has class {}, expected -1 to {}", path,
         file.ids[i], label, file.labels.classes - 1);
  }
  const std::unordered_set<std::uint64_t> once(file.ids.begin(), file.ids.end());
  if (once.size() != file.ids.size()) {
    fail(ExitCode::kCorrupt, "{}: /id: {} samples, but {} different ids", path, file.ids.size(),
         once.size());
  }
  return file;
}

void run(Options& options) {
  const auto dataset = data::open_dataset(options.data, options.common);
  LabelsFile file;
  file.ids = dataset->ids();
  file.labels = open_labels(options.data, options.common);
  file.class_names = dataset->class_names();
  write_labels(options.out, file, options.common,
               io::outside_input("data", dataset->content_hash(), dataset->name()));
  if (options.common.json) {
    const nlohmann::ordered_json json = {{"out", options.out},
                                         {"samples", file.ids.size()},
                                         {"classes", file.labels.classes},
                                         {"unknown", file.labels.skipped}};
    std::cout << json.dump(2) << '\n';
    return;
  }
  std::cout << fmt::format("{}: {} samples of {} classes, {} without a label\n", options.out,
                           file.ids.size(), file.labels.classes, file.labels.skipped);
}

}  // namespace cachectl::labels
