#include "data/image_folder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <filesystem>

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "data/file.h"
#include "data/image.h"

namespace cachectl::data {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 16;  // below the root; more is a link that leads back up

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

void collect(const fs::path& folder, const fs::path& below, int depth, ImageList& list,
             std::int64_t& others) {
  if (depth > kDeepest) {
    fail(ExitCode::kUsage, "{}: folders more than {} deep; does a link lead back up?",
         folder.string(), kDeepest);
  }
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path name = entry->path().filename();
    if (name.string().front() == '.') continue;
    std::error_code ignored;  // a dangling link is neither
    if (fs::is_directory(entry->path(), ignored)) {
      if (depth == 0) list.folders.push_back(name.string());
      collect(entry->path(), below / name, depth + 1, list, others);
    } else if (is_image_name(name)) {
      list.paths.push_back((below / name).string());
    } else {
      ++others;
    }
  }
  if (error) {
    fail(ExitCode::kCannotOpen, "{}: cannot list the folder: {}", folder.string(), error.message());
  }
}

// Of the size and the two ends of a file: as good as all of it for compressed images,
// and a set of a million opens in seconds.
std::uint64_t sampled_id(const std::string& path) {
  constexpr std::uint64_t kEnd = 8192;
  const RandomAccessFile file(path);
  const std::uint64_t head = std::min(kEnd, file.size());
  const std::uint64_t tail = std::min(kEnd, file.size() - head);
  std::vector<std::uint8_t> bytes(head + tail);
  file.read_at(0, bytes.data(), head, "image");
  file.read_at(file.size() - tail, bytes.data() + head, tail, "image");
  return content_id(bytes.data(), bytes.size(), file.size());
}

}  // namespace

ImageList list_images(const Options& options, const CommonOptions& common) {
  ImageList list;
  list.root = common.resolve(options.path);
  std::error_code error;
  if (!fs::is_directory(list.root, error)) {
    fail(ExitCode::kCannotOpen, "{}: {} (data.path, for data.kind folder)", list.root,
         fs::exists(list.root, error) ? "is no folder" : "no such folder");
  }
  std::int64_t others = 0;
  collect(list.root, {}, 0, list, others);
  if (others > 0) log::info("{}: {} files that are no PNG or JPEG left out", list.root, others);
  std::sort(list.paths.begin(), list.paths.end());
  std::sort(list.folders.begin(), list.folders.end());
  if (options.max_samples > 0 &&
      static_cast<std::int64_t>(list.paths.size()) > options.max_samples) {
    list.paths.resize(static_cast<std::size_t>(options.max_samples));
  }
  return list;
}

ImageFolder::ImageFolder(const Options& options, const CommonOptions& common)
    : list_(list_images(options, common)) {
  std::vector<std::uint64_t> ids;
  for (const auto& path : list_.paths) {
    cancel::throw_if_requested();
    try {
      ids.push_back(sampled_id((fs::path(list_.root) / path).string()));
    } catch (const Error&) {  // a bad sample among others is one when it is read as well
      if (!options.skip_bad) throw;
      ids.push_back(content_id(path.data(), path.size()));
    }
  }
  set_ids(std::move(ids), "folder");
}

at::Tensor ImageFolder::read(std::int64_t index) const {
  return read_image(sample_name(index));
}

std::string ImageFolder::sample_name(std::int64_t index) const {
  return (fs::path(list_.root) / list_.paths.at(static_cast<std::size_t>(index))).string();
}

}  // namespace cachectl::data
