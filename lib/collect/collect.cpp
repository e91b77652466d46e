#include "collect/collect.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "artifact/medial_merge.h"
#include "artifact/medial_rows.h"
#include "artifact/profile.h"
#include "base/error.h"
#include "base/log.h"
#include "base/shard.h"
#include "base/table.h"
#include "base/text.h"
#include "collect/input_stream.h"
#include "collect/pipeline.h"
#include "collect/planning.h"
#include "data/loader.h"
#include "data/transform.h"
#include "io/positioned_file.h"

namespace cachectl::collect {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr std::int64_t kScaleRows = 512;  // training samples that the int8 scale is taken from

// Samples to load the backbone with: enough rows for it to be tried on.
// The candidates of the profile are what is recorded, so it must be of this backbone.
void follow_profile(const model::Backbone& backbone, Options& options,
                    std::map<std::string, io::Provenance>& inputs) {
  if (options.profile.empty()) return;
  const artifact::Profile profile = artifact::read_profile(options.profile);
  if (profile.backbone_hash != backbone.hash()) {
    fail(ExitCode::kIncompatible,
         "{}: is the profile of backbone {:.12}, but {} is {:.12}; profile this backbone",
         options.profile, profile.backbone_hash, options.backbone.path, backbone.hash());
  }
  inputs["profile"] = profile.provenance;
  if (options.layers.empty()) {
    for (const auto& candidate : profile.candidates) options.layers.push_back(candidate.name);
  } else {
    for (const auto& name : options.layers) (void)profile.candidate(name);
  }
}

void follow_append(const artifact::MedialReader& before, const model::Backbone& backbone,
                   const data::Transform& transform,
                   std::map<std::string, io::Provenance>& inputs) {
  const io::Provenance* made_with = before.provenance().find("backbone");
  if (made_with != nullptr && made_with->content_hash != backbone.hash()) {
    fail(ExitCode::kIncompatible,
         "{}: was collected from backbone {:.12}, but {} is {:.12}; collect all anew",
         before.path(), made_with->content_hash, backbone.options().path, backbone.hash());
  }
  artifact::require_made_alike(before, transform.text(), backbone.options().precision,
                               "this collection");
  // Its own inputs stand in that file, which the hash names: here they would double with each
  // append and merge.
  io::Provenance made = before.provenance();
  made.inputs.clear();
  inputs["append"] = std::move(made);
}

std::string space_message(const artifact::MedialPlan& plan, const Options& options) {
  const double bytes = plan.deflate > 0 ? static_cast<double>(plan.expected_bytes)
                                        : static_cast<double>(plan.rows.size() * plan.row_bytes());
  const auto folder = std::filesystem::path(options.out).parent_path();
  return fmt::format("{} rows of {} layers as {}: about {}; the disk has {} free", plan.rows.size(),
                     plan.layers.size(), io::name_of(plan.layers.front().stored),
                     text::bytes(bytes), text::bytes(double(io::free_space(folder))));
}

std::string describe_backbone(const Options& options) {
  return "TorchScript " + options.backbone.path;
}

Result merge(const Options& options) {
  Result result;
  result.provenance = artifact::merge_medial(options.out, options.merge, options.common);
  result.rows = artifact::MedialReader(options.out).rows().size();
  result.bytes = static_cast<std::int64_t>(std::filesystem::file_size(options.out));
  return result;
}

nlohmann::ordered_json json_of(const Options& options, const Result& result) {
  const artifact::MedialReader medial(options.out);
  nlohmann::ordered_json json = {{"out", options.out},
                                 {"content_hash", result.provenance.content_hash},
                                 {"rows", result.rows},
                                 {"resumed_rows", result.resumed_rows},
                                 {"bytes", result.bytes}};
  for (const data::Part part : data::kParts) {
    json["samples"][data::part_name(part)] = medial.rows_of(part).size();
  }
  json["views"] =
      medial.rows_of(data::Part::kTrain, true).size() - medial.rows_of(data::Part::kTrain).size();
  for (const auto& layer : medial.layers()) {
    json["layers"].push_back({{"name", layer.name},
                              {"shape", layer.shape},
                              {"dtype", io::name_of(layer.stored)},
                              {"bytes_per_row", layer.row_bytes()}});
  }
  const Timings& t = result.timings;
  json["seconds"] = {{"total", t.total},           {"inputs", t.inputs},   {"backbone", t.backbone},
                     {"conversion", t.conversion}, {"waiting", t.waiting}, {"writing", t.writing},
                     {"commit", t.commit}};
  return json;
}

void print_table(const Options& options, const Result& result) {
  const artifact::MedialReader medial(options.out);
  Table parts({"part", "samples", "rows with views", "ids"});
  for (const data::Part part : data::kParts) {
    parts.add({data::part_name(part), std::to_string(medial.rows_of(part).size()),
               std::to_string(medial.rows_of(part, true).size()),
               medial.ids_hash(part).substr(0, 12)});
  }
  parts.print(std::cout);
  std::cout << fmt::format("\n{}: {} rows, {} layers, {} classes, {}\n", options.out, result.rows,
                           medial.layers().size(), medial.classes(),
                           text::bytes(double(result.bytes)));
  const Timings& t = result.timings;
  if (t.total > 0) {
    std::cout << fmt::format(
        "{}: backbone {}, waiting for samples {}, for the writer {}, completing the file {}; "
        "beside it "
        "conversion {}, writing {}\n",
        text::duration(t.total), text::duration(t.backbone), text::duration(t.inputs),
        text::duration(t.waiting), text::duration(t.commit), text::duration(t.conversion),
        text::duration(t.writing));
  }
}

}  // namespace

