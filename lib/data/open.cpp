#include "base/error.h"
#include "data/cifar.h"
#include "data/dataset.h"
#include "data/hdf5_tensor.h"
#include "data/image_folder.h"
#include "data/npy.h"
#include "data/synthetic.h"

namespace cachectl::data {

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
  std::unique_ptr<const Dataset> dataset;
  if (kind == "synthetic") {
    dataset = std::make_unique<Synthetic>(options);
  } else if (kind == "cifar10" || kind == "cifar100") {
    dataset = std::make_unique<Cifar>(options, common);
  } else if (kind == "folder") {
    dataset = std::make_unique<ImageFolder>(options, common);
  } else if (kind == "hdf5") {
    dataset = std::make_unique<Hdf5Tensor>(options, common);
  } else if (kind == "npy") {
    dataset = std::make_unique<NpyDataset>(options, common);
  } else {
    fail(ExitCode::kUsage,
         "data.kind: '{}': expected one of synthetic, cifar10, cifar100, folder, hdf5, npy", kind);
  }
  if (dataset->size() == 0) {
    fail(ExitCode::kNothingProcessed, "{}: holds no sample", dataset->name());
  }
  return dataset;
}

}  // namespace cachectl::data
