#include "serve/infer_request.h"

#include <ATen/ATen.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/text.h"
#include "serve/refusal.h"
#include "serve/request_json.h"

namespace cachectl::serve {
namespace {

using Shape = std::vector<std::int64_t>;

const Json& member(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end()) throw Refusal(400, where + ": no \"" + key + '"');
  return *found;
}

std::string text_member(const Json& object, const char* key, const std::string& where) {
  const Json& value = member(object, key, where);
  if (!value.is_string()) throw Refusal(400, where + ": \"" + key + "\" is no string");
  return value.get<std::string>();
}

// An object that may be missing.
Json parameters_of(const Json& object, const std::string& where) {
  const auto found = object.find("parameters");
  if (found == object.end()) return Json::object();
  if (!found->is_object()) throw Refusal(400, where + ": \"parameters\" is no object");
  return *found;
}

bool flag_of(const Json& parameters, const char* key, bool otherwise) {
  const auto found = parameters.find(key);
  if (found == parameters.end()) return otherwise;
  if (!found->is_boolean()) throw Refusal(400, std::string(key) + ": expected true or false");
  return found->get<bool>();
}

Shape shape_of(const Json& input, const RequestLimits& limits) {
  const Json& given = member(input, "shape", "inputs[0]");
  if (!given.is_array() || given.empty() || given.size() > 16) {
    throw Refusal(400, "inputs[0]: \"shape\" is no list of sizes");
  }
  Shape shape;
  for (const Json& size : given) {
    if (!size.is_number_unsigned() || size.get<std::uint64_t>() > 1'000'000'000) {
      throw Refusal(400, "inputs[0]: \"shape\" holds what is no size");
    }
    shape.push_back(size.get<std::int64_t>());
  }
  if (shape[0] < 1) throw Refusal(400, "inputs[0]: no items");
  if (shape[0] > limits.max_items) {
    throw Refusal(413, "inputs[0]: " + std::to_string(shape[0]) + " items; a request may hold " +
                           std::to_string(limits.max_items));
  }
  return shape;
}

void require_item_shape(const Shape& shape, const ServedModel& model) {
  if (Shape(shape.begin() + 1, shape.end()) == model.item_shape()) return;
  Shape wanted = {shape[0]};
  wanted.insert(wanted.end(), model.item_shape().begin(), model.item_shape().end());
  throw Refusal(400, "inputs[0]: of shape " + text::shape(shape) + ", the model takes " +
                         text::shape(wanted));
}

void require_nesting(const TensorData& data, const Shape& shape) {
  if (data.nesting.size() <= 1 || data.nesting == shape) return;
  throw Refusal(400, "inputs[0]: \"data\" is nested as " + text::shape(data.nesting) +
                         ", its shape is " + text::shape(shape));
}

void require_finite(const at::Tensor& tensor) {
  const float* const values = tensor.data_ptr<float>();
  const bool finite = std::all_of(values, values + tensor.numel(),
                                  [](float value) { return std::isfinite(value); });
  if (!finite) throw Refusal(400, "inputs[0]: a number that is not finite");
}

// The bytes of the binary tail that belong to the input; nothing where it has its data in JSON.
std::optional<std::string_view> binary_data(const Json& parameters, std::string_view tail) {
  const auto found = parameters.find("binary_data_size");
  if (found == parameters.end()) {
    if (!tail.empty()) throw Refusal(400, "bytes behind the JSON that no input claims");
    return std::nullopt;
  }
  if (!found->is_number_unsigned() || found->get<std::uint64_t>() != tail.size()) {
    throw Refusal(400, "inputs[0]: binary_data_size is not the " + std::to_string(tail.size()) +
                           " bytes behind the JSON");
  }
  return tail;
}

at::Tensor read_numbers(const Shape& shape, const TensorData& data,
                        std::optional<std::string_view> binary, const ServedModel& model) {
  require_item_shape(shape, model);
  const std::int64_t count = shape[0] * model.item_values();
  at::Tensor tensor = at::empty(shape, at::kFloat);
  if (binary) {
    if (binary->size() != static_cast<std::size_t>(count) * sizeof(float)) {
      throw Refusal(400, "inputs[0]: " + std::to_string(binary->size()) +
                             " bytes for a tensor of " +
                             std::to_string(static_cast<std::size_t>(count) * sizeof(float)));
    }
    std::memcpy(tensor.data_ptr<float>(), binary->data(), binary->size());
  } else {
    require_nesting(data, shape);
    if (!data.strings.empty()) throw Refusal(400, "inputs[0]: strings among the numbers");
    if (data.numbers.size() != static_cast<std::size_t>(count)) {
      throw Refusal(400, "inputs[0]: " + std::to_string(data.numbers.size()) +
                             " numbers for a tensor of " + std::to_string(count));
    }
    std::copy(data.numbers.begin(), data.numbers.end(), tensor.data_ptr<float>());
  }
  require_finite(tensor);
  return tensor;
}

// BYTES elements: each a length, 4 bytes little endian, and so many bytes.
std::vector<std::string_view> split_bytes(std::string_view bytes, std::int64_t count) {
  std::vector<std::string_view> elements;
  while (!bytes.empty() && static_cast<std::int64_t>(elements.size()) < count) {
    if (bytes.size() < 4) throw Refusal(400, "inputs[0]: a BYTES element without its length");
    std::uint32_t length = 0;
    for (int i = 3; i >= 0; --i)
      length = length << 8 | static_cast<std::uint8_t>(bytes[static_cast<std::size_t>(i)]);
    if (length > bytes.size() - 4)
      throw Refusal(400, "inputs[0]: a BYTES element longer than its data");
    elements.push_back(bytes.substr(4, length));
    bytes.remove_prefix(4 + length);
  }
  if (!bytes.empty() || static_cast<std::int64_t>(elements.size()) != count) {
    throw Refusal(400, "inputs[0]: not as many BYTES elements as its shape says");
  }
  return elements;
}

at::Tensor read_images(const Shape& shape, std::optional<std::string_view> binary,
                       const ServedModel& model, const RequestLimits& limits) {
  if (!model.takes_images()) throw Refusal(400, "this model takes no images, only tensors");
  if (shape.size() != 1) throw Refusal(400, "inputs[0]: images have the shape [N]");
  if (!binary) throw Refusal(400, "inputs[0]: images are sent as binary data");
  std::vector<at::Tensor> inputs;
  PixelLimits pixels{limits.max_image_pixels, limits.max_request_pixels};
  for (const std::string_view bytes : split_bytes(*binary, shape[0])) {
    inputs.push_back(model.input_of_image(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                          bytes.size(), pixels));
  }
  return at::stack(inputs);
}

at::Tensor read_input(const RequestJson& request, std::string_view tail, const ServedModel& model,
                      const RequestLimits& limits) {
  const Json& inputs = member(request.head, "inputs", "request");
  if (!inputs.is_array() || inputs.size() != 1 || !inputs[0].is_object()) {
    throw Refusal(400, "\"inputs\": expected a list of one input");
  }
  const Json& input = inputs[0];
  const std::string name = text_member(input, "name", "inputs[0]");
  const std::string datatype = text_member(input, "datatype", "inputs[0]");
  const bool is_image = name == kImage;
  if (name != kInput && !is_image) {
    throw Refusal(400, "inputs[0]: unknown name; the model takes \"" + std::string(kInput) + '"');
  }
  if (datatype != (is_image ? "BYTES" : "FP32")) {
    throw Refusal(400, std::string("inputs[0]: datatype must be ") + (is_image ? "BYTES" : "FP32"));
  }
  const Shape shape = shape_of(input, limits);
  const auto binary = binary_data(parameters_of(input, "inputs[0]"), tail);
  const TensorData& data = request.data[0];
  if (binary && data.given) throw Refusal(400, "inputs[0]: data both in JSON and in bytes");
  return is_image ? read_images(shape, binary, model, limits)
                  : read_numbers(shape, data, binary, model);
}

std::vector<WantedOutput> read_outputs(const Json& head, bool binary_by_default) {
  std::vector<WantedOutput> wanted;
  const auto given = head.find("outputs");
  if (given == head.end()) {
    for (const std::string& name : output_names()) wanted.push_back({name, binary_by_default});
    return wanted;
  }
  if (!given->is_array() || given->size() > output_names().size()) {
    throw Refusal(400, "\"outputs\": expected a list of outputs, each once");
  }
  for (const Json& output : *given) {
    if (!output.is_object()) throw Refusal(400, "\"outputs\": expected objects with a name");
    const std::string name = text_member(output, "name", "outputs");
    const auto& names = output_names();
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw Refusal(400, "outputs: unknown name; there are " + text::join(names, ", "));
    }
    wanted.push_back(
        {name, flag_of(parameters_of(output, "outputs"), "binary_data", binary_by_default)});
  }
  return wanted;
}

}  // namespace

