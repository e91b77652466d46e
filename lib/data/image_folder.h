#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/dataset.h"
#include "data/options.h"

namespace cachectl::data {

// The PNG and JPEG files below a folder, sorted by their path; hidden ones are left out.
struct ImageList {
  std::string root;
  std::vector<std::string> paths;    // below the root, "cat/001.png"
  std::vector<std::string> folders;  // directly below the root, sorted: the classes, if any
};
ImageList list_images(const Options& options, const CommonOptions& common);

// Images by their content: what lies in which folder plays no part.
class ImageFolder : public Dataset {
 public:
  ImageFolder(const Options& options, const CommonOptions& common);
  std::int64_t size() const override { return static_cast<std::int64_t>(list_.paths.size()); }
  at::Tensor read(std::int64_t index) const override;  // uint8 [3, H, W]
  std::vector<std::string> class_names() const override { return list_.folders; }
  std::string name() const override { return "folder " + list_.root; }
  std::string sample_name(std::int64_t index) const override;  // its path

 private:
  const ImageList list_;
};

}  // namespace cachectl::data