void Options::validate() const {
  (void)shard_of_flag(shard);
  if (!merge.empty()) {
    if (merge.size() < 2) fail(ExitCode::kUsage, "--merge: takes two files or more");
    if (!shard.empty() || !append.empty()) {
      fail(ExitCode::kUsage, "--merge records nothing: --shard and --append don't go with it");
    }
    return;
  }
  if (backbone.path.empty()) {
    fail(ExitCode::kUsage, "--backbone is required; --help tells what it is");
  }
  split.validate();
  if (views > 0 && !augment.any()) {
    fail(ExitCode::kUsage,
         "--augment {}: but nothing is to be changed in a view; switch on one of augment.flip, "
         "augment.shift, augment.mixup",
         views);
  }
  if (!append.empty() && !layers.empty()) {
    fail(ExitCode::kUsage, "--append takes the layers of {}: --layers doesn't go with it", append);
  }
}

void describe(OptionTable& table, Options& options) {
  model::describe(table, options.backbone);
  for (auto& option : table.options()) option.is_required = false;  // not to merge
  data::describe(table, options.data);
  data::describe(table, options.split);
  data::describe(table, options.augment);
  table.section("collect");
  table.input("profile", options.profile, "the backbone's profile: names the candidates");
  table.value("storage", &options.storage, "dtype of the stored activations")
      .choices({"float32", "float16", "bfloat16", "int8"});
  table
      .value("deflate", &options.deflate,
             "compress without loss: 1 quick to 9 small; 0: not at all, which is faster")
      .range(0, 9);
  table.value("layers", &options.layers, "record these candidates only");
  table.value("views", &options.views, "augmented views of each training sample")
      .range(0, 1000)
      .named("--augment");
  table.value("max_samples", &options.max_samples, "so many samples, drawn by id; 0: all")
      .range(0, 1e12);
  table.value("max_gib", &options.max_gib, "leave samples out to stay below this size; 0: no limit")
      .range(0, 1e9);
  table.value("batch_size", &options.batch_size, "rows computed and written at once")
      .range(1, 65536);
  table.value("shard", &options.shard, "record the i-th of n parts only, as 2/5; see --merge")
      .only_flag();
  table.input("append", options.append,
              "medial file; record the samples that it has not, as a new part beside it");
  table
      .value("merge", &options.merge,
             "record nothing: join these medial files, which stay where they are")
      .only_flag();
  table.output("out", options.out, "the medial file to write").required();
}

