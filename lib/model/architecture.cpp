#include "model/architecture.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

namespace cachectl::model {
namespace {

using Kind = HeadLayer::Kind;

constexpr std::int64_t kLargestKernel = 31;
constexpr std::int64_t kLargestWidth = 65536;
constexpr const char* kForms =
    "conv3x3/2-64, dwconv3x3/2-64, res3x3, pool2, maxpool2, mean, attention, fc128";

std::string layer_text(const HeadLayer& layer) {
  const auto convolution = [&](const char* name) {
    const std::string stride = layer.stride == 1 ? "" : fmt::format("/{}", layer.stride);
    return fmt::format("{}{}x{}{}-{}", name, layer.kernel, layer.kernel, stride, layer.width);
  };
  switch (layer.kind) {
    case Kind::kConvolution:
      return convolution("conv");
    case Kind::kDepthwise:
      return convolution("dwconv");
    case Kind::kResidual:
      return fmt::format("res{}x{}", layer.kernel, layer.kernel);
    case Kind::kPool:
      return fmt::format("pool{}", layer.kernel);
    case Kind::kMaxPool:
      return fmt::format("maxpool{}", layer.kernel);
    case Kind::kMean:
      return "mean";
    case Kind::kAttention:
      return "attention";
    case Kind::kLinear:
      return fmt::format("fc{}", layer.width);
  }
  return "";
}

// Takes a number or a letter off the front of a word.
class Scanner {
 public:
  explicit Scanner(std::string_view word) : word_(word), rest_(word) {}

  bool take(std::string_view prefix) {
    if (rest_.substr(0, prefix.size()) != prefix) return false;
    rest_.remove_prefix(prefix.size());
    return true;
  }
  std::int64_t number(const char* what, std::int64_t low, std::int64_t high) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc() || end == rest_.data()) refuse();
    if (value < low || value > high) {
      fail(ExitCode::kUsage, "architecture: '{}': the {} is {}, it must be {} to {}", word_, what,
           value, low, high);
    }
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }
  void expect(std::string_view prefix) {
    if (!take(prefix)) refuse();
  }
  void end() {
    if (!rest_.empty()) refuse();
  }
  [[noreturn]] void refuse() const {
    fail(ExitCode::kUsage, "architecture: '{}' is no layer; layers look like {}", word_, kForms);
  }

 private:
  std::string_view word_, rest_;
};

HeadLayer parse_layer(const std::string& word) {
  Scanner scan(word);
  HeadLayer layer;
  const auto square = [&] {
    layer.kernel = scan.number("kernel", 1, kLargestKernel);
    scan.expect("x");
    if (scan.number("kernel", 1, kLargestKernel) != layer.kernel) {
      fail(ExitCode::kUsage, "architecture: '{}': kernels are square", word);
    }
    if (layer.kernel % 2 == 0) {
      fail(ExitCode::kUsage, "architecture: '{}': the kernel is {}, it must be odd", word,
           layer.kernel);
    }
  };
  const auto convolution = [&](Kind kind) {
    layer.kind = kind;
    square();
    if (scan.take("/")) layer.stride = scan.number("stride", 1, kLargestKernel);
    scan.expect("-");
    layer.width = scan.number("number of channels", 1, kLargestWidth);
  };
  const auto pool = [&](Kind kind) {
    layer.kind = kind;
    layer.kernel = scan.number("window", 2, kLargestKernel);
  };
  if (scan.take("conv")) {
    convolution(Kind::kConvolution);
  } else if (scan.take("dwconv")) {
    convolution(Kind::kDepthwise);
  } else if (scan.take("res")) {
    layer.kind = Kind::kResidual;
    square();
  } else if (scan.take("pool")) {
    pool(Kind::kPool);
  } else if (scan.take("maxpool")) {
    pool(Kind::kMaxPool);
  } else if (scan.take("mean")) {
    layer.kind = Kind::kMean;
  } else if (scan.take("attention")) {
    layer.kind = Kind::kAttention;
  } else if (scan.take("fc")) {
    layer.kind = Kind::kLinear;
    layer.width = scan.number("number of units", 1, kLargestWidth);
  } else {
    scan.refuse();
  }
  scan.end();
  return layer;
}

std::int64_t product(const Sizes& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>());
}

[[noreturn]] void does_not_fit(const HeadLayer& layer, const std::string& why) {
  fail(ExitCode::kUsage, "architecture: {}: {}", layer_text(layer), why);
}

Sizes size_behind(const HeadLayer& layer, const Sizes& in) {
  const bool is_map = in.size() == 3;
  const auto need_map = [&] {
    if (!is_map) {
      does_not_fit(layer,
                   "needs a map of channels x height x width, and what is in front of it is " +
                       text::shape(in));
    }
  };
  switch (layer.kind) {
    case Kind::kConvolution:
    case Kind::kDepthwise: {
      need_map();
      const auto behind = [&](std::int64_t size) {
        return (size + 2 * (layer.kernel / 2) - layer.kernel) / layer.stride + 1;
      };
      return {layer.width, behind(in[1]), behind(in[2])};
    }
    case Kind::kResidual:
      need_map();
      return in;
    case Kind::kPool:
    case Kind::kMaxPool:
      need_map();
      if (in[1] < layer.kernel || in[2] < layer.kernel) {
        does_not_fit(layer, "the map in front of it is only " + text::shape({in[1], in[2]}));
      }
      return {in[0], in[1] / layer.kernel, in[2] / layer.kernel};
    case Kind::kMean:
    case Kind::kAttention:
      if (in.size() == 3) return {in[0]};
      if (in.size() == 2) return {in[1]};
      does_not_fit(layer, "nothing to average over: what is in front of it is " + text::shape(in));
    case Kind::kLinear:
      return {layer.width};
  }
  return in;
}

