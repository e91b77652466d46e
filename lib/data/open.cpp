#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "data/cifar.h"
#include "data/dataset.h"
#include "data/hdf5_tensor.h"
#include "data/image_folder.h"
#include "data/npy.h"
#include "data/synthetic.h"

namespace cachectl::data {
namespace {

using Opened = std::unique_ptr<const Dataset>;

template <class Kind>
Opened open_as(const Options& options, const CommonOptions& common) {
  return std::make_unique<Kind>(options, common);
}

Opened open_synthetic(const Options& options, const CommonOptions&) {
  return std::make_unique<Synthetic>(options);
}

struct Opener {
  std::string_view kind;
  Opened (*open)(const Options&, const CommonOptions&);
};
constexpr std::array<Opener, 6> kOpeners = {{{"synthetic", open_synthetic},
                                             {"cifar10", open_as<Cifar>},
                                             {"cifar100", open_as<Cifar>},
                                             {"folder", open_as<ImageFolder>},
                                             {"hdf5", open_as<Hdf5Tensor>},
                                             {"npy", open_as<NpyDataset>}}};

}  // namespace

std::unique_ptr<const Dataset> open_dataset(const Options& options, const CommonOptions& common) {
  const std::string& kind = options.kind;
  if (kind == "synthetic" && !options.path.empty()) {
    fail(ExitCode::kUsage,
         "data.path is '{}', but data.kind is synthetic, which reads none: set data.kind to "
         "cifar10, cifar100, folder, hdf5 or npy",
         options.path);
  }
  if (kind != "synthetic" && options.path.empty()) {
    fail(ExitCode::kUsage, "data.path: needed for data.kind {}", kind);
  }
  const auto opener = std::find_if(kOpeners.begin(), kOpeners.end(),
                                   [&](const Opener& one) { return one.kind == kind; });
  if (opener == kOpeners.end()) {
    fail(ExitCode::kUsage,
         "data.kind: '{}': expected one of synthetic, cifar10, cifar100, folder, hdf5, npy", kind);
  }
  std::unique_ptr<const Dataset> dataset = opener->open(options, common);
  if (dataset->size() == 0) {
    fail(ExitCode::kNothingProcessed, "{}: holds no sample", dataset->name());
  }
  return dataset;
}

}  // namespace cachectl::data
