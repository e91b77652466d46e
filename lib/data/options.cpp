#include "data/options.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace cachectl::data {
namespace {

// Declares options whose flags start with the section's name.
class Section {
 public:
  Section(OptionTable& table, const std::string& name) : table_(table), name_(name) {
    table_.section(name);
  }
  Option& value(const std::string& key, OptionTarget target, std::string help) {
    std::string flag = "--" + name_ + "-" + key;
    std::replace(flag.begin(), flag.end(), '_', '-');
    return table_.value(key, target, std::move(help)).named(flag);
  }

 private:
  OptionTable& table_;
  const std::string name_;
};

}  // namespace

void describe(OptionTable& table, Options& options, const std::string& section) {
  Section in(table, section);
  in.value("kind", &options.kind, "where samples come from")
      .choices({"synthetic", "cifar10", "cifar100", "folder", "hdf5", "npy"});
  // A place that belongs to the experiment: known to --list-inputs, and in YAML all the same.
  in.value("path", &options.path, "file or folder of the samples").role = OptionRole::kInput;
  in.value("part", &options.part, "the backbone's own part, or what it sees in use")
      .choices({"train", "inference"});
  in.value("max_samples", &options.max_samples, "take only the first so many; 0: all")
      .range(0, 1e12);
  Option& skip_bad =
      in.value("skip_bad", &options.skip_bad, "count and drop bad samples instead of failing");
  if (section == "data") skip_bad.named("--skip-bad");
  in.value("transform", &options.transform,
           "steps before mean and std: 'resize 256', 'resize 224 224', 'center_crop 224'");
  in.value("dtype", &options.dtype,
           "what the model takes: float32, or the dtype as stored (tokens)")
      .choices({"float32", "stored"});
  in.value("mean", &options.mean, "subtracted, per channel or one for all").range(-1e6, 1e6);
  in.value("std", &options.std, "divided by, per channel or one for all").range(1e-9, 1e6);
  in.value("object", &options.object, "hdf5: the data set in the file, samples first");
  in.value("labels", &options.labels,
           "hdf5: the object with the labels; npy: their file; read by the evaluation only");
  in.value("samples", &options.samples, "synthetic: how many").range(1, 1e9);
  in.value("synthetic_seed", &options.synthetic_seed, "synthetic: which set is drawn")
      .range(0, 9e18);
  in.value("image_size", &options.image_size, "synthetic: pixels a side").range(16, 512);
  in.value("difficulty", &options.difficulty, "synthetic: 0 trivial, 1 the standard mixture")
      .range(0, 2);
}

void SplitOptions::validate() const {
  const double sum = train + validation + certify + test;
  if (std::abs(sum - 1) > 1e-6) {
    fail(ExitCode::kUsage,
         "split: train {:g} + validation {:g} + certify {:g} + test {:g} = {:g}: the shares must "
         "sum to 1",
         train, validation, certify, test, sum);
  }
}

void describe(OptionTable& table, SplitOptions& options, const std::string& section) {
  Section in(table, section);
  in.value("train", &options.train, "share that cache models learn from").range(0, 1);
  in.value("validation", &options.validation, "share for temperatures and thresholds").range(0, 1);
  in.value("certify", &options.certify, "share for the certificate").range(0, 1);
  in.value("test", &options.test, "share for the evaluation").range(0, 1);
}

void describe(OptionTable& table, AugmentOptions& options, const std::string& section) {
  Section in(table, section);
  in.value("flip", &options.flip, "mirror left and right in half of the views");
  in.value("shift", &options.shift, "move by up to so many pixels, borders reflected")
      .range(0, 512);
  in.value("mixup", &options.mixup, "alpha of Beta(alpha, alpha) for mixing pairs; 0: off")
      .range(0, 100);
  in.value("mixup_share", &options.mixup_share, "share of the views that are mixed").range(0, 1);
  in.value("cutmix", &options.cutmix, "share of the views that get a patch of another instead")
      .range(0, 1);
}

}  // namespace cachectl::data