// Multiply-accumulates and parameters of one layer, batch norm folded.
struct LayerCost {
  std::int64_t macs = 0, parameters = 0, hidden = 0;  // hidden: values between its two halves
};

LayerCost cost_of(const HeadLayer& layer, const Sizes& in, const Sizes& out) {
  const std::int64_t window = layer.kernel * layer.kernel;
  switch (layer.kind) {
    case Kind::kConvolution:
    case Kind::kResidual: {
      const std::int64_t weights = out[0] * in[0] * window;
      return {weights * out[1] * out[2], weights + out[0], 0};
    }
    case Kind::kDepthwise: {
      const std::int64_t positions = out[1] * out[2];
      return {in[0] * window * positions + in[0] * out[0] * positions,
              in[0] * (window + 1) + out[0] * (in[0] + 1), in[0] * positions};
    }
    case Kind::kAttention: {  // scores, then the weighted sum
      const std::int64_t positions = product(in) / out[0];
      return {2 * positions * out[0], out[0], positions};
    }
    case Kind::kLinear:
      return {product(in) * layer.width, (product(in) + 1) * layer.width, 0};
    case Kind::kPool:
    case Kind::kMaxPool:
    case Kind::kMean:
      break;
  }
  return {};
}

}  // namespace

bool HeadLayer::operator==(const HeadLayer& other) const {
  return kind == other.kind && kernel == other.kernel && stride == other.stride &&
         width == other.width;
}

std::string Architecture::text() const {
  if (layers.empty()) return "linear";
  std::vector<std::string> words;
  for (const auto& layer : layers) words.push_back(layer_text(layer));
  return text::join(words, ", ");
}

Architecture Architecture::parse(std::string_view given) {
  Architecture architecture;
  if (text::trim(given) == "linear") return architecture;
  for (const auto& part : text::split(given, ',')) {
    std::string word = text::trim(part);
    word.erase(std::remove(word.begin(), word.end(), ' '), word.end());
    if (word.empty()) {
      fail(ExitCode::kUsage,
           "architecture: '{}' has an empty layer; layers look like {}, or 'linear' for none",
           given, kForms);
    }
    architecture.layers.push_back(parse_layer(word));
  }
  return architecture;
}

std::size_t Architecture::hash() const {
  std::uint64_t value = mix(layers.size());
  for (const auto& layer : layers) {
    for (const std::int64_t part :
         {static_cast<std::int64_t>(layer.kind), layer.kernel, layer.stride, layer.width}) {
      value = mix(value ^ static_cast<std::uint64_t>(part));
    }
  }
  return static_cast<std::size_t>(value);
}

std::vector<Sizes> layer_sizes(const Architecture& architecture, const Sizes& input_shape) {
  if (input_shape.empty() || input_shape.size() > 3 ||
      std::any_of(input_shape.begin(), input_shape.end(), [](auto size) { return size < 1; })) {
    fail(ExitCode::kUsage,
         "a cache model reads activations of channels x height x width, tokens x width, or "
         "features; this one is {}",
         text::shape(input_shape));
  }
  std::vector<Sizes> sizes{input_shape};
  for (const auto& layer : architecture.layers) {
    sizes.push_back(size_behind(layer, sizes.back()));
  }
  sizes.push_back({product(sizes.back())});
  return sizes;
}

SegmentCost head_cost(const Architecture& architecture, const Sizes& input_shape,
                      std::int64_t classes, bool takes_prior) {
  const auto sizes = layer_sizes(architecture, input_shape);
  SegmentCost total;
  std::int64_t live = 0;
  for (std::size_t i = 0; i < architecture.layers.size(); ++i) {
    const auto cost = cost_of(architecture.layers[i], sizes[i], sizes[i + 1]);
    total.macs += static_cast<double>(cost.macs);
    total.parameters += cost.parameters;
    total.element_ops += static_cast<double>(product(sizes[i + 1]));  // its ReLU, or the mean
    live = std::max({live, product(sizes[i]) + std::max(product(sizes[i + 1]), cost.hidden),
                     cost.hidden + product(sizes[i + 1])});
  }
  const std::int64_t features = sizes.back().front() + (takes_prior ? classes : 0);
  total.macs += static_cast<double>(features * classes);
  total.parameters += (features + 1) * classes;
  live = std::max(live, features + classes);
  total.weight_bytes = total.parameters * 4;
  total.live_bytes = live * 4;
  return total;
}

}  // namespace cachectl::model
