#include "labels/labels.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "data/cifar.h"
#include "data/image_folder.h"
#include "data/npy.h"
#include "data/synthetic.h"
#include "io/hdf5.h"

namespace cachectl::labels {
namespace {

constexpr std::int64_t kMostClasses = 1 << 20;
constexpr std::int64_t kNamedWarnings = 5;

// Takes a label, or what is to be said of one that can't be.
class Collector {
 public:
  Collector(std::int64_t classes, bool skip_bad) : skip_bad_(skip_bad) {
    labels_.classes = classes;
  }

  // where: the file and the record, made only for a message.
  void add(std::int64_t label, const std::function<std::string()>& where) {
    if (label >= 0 && label < labels_.classes) {
      labels_.values.push_back(label);
      return;
    }
    const std::string problem =
        fmt::format("{}: label {}; expected 0 to {}", where(), label, labels_.classes - 1);
    if (!skip_bad_) {
      fail(ExitCode::kCorrupt, "{}; pass --skip-bad to evaluate without it", problem);
    }
    if (++labels_.skipped <= kNamedWarnings) log::warning("skipped: {}", problem);
    labels_.values.push_back(kUnknown);
  }

  Labels finish(const std::string& source) {
    if (labels_.skipped > 0) {
      log::warning("{}: skipped {} bad labels of {}", source, labels_.skipped,
                   labels_.values.size());
    }
    return std::move(labels_);
  }

 private:
  const bool skip_bad_;
  Labels labels_;
};

Labels of_synthetic(const data::Options& options) {
  Labels labels;
  labels.classes = data::kSyntheticClasses;
  const std::int64_t size = data::Synthetic(options).size();
  for (std::int64_t i = 0; i < size; ++i)
    labels.values.push_back(data::synthetic_class(options, i));
  return labels;
}

Labels of_cifar(const data::Options& options, const CommonOptions& common) {
  const data::CifarLayout layout = data::cifar_layout(options);
  const std::int64_t record = layout.record_bytes();
  Collector collector(layout.classes, options.skip_bad);
  const auto files = data::open_cifar_files(options, common);
  for (const auto& [file, records] : files) {
    for (std::int64_t i = 0; i < records; ++i) {
      std::uint8_t label = 0;  // the byte before the pixels
      file.read_at(static_cast<std::uint64_t>(i * record + layout.label_bytes - 1), &label, 1,
                   fmt::format("record {}", i));
      collector.add(label,
                    [&, &path = file.path()] { return fmt::format("{}: record {}", path, i); });
    }
  }
  return collector.finish(files.front().file.path());
}

Labels of_folder(const data::Options& options, const CommonOptions& common) {
  const data::ImageList list = data::list_images(options, common);
  if (list.folders.empty()) {
    fail(ExitCode::kUsage,
         "{}: a flat folder of images has no labels: one folder a class gives them", list.root);
  }
  Labels labels;
  labels.classes = static_cast<std::int64_t>(list.folders.size());
  for (const auto& path : list.paths) {
    const auto slash = path.find('/');
    if (slash == std::string::npos) {
      fail(ExitCode::kUsage, "{}: {}: lies in no class folder, others do; move it into one",
           list.root, path);
    }
    const auto folder =
        std::lower_bound(list.folders.begin(), list.folders.end(), path.substr(0, slash));
    assert(folder != list.folders.end() && *folder == path.substr(0, slash));
    labels.values.push_back(folder - list.folders.begin());
  }
  return labels;
}

// Numbers without names: the classes run to the greatest of them.
Labels of_numbers(const std::vector<std::int64_t>& numbers, std::int64_t samples,
                  const data::Options& options, const std::string& source) {
  const auto count = static_cast<std::int64_t>(numbers.size());
  if (count < samples) {
    fail(ExitCode::kIncompatible, "{}: {} labels for {} samples", source, count, samples);
  }
  const bool cut = options.max_samples > 0 || options.skip_bad;  // samples were left out at the end
  if (count > samples && !cut) {
    fail(ExitCode::kIncompatible, "{}: {} labels for only {} samples", source, count, samples);
  }
  std::int64_t greatest = 0;
  for (const auto number : numbers) {
    if (number < kMostClasses) greatest = std::max(greatest, number);
  }
  Collector collector(greatest + 1, options.skip_bad);
  for (std::int64_t i = 0; i < samples; ++i) {
    collector.add(numbers[static_cast<std::size_t>(i)],
                  [&] { return fmt::format("{}: sample {}", source, i); });
  }
  return collector.finish(source);
}

void require_source(const data::Options& options) {
  if (!options.labels.empty()) return;
  fail(ExitCode::kUsage, "data.labels: needed to evaluate with labels: {}",
       options.kind == "hdf5" ? "the object in the file that holds them, as /labels"
                              : "the NumPy file that holds them");
}

Labels of_npy(const data::Options& options, const CommonOptions& common) {
  require_source(options);
  const data::NpyFile file(common.resolve(options.labels), false);
  if (file.shape().size() != 1 || at::isFloatingType(file.dtype())) {
    fail(ExitCode::kIncompatible, "{}: {} of shape {}; expected one whole number a sample",
         file.path(), at::toString(file.dtype()), text::shape(file.shape()));
  }
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < file.rows(); ++i)
    numbers.push_back(file.row(i).item<std::int64_t>());
  return of_numbers(numbers, data::open_dataset(options, common)->size(), options, file.path());
}

template <class T>
std::vector<std::int64_t> rows_as(const io::Dataset& object) {
  std::vector<T> values(static_cast<std::size_t>(object.rows()));
  if (!values.empty()) object.read_rows(0, object.rows(), values.data());
  return {values.begin(), values.end()};
}

std::vector<std::int64_t> whole_numbers(const io::Dataset& object) {
  if (object.shape().size() == 1 && !object.is_text()) {
    const io::DType dtype = object.dtype();
    if (dtype == io::DType::kUInt8) return rows_as<std::uint8_t>(object);
    if (dtype == io::DType::kInt32) return rows_as<std::int32_t>(object);
    if (dtype == io::DType::kInt64) return rows_as<std::int64_t>(object);
  }
  fail(ExitCode::kIncompatible, "{}: shape {}; expected one uint8, int32 or int64 a sample",
       object.where(), text::shape(object.shape()));
}

Labels of_hdf5(const data::Options& options, const CommonOptions& common) {
  require_source(options);
  const io::File file = io::File::open(common.resolve(options.path));
  const io::Dataset object = file.root().dataset(options.labels);
  const std::vector<std::int64_t> numbers = whole_numbers(object);
  return of_numbers(numbers, data::open_dataset(options, common)->size(), options, object.where());
}

}  // namespace