Result record(const Options& given) {
  Options options = given;
  options.validate();
  io::require_writable(options.out, options.common.force);
  if (!options.merge.empty()) return merge(options);
  // A file-size limit then comes as an error of the write, and not as the process's end.
  std::signal(SIGXFSZ, SIG_IGN);
  options.backbone.device = options.common.device;
  options.backbone.path = options.common.resolve(options.backbone.path);

  const auto dataset = data::open_dataset(options.data, options.common);
  const data::Transform transform(options.data);
  const auto backbone = model::Backbone::load(
      options.backbone, {data::first_inputs(*dataset, transform, options.data.skip_bad)});
  std::map<std::string, io::Provenance> inputs = {
      {"backbone", io::outside_input("backbone", backbone->hash(), describe_backbone(options))},
      {"data", io::outside_input("data", dataset->content_hash(), dataset->name())}};
  follow_profile(*backbone, options, inputs);
  std::optional<artifact::MedialReader> before;
  if (!options.append.empty()) {
    before.emplace(options.append);
    follow_append(*before, *backbone, transform, inputs);
  }
  const artifact::MedialReader* known = before ? &*before : nullptr;
  const std::int32_t generation = known == nullptr || known->rows().generations.empty()
                                      ? 0
                                      : 1 + *std::max_element(known->rows().generations.begin(),
                                                              known->rows().generations.end());

  artifact::MedialPlan plan;
  plan.classes = backbone->num_classes();
  plan.output_kind = model::name_of(backbone->output_kind());
  plan.deflate = static_cast<int>(options.deflate);
  plan.layers = plan_layers(*backbone, options, known);
  plan.settings = settings_text(options, *backbone, *dataset);
  plan.notes = {{"dataset", dataset->name()}, {"transform", transform.text()}};

  auto usable = usable_samples(*dataset, transform, options, known);
  RowPlan rows = plan_rows(*dataset, usable, options, generation);
  const bool needs_scales = options.storage == "int8" && known == nullptr;
  double ratio = 1;
  if (needs_scales || plan.deflate > 0) {
    InputStream first(*dataset, transform, rows, options, 0);
    const std::int64_t looked_at =
        std::min<std::int64_t>(needs_scales ? kScaleRows : options.batch_size,
                               std::max<std::int64_t>(1, std::int64_t(rows.mix_pool.size())));
    ratio = probe(*backbone, first, looked_at, options.batch_size, plan.deflate, needs_scales,
                  plan.layers);
  }
  if (options.max_gib > 0) {
    const double bytes = options.max_gib * kGiB / ratio;
    const std::int64_t fit =
        samples_that_fit(std::int64_t(usable.size()), bytes, plan.row_bytes(), options);
    if (fit == 0) {
      fail(ExitCode::kUsage, "--max-gib {:g}: not one sample of {} fits", options.max_gib,
           text::bytes(double(plan.row_bytes()) * ratio));
    }
    if (fit < std::int64_t(usable.size())) {
      log::warning("--max-gib {:g}: {} of {} samples are taken", options.max_gib, fit,
                   usable.size());
      options.max_samples = fit;
      options.data.skip_bad = false;  // they are known
      usable = drawn_samples(*dataset, std::move(usable), options);
      rows = plan_rows(*dataset, usable, options, generation);
    }
  }
  const Shard shard = shard_of_flag(options.shard);
  const std::int64_t all = rows.table.size();
  const std::int64_t blocks = (all + options.batch_size - 1) / options.batch_size;
  const auto [first_block, last_block] = blocks_of(shard, blocks);
  if (first_block == last_block) {
    fail(ExitCode::kNothingProcessed, "--shard {}: no row: there are {} blocks of {} rows in all",
         options.shard, blocks, options.batch_size);
  }
  if (!options.shard.empty()) {
    plan.notes["shard"] = fmt::format("{}/{}", shard.number, shard.of);
    plan.notes["collection"] =
        fmt::format("{:.16} in blocks of {}", artifact::hash_of(rows.table), options.batch_size);
  }
  rows.keep(first_block * options.batch_size, std::min(all, last_block * options.batch_size));
  plan.rows = rows.table;
  plan.cut_into_blocks(options.batch_size);
  plan.expected_bytes =
      static_cast<std::int64_t>(double(plan.rows.size() * plan.row_bytes()) * ratio * 1.02);
  log::info("{}", space_message(plan, options));

  Result result;
  artifact::MedialWriter writer(options.out, std::move(plan), options.common, inputs);
  const artifact::MedialPlan& written = writer.plan();
  for (std::int64_t i = 0; i < writer.blocks_done(); ++i) {
    result.resumed_rows += written.blocks[std::size_t(i)];
  }
  InputStream stream(*dataset, transform, rows, options, result.resumed_rows);
  result.timings = record_rows(*backbone, stream, writer, *dataset);
  result.rows = written.rows.size();
  const auto recorded = std::chrono::steady_clock::now();
  result.provenance = writer.commit();
  const std::chrono::duration<double> committing = std::chrono::steady_clock::now() - recorded;
  result.timings.commit = committing.count();
  result.timings.total += result.timings.commit;
  result.bytes = static_cast<std::int64_t>(std::filesystem::file_size(options.out));
  return result;
}

void run(Options& options) {
  const Result result = record(options);
  if (options.common.json) {
    std::cout << json_of(options, result).dump(2) << '\n';
  } else {
    print_table(options, result);
  }
}

}  // namespace cachectl::collect
