#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "model/backbone.h"

// Small networks, made as TorchScript in C++ and saved to temporary files.
namespace cachectl::model::fixtures {

// A file that goes with the object.
class ScriptFile {
 public:
  explicit ScriptFile(std::string path) : path_(std::move(path)) {}
  ~ScriptFile();
  ScriptFile(ScriptFile&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  ScriptFile& operator=(ScriptFile&&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// stem, layer1 and layer2 of two residual blocks each (block0, block1), global pooling and a
// linear layer to 10 classes. 3x8x8 images.
ScriptFile residual_net();
// forward as given; it may use self.w (3x3 convolution 3 -> 4), self.v (3x3, 4 -> 4) and
// self.f (linear 4 -> 5).
ScriptFile with_forward(const std::string& source);
ScriptFile with_bytes(const std::string& bytes);
// The file with the first `from` of its source replaced, unknown to the compiler that wrote it.
ScriptFile with_source_edited(const ScriptFile& file, const std::string& from,
                              const std::string& to);

BackboneOptions options_for(const ScriptFile& file);
at::Tensor images(std::int64_t count, std::int64_t size = 8);

}  // namespace cachectl::model::fixtures