std::vector<std::int64_t> Labels::at(const std::vector<std::int64_t>& indices) const {
  std::vector<std::int64_t> some;
  some.reserve(indices.size());
  for (const auto index : indices) some.push_back(values.at(static_cast<std::size_t>(index)));
  return some;
}

bool has_labels(const data::Options& options, const CommonOptions& common) {
  if (options.kind == "folder") return !data::list_images(options, common).folders.empty();
  if (options.kind == "npy" || options.kind == "hdf5") return !options.labels.empty();
  return true;
}

Labels open_labels(const data::Options& options, const CommonOptions& common) {
  if (options.kind == "synthetic") return of_synthetic(options);
  if (options.path.empty())
    fail(ExitCode::kUsage, "data.path: needed for data.kind {}", options.kind);
  if (options.kind == "folder") return of_folder(options, common);
  if (options.kind == "npy") return of_npy(options, common);
  if (options.kind == "hdf5") return of_hdf5(options, common);
  if (options.kind == "cifar10" || options.kind == "cifar100") return of_cifar(options, common);
  fail(ExitCode::kUsage,
       "data.kind: '{}': expected one of synthetic, cifar10, cifar100, folder, "
       "hdf5, npy",
       options.kind);
}

std::unordered_map<std::uint64_t, std::int64_t> by_id(const data::Dataset& dataset,
                                                      const Labels& labels) {
  assert(dataset.ids().size() == labels.values.size());
  std::unordered_map<std::uint64_t, std::int64_t> map;
  map.reserve(labels.values.size());
  for (std::size_t i = 0; i < labels.values.size(); ++i) {
    map.emplace(dataset.ids()[i], labels.values[i]);
  }
  return map;
}

}  // namespace cachectl::labels
