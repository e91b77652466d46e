#include "zoo/train.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/cancel.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/table.h"
#include "base/text.h"
#include "data/loader.h"
#include "data/split.h"
#include "io/artifact.h"
#include "model/precision.h"
#include "zoo/backbone_file.h"
#include "zoo/checkpoint.h"
#include "zoo/evaluate.h"
#include "zoo/optimizer.h"
#include "zoo/zoo.h"

namespace cachectl::zoo {

namespace {

// How many training samples the final training accuracy is measured on at most, and how
// many held-out ones after each epoch.
constexpr std::size_t kMeasuredTrainSamples = 10000, kMeasuredPerEpoch = 2000;

std::vector<std::int64_t> first(const std::vector<std::int64_t>& indices, std::size_t count) {
  return {indices.begin(),
          indices.begin() + static_cast<std::ptrdiff_t>(std::min(count, indices.size()))};
}

// What is trained on and what is measured.
struct Parts {
  LabelledData train, held_out;
};

Parts open_parts(const TrainOptions& options) {
  data::Options of_part = options.data;
  of_part.part = "train";
  Parts parts{open_labelled(of_part, options.common), {}};
  of_part.part = "inference";
  parts.held_out = open_labelled(of_part, options.common);
  if (parts.held_out.labels.classes != parts.train.labels.classes) {
    fail(ExitCode::kIncompatible, "{} has {} classes, {} has {}", parts.train.samples->name(),
         parts.train.labels.classes, parts.held_out.samples->name(), parts.held_out.labels.classes);
  }
  if (parts.train.samples->content_hash() != parts.held_out.samples->content_hash()) return parts;

  // One set without parts: cut it by sample id.
  const data::SplitOptions shares{1 - options.held_out, 0, 0, options.held_out};
  const data::Split split(parts.train.samples->ids(), shares,
                          static_cast<std::uint64_t>(options.common.seed));
  const auto keep = [&](LabelledData& data, data::Part part) {
    auto& indices = data.indices;
    indices.erase(std::remove_if(indices.begin(), indices.end(),
                                 [&](std::int64_t i) { return split.part(i) != part; }),
                  indices.end());
    if (indices.empty()) {
      fail(ExitCode::kNothingProcessed, "{}: too few samples to train on and to hold out {:g}",
           data.samples->name(), options.held_out);
    }
  };
  keep(parts.train, data::Part::kTrain);
  keep(parts.held_out, data::Part::kTest);
  log::warning(
      "{}: is one set without a training part: {} of its samples train the backbone, which "
      "will know them; collect and measure on others",
      parts.train.samples->name(), parts.train.indices.size());
  return parts;
}

Spec spec_of(const TrainOptions& options, const LabelledData& data) {
  const std::vector<std::int64_t> shape =
      data::input_shape(*data.samples, data.transform, data.skip_bad);
  if (shape.size() != 3 || shape[0] != 3 || shape[1] != shape[2]) {
    fail(
        ExitCode::kIncompatible,
        "{}: inputs of {}; the architectures take square images of 3 channels (see data.transform)",
        data.samples->name(), text::shape(shape));
  }
  Spec spec;
  spec.arch = options.arch;
  spec.classes = data.labels.classes;
  spec.input_size = shape[1];
  spec.stem = options.stem;
  spec.shortcut = options.shortcut;
  return completed(spec);
}

class Trainer {
 public:
  explicit Trainer(const TrainOptions& options)
      : options_(options),
        device_(options.common.device),
        precision_(model::resolved_precision(options.precision, device_)),
        parts_(open_parts(options)),
        spec_(spec_of(options, parts_.train)),
        module_(build(spec_, derive_seed(seed(), "weights"))) {
    module_.to(device_);
    std::vector<std::pair<std::string, at::Tensor>> parameters;
    for (const auto& parameter : module_.named_parameters()) {
      parameters.emplace_back(parameter.name, parameter.value);
    }
    optimizer_.emplace(std::move(parameters),
                       Sgd::Options{options.momentum, !options.no_nesterov, options.weight_decay});
    const auto samples = static_cast<std::int64_t>(parts_.train.indices.size());
    steps_per_epoch_ = (samples + options.batch_size - 1) / options.batch_size;
  }

  TrainResult run() {
    const auto start = std::chrono::steady_clock::now();
    const auto samples = static_cast<std::int64_t>(parts_.train.indices.size());
    log::info("{}: {} parameters, {} classes; {} samples of {}, {} held out; {}", spec_.arch,
              parameter_count(module_), spec_.classes, samples, parts_.train.samples->name(),
              parts_.held_out.indices.size(), precision_);
    const std::filesystem::path partial = io::partial_path(options_.out);
    Checkpoint checkpoint{fingerprint(), 0, {}, state_of(module_), optimizer_->state()};
    restore(checkpoint, partial);

    Progress progress("training " + spec_.arch, samples * options_.epochs, "samples");
    progress.skip(samples * checkpoint.epochs);
    while (checkpoint.epochs < options_.epochs) {
      checkpoint.losses.push_back(run_epoch(checkpoint.epochs, progress));
      ++checkpoint.epochs;
      set_batch_counts(checkpoint.epochs * steps_per_epoch_);
      write_checkpoint(checkpoint, partial);
      const Accuracy held_out = measure(parts_.held_out, kMeasuredPerEpoch, "");
      progress.note(fmt::format("epoch {}/{}, loss {:.3f}, held-out accuracy {:.1f} %",
                                checkpoint.epochs, options_.epochs, checkpoint.losses.back(),
                                100 * held_out.share()));
    }
    progress.finish();
    return finish(checkpoint, partial, start);
  }

