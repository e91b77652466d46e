#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/transform.h"
#include "runtime/engine.h"
#include "serve/file_state.h"
#include "serve/options.h"

namespace cachectl::serve {

// What people and metrics are told of a plan.
struct PlanFacts {
  std::string hash;  // of the plan file's contents
  std::string created;
  double tolerance = 0;
  std::vector<artifact::Plan> plans;     // as selected, by batch; of Options::plain: none
  std::vector<std::string> class_names;  // empty where unknown
};

// Of the images of one request.
struct PixelLimits {
  std::int64_t each = 0, left = 0;  // left: what those that were read leave of all together
};

// A backbone and a plan, loaded and self-tested. Immutable; shared by all workers.
class ServedModel {
 public:
  // Reads the plan and, where `backbone` is null, the backbone. Throws Error: what
  // Engine::open throws.
  static std::shared_ptr<const ServedModel> load(
      const Options& options, std::shared_ptr<const model::Backbone> backbone = nullptr);

  const runtime::Engine& engine() const { return *engine_; }
  std::shared_ptr<const model::Backbone> backbone() const { return backbone_; }
  const std::string& name() const { return name_; }
  const PlanFacts& facts() const { return facts_; }
  const FileState& source() const { return source_; }  // the plan file as it was read
  const std::vector<std::int64_t>& item_shape() const { return item_shape_; }
  std::int64_t item_values() const;            // numbers in one item
  std::string class_name(std::int32_t) const;  // "" where unknown
  double plain_flops() const;                  // per item, without exits

  // Whether an image file can be made an input of this model.
  bool takes_images() const { return transform_.has_value(); }
  // PNG or JPEG -> float32 [item_shape]. An image that the plan's transform leaves at another
  // size is first brought to the input's size. Its pixels are taken from the limits. Throws
  // Refusal(400), or 413 beyond the limits.
  at::Tensor input_of_image(const std::uint8_t* bytes, std::size_t size, PixelLimits& pixels) const;

 private:
  ServedModel() = default;

  std::string name_;
  std::shared_ptr<const model::Backbone> backbone_;
  std::unique_ptr<runtime::Engine> engine_;
  PlanFacts facts_;
  FileState source_;
  std::vector<std::int64_t> item_shape_;
  std::optional<data::Transform> transform_;
};

// The model in force. Whoever holds the pointer keeps what it got.
class ModelSlot {
 public:
  explicit ModelSlot(std::shared_ptr<const ServedModel> model) : model_(std::move(model)) {}
  std::shared_ptr<const ServedModel> get() const {
    const std::lock_guard lock(mutex_);
    return model_;
  }
  void set(std::shared_ptr<const ServedModel> model) {
    const std::lock_guard lock(mutex_);
    model_.swap(model);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ServedModel> model_;
};

}  // namespace cachectl::serve
