#include "data/cifar.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace cachectl::data {
namespace {

namespace fs = std::filesystem;

constexpr CifarLayout kCifar10{1, 10}, kCifar100{2, 100};

bool is_cifar10(const Options& options) {
  return options.kind == "cifar10";
}

std::vector<std::string> expected_files(const Options& options) {
  if (!is_cifar10(options)) return {options.part == "train" ? "train.bin" : "test.bin"};
  if (options.part != "train") return {"test_batch.bin"};
  std::vector<std::string> names;
  for (int i = 1; i <= 5; ++i) names.push_back(fmt::format("data_batch_{}.bin", i));
  return names;
}

// The whole records of a file. A remainder is a cut record, or another layout altogether.
std::int64_t checked_records(const RandomAccessFile& file, const Options& options) {
  const CifarLayout layout = cifar_layout(options),
                    other = is_cifar10(options) ? kCifar100 : kCifar10;
  const auto size = static_cast<std::int64_t>(file.size());
  const std::int64_t record = layout.record_bytes(), whole = size / record, rest = size % record;
  if (size == 0) {
    fail(ExitCode::kCorrupt, "{}: the file is empty; expected records of {} bytes", file.path(),
         record);
  }
  std::array<unsigned char, 2> start{};
  if (size >= 2) file.read_at(0, start.data(), start.size(), "start");
  if (start[0] == 0x1f && start[1] == 0x8b) {
    fail(ExitCode::kCorrupt, "{}: is a gzip archive: unpack it with tar xzf and name the folder",
         file.path());
  }
  if (rest == 0) return whole;
  if (size % other.record_bytes() == 0) {
    fail(ExitCode::kIncompatible,
         "{}: {} bytes are {} records of {} bytes, the layout of {}: set data.kind to it",
         file.path(), size, size / other.record_bytes(), other.record_bytes(),
         is_cifar10(options) ? "cifar100" : "cifar10");
  }
  const std::string problem =
      fmt::format("{}: record {} is cut: {} bytes of {} (the file has {} bytes)", file.path(),
                  whole, rest, record, size);
  if (!options.skip_bad || whole == 0) {
    fail(ExitCode::kCorrupt, "{}; get the file again, or pass --skip-bad to do without", problem);
  }
  log::warning("skipped: {}", problem);
  return whole;
}

std::vector<std::string> read_names(const fs::path& path) {
  std::vector<std::string> names;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!text::trim(line).empty()) names.push_back(text::trim(line));
  }
  return names;
}

}  // namespace

CifarLayout cifar_layout(const Options& options) {
  assert(options.kind == "cifar10" || options.kind == "cifar100");
  return is_cifar10(options) ? kCifar10 : kCifar100;
}

std::vector<std::string> cifar_files(const Options& options, const CommonOptions& common) {
  fs::path path = common.resolve(options.path);
  std::error_code error;
  if (!fs::exists(path, error)) {
    fail(ExitCode::kCannotOpen, "{}: no such file or folder (data.path, from {})", path.string(),
         common.data_root.empty() ? "the working folder" : common.data_root);
  }
  if (!fs::is_directory(path, error)) return {path.string()};
  // The folder that the official archive unpacks to may be named, or its parent.
  const fs::path inner = path / (is_cifar10(options) ? "cifar-10-batches-bin" : "cifar-100-binary");
  if (fs::is_directory(inner, error)) path = inner;
  std::vector<std::string> found;
  const auto expected = expected_files(options);
  for (const auto& name : expected) {
    if (fs::exists(path / name, error)) found.push_back((path / name).string());
  }
  if (found.empty()) {
    fail(ExitCode::kCannotOpen, "{}: holds none of {} (the {} part of {} in its binary version)",
         path.string(), text::join(expected, ", "), options.part, options.kind);
  }
  if (found.size() < expected.size()) {
    log::info("{}: {} of the {} files of the {} part", path.string(), found.size(), expected.size(),
              options.part);
  }
  return found;
}

std::vector<CifarFile> open_cifar_files(const Options& options, const CommonOptions& common) {
  std::vector<CifarFile> files;
  std::int64_t left = options.max_samples > 0 ? options.max_samples : INT64_MAX;
  for (auto& path : cifar_files(options, common)) {
    if (left == 0) break;
    RandomAccessFile file(path);
    const std::int64_t records = std::min(left, checked_records(file, options));
    left -= records;
    files.push_back({std::move(file), records});
  }
  return files;
}

Cifar::Cifar(const Options& options, const CommonOptions& common)
    : layout_(cifar_layout(options)), files_(open_cifar_files(options, common)) {
  const fs::path first = files_.front().file.path();
  name_ = options.kind + " " + (files_.size() == 1 ? first.string() : first.parent_path().string());
  class_names_ = read_names(first.parent_path() /
                            (is_cifar10(options) ? "batches.meta.txt" : "fine_label_names.txt"));
  if (static_cast<std::int64_t>(class_names_.size()) != layout_.classes) class_names_.clear();
  if (class_names_.empty() && is_cifar10(options)) {
    class_names_ = {"airplane", "automobile", "bird",  "cat",  "deer",
                    "dog",      "frog",       "horse", "ship", "truck"};
  }

  constexpr std::int64_t kRecordsAtOnce = 512;
  const std::int64_t record = layout_.record_bytes();
  std::vector<unsigned char> bytes(static_cast<std::size_t>(kRecordsAtOnce * record));
  std::vector<std::uint64_t> ids;
  for (const auto& [file, records] : files_) {
    for (std::int64_t i = 0; i < records; i += kRecordsAtOnce) {
      const std::int64_t count = std::min(kRecordsAtOnce, records - i);
      file.read_at(static_cast<std::uint64_t>(i * record), bytes.data(),
                   static_cast<std::size_t>(count * record), fmt::format("record {}", i));
      for (std::int64_t k = 0; k < count; ++k) {
        ids.push_back(
            content_id(bytes.data() + k * record + layout_.label_bytes, CifarLayout::kPixels));
      }
    }
  }
  set_ids(std::move(ids), options.kind);
}

at::Tensor Cifar::read(std::int64_t index) const {
  assert(index >= 0 && index < size());
  auto entry = files_.begin();
  while (index >= entry->records) index -= (entry++)->records;
  at::Tensor image = at::empty({3, 32, 32}, at::kByte);
  entry->file.read_at(
      static_cast<std::uint64_t>(index * layout_.record_bytes() + layout_.label_bytes),
      image.data_ptr<std::uint8_t>(), CifarLayout::kPixels, fmt::format("record {}", index));
  return image;
}

}  // namespace cachectl::data
