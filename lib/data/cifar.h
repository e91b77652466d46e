#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/dataset.h"
#include "data/file.h"
#include "data/options.h"

namespace cachectl::data {

// The binary layout of https://www.cs.toronto.edu/~kriz/cifar.html: records of one label
// byte (CIFAR-10) or a coarse and a fine one (CIFAR-100) and 3,072 pixels, [3, 32, 32].
struct CifarLayout {
  std::int64_t label_bytes;  // before the pixels; the last one is the class
  std::int64_t classes;
  std::int64_t record_bytes() const { return label_bytes + kPixels; }
  static constexpr std::int64_t kPixels = 3 * 32 * 32;
};
CifarLayout cifar_layout(const Options& options);  // by options.kind

// The files of the set in order: the path itself, or what a folder holds of options.part
// (data_batch_*.bin or train.bin; test_batch.bin or test.bin).
std::vector<std::string> cifar_files(const Options& options, const CommonOptions& common);

// Checked files and how many whole records of each are taken.
struct CifarFile {
  RandomAccessFile file;
  std::int64_t records;
};
std::vector<CifarFile> open_cifar_files(const Options& options, const CommonOptions& common);

// Looks at the pixels only, never at the label bytes.
class Cifar : public Dataset {
 public:
  Cifar(const Options& options, const CommonOptions& common);
  std::int64_t size() const override { return static_cast<std::int64_t>(ids().size()); }
  at::Tensor read(std::int64_t index) const override;  // uint8 [3, 32, 32]
  std::vector<std::string> class_names() const override { return class_names_; }
  std::string name() const override { return name_; }

 private:
  const CifarLayout layout_;
  const std::vector<CifarFile> files_;
  std::vector<std::string> class_names_;
  std::string name_;
};

}  // namespace cachectl::data