 private:
  std::uint64_t seed() const { return static_cast<std::uint64_t>(options_.common.seed); }

  // All that a checkpoint must share with the run that goes on from it.
  std::string fingerprint() const {
    Sha256 hash;
    const TrainOptions& o = options_;
    hash.update(fmt::format("{} {} {} {} {}", spec_.arch, spec_.classes, spec_.input_size,
                            spec_.stem, spec_.shortcut));
    hash.update(fmt::format("{} {} {} {} {} {} {} {} {} {} {}", o.epochs, o.batch_size,
                            o.learning_rate, o.momentum, o.no_nesterov, o.weight_decay,
                            o.label_smoothing, o.no_flip, o.shift, precision_, o.common.seed));
    hash.update(parts_.train.transform.text());
    hash.update(parts_.train.samples->content_hash());
    for (const std::int64_t index : parts_.train.indices) {
      hash.update(static_cast<std::uint64_t>(index));
      // Of some kinds of data the labels stand in a file of their own.
      const auto label = parts_.train.labels.values[static_cast<std::size_t>(index)];
      hash.update(static_cast<std::uint64_t>(label));
    }
    return hash.hex();
  }

  void restore(Checkpoint& checkpoint, const std::filesystem::path& partial) {
    std::error_code error;
    if (!std::filesystem::exists(partial, error)) return;
    if (!options_.common.resume) {
      log::warning("{}: from a run that was ended; begun anew (--resume goes on from it)",
                   partial.string());
      return;
    }
    try {
      read_checkpoint(checkpoint, partial);
    } catch (const Error& incompatible) {
      // Its fingerprint is looked at first: nothing was copied.
      if (!options_.common.force || incompatible.code() != ExitCode::kIncompatible) throw;
      log::warning("{}: from a run with other options or other data; begun anew", partial.string());
      return;
    }
    log::info("{}: goes on after epoch {} of {}", partial.string(), checkpoint.epochs,
              options_.epochs);
  }

  data::BatchLoader load_epoch(std::int64_t epoch) const {
    std::vector<std::int64_t> order = parts_.train.indices;
    Rng(derive_seed(seed(), "shuffle", static_cast<std::uint64_t>(epoch))).shuffle(order);
    data::LoaderOptions loading;
    loading.batch_size = options_.batch_size;
    loading.threads = options_.common.threads;
    loading.skip_bad = parts_.train.skip_bad;
    loading.augment.flip = !options_.no_flip;
    loading.augment.shift = options_.shift;
    loading.seed = derive_seed(seed(), "augmentation");
    loading.view = epoch;
    return {*parts_.train.samples, parts_.train.transform, std::move(order), loading};
  }

  // Returns the mean loss. One pass over the training samples.
  double run_epoch(std::int64_t epoch, Progress& progress) {
    // Plain autograd: the executor's own differentiation pays only for long runs of small ops.
    const torch::jit::GraphOptimizerEnabledGuard no_graph_optimizer(false);
    module_.train();
    // What dropout drops in an epoch is the same in a run that was ended and gone on with.
    at::manual_seed(derive_seed(seed(), "dropout", static_cast<std::uint64_t>(epoch)));
    data::BatchLoader loader = load_epoch(epoch);
    double loss_sum = 0;
    std::int64_t samples = 0;
    for (std::int64_t step = epoch * steps_per_epoch_;; ++step) {
      const std::optional<data::Batch> batch = loader.next();
      if (!batch) break;
      cancel::throw_if_requested();
      if (batch->size() == 1 && steps_per_epoch_ > 1) continue;  // no variance to normalise by
      const double loss = run_step(*batch, step);
      loss_sum += loss * static_cast<double>(batch->size());
      samples += batch->size();
      progress.advance(batch->size());
    }
    return loss_sum / static_cast<double>(samples);
  }

  double run_step(const data::Batch& batch, std::int64_t step) {
    const at::Tensor targets = parts_.train.labels_at(batch.indices).to(device_);
    const at::Tensor inputs = batch.inputs.to(device_);
    at::Tensor logits;
    {
      const model::MixedPrecision precision(precision_ == "bfloat16", device_);
      logits = module_.forward({inputs}).toTensor();
    }
    const at::Tensor loss =
        at::cross_entropy_loss(logits.to(at::kFloat), targets, {}, at::Reduction::Mean,
                               /*ignore_index=*/-100, options_.label_smoothing);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      fail(ExitCode::kUsage,
           "the loss is {} at step {}: training diverged; lower --learning-rate (now {:g})", value,
           step + 1, options_.learning_rate);
    }
    loss.backward();
    optimizer_->step(
        one_cycle_rate(options_.learning_rate, step, steps_per_epoch_ * options_.epochs));
    return value;
  }