const std::vector<std::string>& output_names() {
  static const std::vector<std::string> names = {"label", "confidence", "exit", "probabilities"};
  return names;
}

constexpr std::size_t kLongestId = 256;

InferRequest read_infer_request(std::string_view json, std::string_view tail,
                                const ServedModel& model, const RequestLimits& limits,
                                std::string* id) {
  JsonLimits bounds;
  bounds.max_depth = limits.max_depth;
  bounds.max_numbers = static_cast<std::size_t>(limits.max_items * model.item_values());
  const RequestJson request = parse_request_json(json, bounds);

  InferRequest result;
  if (request.head.contains("id")) {
    std::string given = text_member(request.head, "id", "request");
    // Each answer repeats it.
    if (given.size() > kLongestId) {
      throw Refusal(400, fmt::format("id: expected at most {} bytes", kLongestId));
    }
    result.id = std::move(given);
  }
  if (id != nullptr) *id = result.id;
  const Json parameters = parameters_of(request.head, "request");
  result.outputs = read_outputs(request.head, flag_of(parameters, "binary_data_output", false));
  result.probabilities = flag_of(parameters, "probabilities", false);
  const auto deadline = parameters.find("deadline_ms");
  if (deadline != parameters.end()) {
    if (!deadline->is_number() || !(deadline->get<double>() > 0) ||
        deadline->get<double>() > 3.6e6) {
      throw Refusal(400, "deadline_ms: expected a number of milliseconds, up to an hour");
    }
    result.deadline_ms = deadline->get<double>();
  }
  result.inputs = read_input(request, tail, model, limits);
  return result;
}

}  // namespace cachectl::serve
