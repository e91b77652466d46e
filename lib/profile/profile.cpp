#include "profile/profile.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/table.h"
#include "base/text.h"
#include "data/loader.h"
#include "profile/timing.h"

namespace cachectl::profile {
namespace {

std::int64_t whole_number(const std::string& word, const std::string& where) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || value < 1) {
    fail(ExitCode::kUsage, "--inputs: '{}': expected sizes like 3x224x224 or 128:int64:30000",
         where);
  }
  return value;
}

// "3x224x224" or "128:int64:30000" -> random samples.
at::Tensor made_up(const std::string& text, std::int64_t rows, std::uint64_t seed) {
  const auto parts = text::split(text, ':');
  std::vector<std::int64_t> shape{rows};
  for (const auto& size : text::split(parts[0], 'x')) shape.push_back(whole_number(size, text));
  at::Tensor values = at::empty(shape, at::kFloat);
  Rng rng(seed);
  float* const first = values.data_ptr<float>();
  const std::string dtype = parts.size() > 1 ? parts[1] : "float32";
  if (dtype == "float32" && parts.size() <= 2) {
    for (std::int64_t i = 0; i < values.numel(); ++i) first[i] = static_cast<float>(rng.normal());
    return values;
  }
  if (dtype != "int64" || parts.size() != 3) {
    fail(ExitCode::kUsage, "--inputs: '{}': expected sizes like 3x224x224 or 128:int64:30000",
         text);
  }
  const std::int64_t limit = whole_number(parts[2], text);
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    first[i] = static_cast<float>(rng.below(static_cast<std::uint64_t>(limit)));
  }
  return values.to(at::kLong);
}

model::Tensors example_inputs(const Options& options) {
  constexpr std::int64_t kRows = 16;
  model::Tensors inputs;
  if (!options.inputs.empty()) {
    const auto seed = static_cast<std::uint64_t>(options.common.seed);
    for (std::size_t i = 0; i < options.inputs.size(); ++i) {
      inputs.push_back(made_up(options.inputs[i], kRows, derive_seed(seed, "profile inputs", i)));
    }
    return inputs;
  }
  const auto dataset = data::open_dataset(options.data, options.common);
  const data::Transform transform(options.data);
  std::vector<std::int64_t> first = data::all_indices(*dataset);
  first.resize(std::min<std::size_t>(first.size(), kRows));
  data::LoaderOptions loading;
  loading.batch_size = kRows;
  loading.threads = 1;
  loading.skip_bad = options.data.skip_bad;
  data::BatchLoader loader(*dataset, transform, first, loading);
  const auto batch = loader.next();
  if (!batch) fail(ExitCode::kNothingProcessed, "{}: no sample", dataset->name());
  return {batch->inputs};
}

std::string milliseconds(const artifact::Timing& timing) {
  return text::significant(timing.median_ms, 3);
}

void print_table(const artifact::Profile& profile) {
  std::vector<std::string> header = {"candidate",    "shape", "bytes",
                                     "FLOPs before", "after", "left"};
  for (const auto& timing : profile.plain) {
    header.push_back(fmt::format("ms before @{}", timing.batch));
    header.push_back(fmt::format("after @{}", timing.batch));
  }
  Table table(header);
  for (const auto& candidate : profile.candidates) {
    const double all = candidate.flops_before + candidate.flops_after;
    std::vector<std::string> row = {candidate.name,
                                    text::shape(candidate.shape),
                                    text::bytes(static_cast<double>(candidate.bytes_per_sample)),
                                    text::count(candidate.flops_before),
                                    text::count(candidate.flops_after),
                                    fmt::format("{:.1f} %", 100 * candidate.flops_after / all)};
    for (std::size_t i = 0; i < profile.plain.size(); ++i) {
      row.push_back(milliseconds(candidate.before[i]));
      row.push_back(milliseconds(candidate.after[i]));
    }
    table.add(row);
  }
  table.print(std::cout);
  std::cout << fmt::format(
      "\n{} classes ({}), {} FLOPs, {} parameters, {} of weights, {} threads\n", profile.classes,
      profile.output_kind, text::count(profile.flops),
      text::count(static_cast<double>(profile.parameters)),
      text::bytes(static_cast<double>(profile.weight_bytes)), profile.threads);
  for (std::size_t i = 0; i < profile.plain.size(); ++i) {
    const auto &plain = profile.plain[i], &chain = profile.chain[i];
    std::cout << fmt::format("batch {}: {} ms plain ({} to {}), {} ms with all candidates cut\n",
                             plain.batch, milliseconds(plain), text::significant(plain.p10_ms, 3),
                             text::significant(plain.p90_ms, 3), milliseconds(chain));
  }
}

nlohmann::ordered_json json_of(const std::vector<artifact::Timing>& timings) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& timing : timings) {
    list.push_back({{"batch", timing.batch},
                    {"median_ms", timing.median_ms},
                    {"p10_ms", timing.p10_ms},
                    {"p90_ms", timing.p90_ms}});
  }
  return list;
}

