#include "serve/served_model.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "data/image.h"
#include "model/threads.h"
#include "serve/refusal.h"

namespace cachectl::serve {
namespace {

std::string default_name(const std::string& backbone) {
  std::string name = std::filesystem::path(backbone).stem().string();
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (!plain) c = '-';
  }
  return name.empty() ? "model" : name;
}

std::optional<data::Transform> image_transform(const std::string& text,
                                               const std::vector<std::int64_t>& item_shape) {
  if (text.empty() || item_shape.size() != 3 || item_shape[0] != 3) return std::nullopt;
  return data::Transform::parse(text);
}

// uint8 [3, height, width].
at::Tensor decoded(const std::uint8_t* bytes, std::size_t size, PixelLimits& pixels) {
  const std::int64_t most = std::min(pixels.each, pixels.left);
  try {
    at::Tensor image =
        data::decode_image(std::vector<std::uint8_t>(bytes, bytes + size), "image", most);
    pixels.left -= image.size(1) * image.size(2);
    return image;
  } catch (const Error& error) {
    if (error.code() != ExitCode::kUsage) throw;
    throw Refusal(413, most < pixels.each ? "the images of one request are too large together"
                                          : error.what());
  }
}

// A step like "resize 256" makes the longer side of a narrow image arbitrarily long.
void require_proportions(const at::Tensor& image) {
  constexpr std::int64_t kNarrowest = 20;
  const std::int64_t longer = std::max(image.size(1), image.size(2));
  if (longer <= kNarrowest * std::min(image.size(1), image.size(2))) return;
  throw Refusal(400, "an image of " + std::to_string(image.size(2)) + "x" +
                         std::to_string(image.size(1)) + " pixels is too narrow");
}

// The largest part of the image that has the input's proportions, at the input's size.
at::Tensor fitted(const at::Tensor& image, std::int64_t height, std::int64_t width) {
  const std::int64_t rows = image.size(1), columns = image.size(2);
  const std::int64_t kept_rows =
      std::max<std::int64_t>(1, std::min(rows, columns * height / width));
  const std::int64_t kept_columns =
      std::max<std::int64_t>(1, std::min(columns, rows * width / height));
  return data::resize(data::center_crop(image, kept_rows, kept_columns).contiguous(), height,
                      width);
}

// Kernels are those of a number of threads: the workers', not this thread's.
void warm_up(const runtime::Engine& engine, const Options& options) {
  log::info("making kernels for batches of up to {} (--no-warm-up: when they are met)",
            options.max_batch);
  const std::shared_ptr<void> back(
      nullptr, [own = at::get_num_threads()](void*) { at::set_num_threads(own); });
  model::set_threads_here(static_cast<int>(options.threads_per_worker()));
  engine.warm_up(options.max_batch);
}

}  // namespace

std::shared_ptr<const ServedModel> ServedModel::load(
    const Options& options, std::shared_ptr<const model::Backbone> backbone) {
  const std::shared_ptr<ServedModel> made(new ServedModel());
  made->source_ = state_of(options.plan);
  artifact::PlanFile file = artifact::read_plan(options.plan);
  made->name_ = options.model.empty() ? default_name(options.engine.backbone.path) : options.model;
  made->facts_ = {file.provenance.content_hash, file.provenance.created, file.tolerance,
                  options.plain ? std::vector<artifact::Plan>{} : file.plans, file.class_names};
  made->item_shape_ = file.self_test_inputs.sizes().slice(1).vec();
  made->transform_ = image_transform(file.transform, made->item_shape_);
  if (!backbone) {
    model::BackboneOptions loading = options.engine.backbone;
    loading.device = options.common.device;
    backbone = model::Backbone::load(loading, {file.self_test_inputs});
  }
  made->backbone_ = backbone;
  // A plan for another backbone is refused even where its exits are not used.
  auto engine = std::make_unique<runtime::Engine>(backbone, file, options.plan, options.engine);
  if (options.plain) {
    engine = std::make_unique<runtime::Engine>(backbone, std::vector<runtime::EnginePlan>{},
                                               options.engine);
  }
  if (options.warm_up) warm_up(*engine, options);
  made->engine_ = std::move(engine);
  return made;
}

std::int64_t ServedModel::item_values() const {
  return std::accumulate(item_shape_.begin(), item_shape_.end(), std::int64_t{1},
                         std::multiplies<>());
}

std::string ServedModel::class_name(std::int32_t label) const {
  const auto index = static_cast<std::size_t>(label);
  return index < facts_.class_names.size() ? facts_.class_names[index] : "";
}

double ServedModel::plain_flops() const {
  double sum = 0;
  for (const model::SegmentCost& cost : backbone_->costs()) sum += cost.flops();
  return sum;
}

at::Tensor ServedModel::input_of_image(const std::uint8_t* bytes, std::size_t size,
                                       PixelLimits& pixels) const {
  if (!takes_images()) throw Refusal(400, "this model takes no images, only tensors");
  at::Tensor input;
  try {
    const at::Tensor image = decoded(bytes, size, pixels);
    require_proportions(image);
    // Which size the transform gives is known by doing it; steps that the image is too small
    // for are a fault like another size.
    try {
      input = (*transform_)(image);
    } catch (const Error&) {
    }
    if (!input.defined() || input.sizes() != at::IntArrayRef(item_shape_)) {
      const at::Tensor sized = fitted(image, item_shape_[1], item_shape_[2]);
      input = (*transform_)(sized);
    }
  } catch (const Error& error) {
    throw Refusal(400, error.what());
  }
  if (input.sizes() != at::IntArrayRef(item_shape_)) {
    throw Refusal(400, "the image becomes an input of " + text::shape(input.sizes().vec()) +
                           ", the model takes " + text::shape(item_shape_));
  }
  return input;
}

}  // namespace cachectl::serve
