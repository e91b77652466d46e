#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "serve/json.h"

namespace cachectl::serve {

// What an input's "data" holds: numbers or strings, in row-major order. The arrays may be
// nested as the shape is; `nesting` then has the length of each level, else one number.
struct TensorData {
  std::vector<float> numbers;
  std::vector<std::string> strings;
  std::vector<std::int64_t> nesting;
  bool given = false;
};

// A request's JSON, the data of tensors kept apart: they would take many times their size
// as JSON values.
struct RequestJson {
  Json head;                     // without the "data" of inputs
  std::vector<TensorData> data;  // one per element of head["inputs"], where that is an array
};

struct JsonLimits {
  std::int64_t max_depth = 16;
  std::size_t max_values = 10'000;  // outside of tensors
  std::size_t max_numbers = 0;      // within them
};

// Throws Refusal(400) for what is no JSON object or ragged, 413 for what is beyond a limit.
RequestJson parse_request_json(std::string_view text, const JsonLimits& limits);

}  // namespace cachectl::serve
