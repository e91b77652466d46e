#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/served_model.h"

// Inference requests of the Open Inference Protocol v2: a JSON object, and raw tensors behind
// it where an input says "binary_data_size". HTTP bodies and WebSocket frames share it.
namespace cachectl::serve {

struct RequestLimits {
  std::int64_t max_items = 1024;
  std::int64_t max_depth = 16;
  std::int64_t max_image_pixels = 16'000'000;
  std::int64_t max_request_pixels = 128'000'000;  // of all its images
};

struct WantedOutput {
  std::string name;
  bool binary = false;
};

struct InferRequest {
  std::string id;     // "" where none was given
  at::Tensor inputs;  // float32 [items, ...], finite
  // As asked for, or all of them. Names of output_names().
  std::vector<WantedOutput> outputs;
  std::optional<double> deadline_ms;
  bool probabilities = false;  // parameter of streams: with each item's distribution
};

// label INT64 [N], confidence FP32 [N], exit BYTES [N], probabilities FP32 [N, classes].
const std::vector<std::string>& output_names();

// The one input's name, and that of PNG or JPEG files in its place (BYTES [N]).
inline constexpr const char* kInput = "input";
inline constexpr const char* kImage = "image";

// Throws Refusal(400), or 413 for more items than are allowed. tail: behind the JSON. id: gets
// the request's as soon as it is known, so that a refusal can name it.
InferRequest read_infer_request(std::string_view json, std::string_view tail,
                                const ServedModel& model, const RequestLimits& limits,
                                std::string* id = nullptr);

}  // namespace cachectl::serve