void print_json(const artifact::Profile& profile) {
  nlohmann::ordered_json json = {{"backbone_hash", profile.backbone_hash},
                                 {"classes", profile.classes},
                                 {"output_kind", profile.output_kind},
                                 {"inputs", profile.inputs},
                                 {"flops", profile.flops},
                                 {"macs", profile.flops / 2},
                                 {"parameters", profile.parameters},
                                 {"weight_bytes", profile.weight_bytes},
                                 {"device", profile.device},
                                 {"precision", profile.precision},
                                 {"memory_format", profile.memory_format},
                                 {"threads", profile.threads},
                                 {"uncounted_operators", profile.uncounted_operators},
                                 {"plain", json_of(profile.plain)},
                                 {"chain", json_of(profile.chain)}};
  json["candidates"] = nlohmann::ordered_json::array();
  for (const auto& candidate : profile.candidates) {
    json["candidates"].push_back({{"name", candidate.name},
                                  {"shape", candidate.shape},
                                  {"dtype", candidate.dtype},
                                  {"bytes_per_sample", candidate.bytes_per_sample},
                                  {"flops_before", candidate.flops_before},
                                  {"flops_after", candidate.flops_after},
                                  {"before", json_of(candidate.before)},
                                  {"after", json_of(candidate.after)}});
  }
  json["segments"] = nlohmann::ordered_json::array();
  for (const auto& segment : profile.segments) {
    json["segments"].push_back({{"flops", segment.flops},
                                {"macs", segment.macs},
                                {"element_ops", segment.element_ops},
                                {"parameters", segment.parameters},
                                {"weight_bytes", segment.weight_bytes},
                                {"peak_live_bytes", segment.peak_live_bytes},
                                {"timings", json_of(segment.timings)}});
  }
  std::cout << json.dump(2) << "\n";
}

}  // namespace

void describe(OptionTable& table, Options& options) {
  model::describe(table, options.backbone);
  data::describe(table, options.data);
  table.section("profile");
  table.value("inputs", &options.inputs,
              "inputs without a data set: sizes of one sample per argument (3x224x224; "
              "128:int64:30000 for tokens below 30000)");
  table.value("batch_sizes", &options.batch_sizes, "batch sizes to time").range(1, 65536);
  table.value("warm_up", &options.warm_up, "runs before the timed ones").range(1, 1000);
  table.value("repeats", &options.repeats, "timed runs").range(5, 100000);
  table
      .value("seconds_per_size", &options.seconds_per_size,
             "fewer repeats (at least 5) when so many seconds are spent on a batch size")
      .range(0.1, 86400);
  table.output("out", options.out, "the profile to write").required();
}

artifact::Profile measure(const model::Backbone& backbone, const model::Tensors& inputs,
                          const Options& options) {
  artifact::Profile profile;
  profile.backbone_hash = backbone.hash();
  profile.classes = backbone.num_classes();
  profile.output_kind = model::name_of(backbone.output_kind());
  profile.input_shape = backbone.input_shapes().at(0);
  for (const at::Tensor& input : inputs) {
    profile.inputs.push_back(text::shape(input.sizes().slice(1).vec()) +
                             (at::isFloatingType(input.scalar_type()) ? " float32" : " int64"));
  }
  profile.device = backbone.options().device;
  profile.precision = backbone.options().precision;
  profile.memory_format = backbone.options().memory_format;
  profile.threads = at::get_num_threads();
  profile.uncounted_operators = backbone.uncounted_ops();
  for (const auto& cost : backbone.costs()) {
    profile.segments.push_back({cost.flops(),
                                cost.macs,
                                cost.element_ops,
                                cost.parameters,
                                cost.weight_bytes,
                                cost.live_bytes,
                                {}});
    profile.flops += cost.flops();
    profile.parameters += cost.parameters;
    profile.weight_bytes += cost.weight_bytes;
  }
  for (const auto& candidate : backbone.candidates()) {
    profile.candidates.push_back({candidate.name,
                                  candidate.shape,
                                  candidate.dtype == at::kBFloat16 ? "bfloat16" : "float32",
                                  candidate.bytes_per_sample,
                                  candidate.flops_before,
                                  candidate.flops_after,
                                  {},
                                  {}});
  }
  const TimingPlan plan{options.batch_sizes, options.warm_up, options.repeats,
                        options.seconds_per_size};
  time_backbone(backbone, inputs, plan, profile);
  return profile;
}

void run(Options& options) {
  io::require_writable(options.out, options.common.force);
  options.backbone.device = options.common.device;
  const model::Tensors inputs = example_inputs(options);
  const auto backbone = model::Backbone::load(options.backbone, inputs);
  log::info("{}: {} candidates", options.backbone.path, backbone->candidates().size());
  if (backbone->candidates().empty()) {
    log::warning(
        "no candidate: no layer's output alone determines the result with enough work "
        "left; try --candidates all or a smaller --min-share-left");
  }
  for (const std::string& name : backbone->uncounted_ops()) {
    log::warning("{} has no cost rule: it is not in the FLOPs", name);
  }
  const artifact::Profile profile = measure(*backbone, inputs, options);
  artifact::write_profile(
      options.out, profile, options.common,
      io::outside_input("backbone", backbone->hash(), "TorchScript " + options.backbone.path));
  options.common.json ? print_json(profile) : print_table(profile);
}

}  // namespace cachectl::profile