  Accuracy measure(const LabelledData& data, std::size_t most, const std::string& label) {
    return measure_accuracy(module_, data, first(data.indices, most), device_, options_.batch_size,
                            options_.common, label);
  }

  // torch.nn.BatchNorm2d counts its batches in a buffer; loaders of state dicts expect it.
  void set_batch_counts(std::int64_t count) {
    for (const auto& buffer : module_.named_buffers()) {
      if (!buffer.value.is_floating_point()) buffer.value.fill_(count);
    }
  }

  TrainResult finish(const Checkpoint& checkpoint, const std::filesystem::path& partial,
                     std::chrono::steady_clock::time_point start) {
    TrainResult result;
    result.parameters = parameter_count(module_);
    result.classes = spec_.classes;
    result.samples = static_cast<std::int64_t>(parts_.train.indices.size());
    result.held_out_samples = static_cast<std::int64_t>(parts_.held_out.indices.size());
    result.losses = checkpoint.losses;
    result.train_accuracy =
        measure(parts_.train, kMeasuredTrainSamples, "accuracy on training samples").share();
    result.held_out_accuracy =
        measure(parts_.held_out, parts_.held_out.indices.size(), "accuracy on held-out samples")
            .share();
    Record record = record_of(spec_, options_.common);
    record.mean = options_.data.mean;
    record.std = options_.data.std;
    record.class_names = parts_.train.samples->class_names();
    record.weights = "trained on " + parts_.train.samples->name();
    record.accuracy = result.held_out_accuracy;
    save_backbone(module_, record, options_.out);
    std::error_code ignored;
    std::filesystem::remove(partial, ignored);
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
  }

  const TrainOptions& options_;
  const at::Device device_;
  const std::string precision_;
  Parts parts_;
  const Spec spec_;
  torch::jit::Module module_;
  std::optional<Sgd> optimizer_;
  std::int64_t steps_per_epoch_ = 0;
};

void validate(const TrainOptions& options) {
  if (options.epochs < 1 || options.batch_size < 2) {
    fail(ExitCode::kUsage, "{} epochs of batches of {}: at least 1 and 2 are needed",
         options.epochs, options.batch_size);
  }
}

}  // namespace

void describe(OptionTable& table, TrainOptions& options) {
  table.output("out", options.out, "TorchScript file to write").required();
  data::describe(table, options.data);
  table.section("backbone_training");
  table.value("arch", &options.arch, "architecture; cachectl-backbone list shows them")
      .choices(architecture_names());
  table.value("stem", &options.stem, "cifar, imagenet; default: by the size of the images");
  table.value("shortcut", &options.shortcut, "of the small ResNets: pad (default), conv");
  table.value("epochs", &options.epochs, "passes over the training samples").range(1, 10000);
  table.value("batch_size", &options.batch_size, "samples a step").range(2, 65536);
  table.value("learning_rate", &options.learning_rate, "peak of the one-cycle schedule")
      .range(1e-8, 100);
  table.value("momentum", &options.momentum, "of SGD").range(0, 0.9999);
  table.value("no_nesterov", &options.no_nesterov, "plain momentum");
  table.value("weight_decay", &options.weight_decay, "on kernels and matrices").range(0, 1);
  table.value("label_smoothing", &options.label_smoothing, "share spread over all classes")
      .range(0, 0.999);
  table.value("no_flip", &options.no_flip, "don't mirror images in half of the views");
  table.value("shift", &options.shift, "move images by up to so many pixels").range(0, 512);
  table.value("precision", &options.precision, "auto: bfloat16 where the device has it")
      .choices({"auto", "float32", "bfloat16"});
  table.value("held_out", &options.held_out, "share to measure on, of data without own parts")
      .range(0.001, 0.9);
}

TrainResult train(const TrainOptions& options) {
  validate(options);
  return Trainer(options).run();
}

void run_train(const TrainOptions& options) {
  const TrainResult result = train(options);
  if (options.common.json) {
    const nlohmann::ordered_json json = {{"out", options.out},
                                         {"architecture", options.arch},
                                         {"classes", result.classes},
                                         {"parameters", result.parameters},
                                         {"samples", result.samples},
                                         {"train_accuracy", result.train_accuracy},
                                         {"held_out_samples", result.held_out_samples},
                                         {"held_out_accuracy", result.held_out_accuracy},
                                         {"losses", result.losses},
                                         {"seconds", result.seconds}};
    std::cout << json.dump(2) << '\n';
    return;
  }
  Table table({"backbone", "classes", "parameters", "train accuracy", "held-out accuracy", "time"});
  table.add({options.out, std::to_string(result.classes),
             text::count(static_cast<double>(result.parameters)),
             fmt::format("{:.2f} %", 100 * result.train_accuracy),
             fmt::format("{:.2f} %", 100 * result.held_out_accuracy),
             text::duration(result.seconds)});
  table.print(std::cout);
}

}  // namespace cachectl::zoo
