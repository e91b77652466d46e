#include "data/transform.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/text.h"

namespace cachectl::data {
namespace {

constexpr std::int64_t kLongestSide = 16384;

std::int64_t parse_side(const std::string& word, const std::string& step) {
  std::int64_t value = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error != std::errc() || stop != end || value < 1 || value > kLongestSide) {
    fail(ExitCode::kUsage, "data.transform: '{}': '{}': expected a side in pixels from 1 to {}",
         step, word, kLongestSide);
  }
  return value;
}

void require_image(const at::Tensor& image, const char* step) {
  if (image.dim() == 3) return;
  fail(ExitCode::kUsage,
       "data.transform: {} asks for images [channels, height, width], the samples are {}", step,
       text::shape(image.sizes().vec()));
}

// For each output position along one side: the first input position and the weights of
// those from there on. A triangle as wide as the step between outputs, at least one
// input pixel to each side, so that shrinking averages over what it drops.
struct Taps {
  std::int64_t first;
  std::vector<float> weights;
};

std::vector<Taps> resize_taps(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> all(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(0, std::llround(center - support));
    const auto last = std::min<std::int64_t>(from, std::llround(center + support));
    Taps& taps = all[static_cast<std::size_t>(i)];
    taps.first = first;
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t j = first; j < last; ++j) {
      const double away = std::abs((static_cast<double>(j) + 0.5 - center) / support);
      weights.push_back(std::max(0.0, 1 - away));
      sum += weights.back();
    }
    for (const double weight : weights) taps.weights.push_back(static_cast<float>(weight / sum));
  }
  return all;
}

template <class T>
at::Tensor resize_as(const at::Tensor& image, std::int64_t height, std::int64_t width) {
  const std::int64_t channels = image.size(0), rows = image.size(1), columns = image.size(2);
  const auto across = resize_taps(columns, width), down = resize_taps(rows, height);
  at::Tensor result = at::empty({channels, height, width}, image.options());
  const T* in = image.data_ptr<T>();
  T* out = result.data_ptr<T>();
  std::vector<float> narrow(static_cast<std::size_t>(rows * width));
  std::vector<float> line(static_cast<std::size_t>(width));
  for (std::int64_t c = 0; c < channels; ++c, in += rows * columns) {
    for (std::int64_t y = 0; y < rows; ++y) {
      const T* row = in + y * columns;
      float* to = narrow.data() + y * width;
      for (std::int64_t x = 0; x < width; ++x) {
        const Taps& taps = across[static_cast<std::size_t>(x)];
        float sum = 0;
        for (std::size_t k = 0; k < taps.weights.size(); ++k) {
          sum +=
              taps.weights[k] * static_cast<float>(row[taps.first + static_cast<std::int64_t>(k)]);
        }
        to[x] = sum;
      }
    }
    for (std::int64_t y = 0; y < height; ++y) {
      const Taps& taps = down[static_cast<std::size_t>(y)];
      std::fill(line.begin(), line.end(), 0.0F);
      for (std::size_t k = 0; k < taps.weights.size(); ++k) {
        const float* from = narrow.data() + (taps.first + static_cast<std::int64_t>(k)) * width;
        for (std::int64_t x = 0; x < width; ++x)
          line[static_cast<std::size_t>(x)] += taps.weights[k] * from[x];
      }
      for (std::int64_t x = 0; x < width; ++x, ++out) {
        const float value = line[static_cast<std::size_t>(x)];
        if constexpr (std::is_same_v<T, std::uint8_t>) {
          *out = static_cast<std::uint8_t>(std::clamp(std::nearbyint(value), 0.0F, 255.0F));
        } else {
          *out = value;
        }
      }
    }
  }
  return result;
}

template <class T>
at::Tensor crop_as(const at::Tensor& image, std::int64_t height, std::int64_t width) {
  const std::int64_t channels = image.size(0), rows = image.size(1), columns = image.size(2);
  at::Tensor result = at::zeros({channels, height, width}, image.options());
  // Half a pixel over goes to the even neighbour, as torchvision's round() has it.
  const auto offset = [](std::int64_t from, std::int64_t to) {
    return from >= to
               ? static_cast<std::int64_t>(std::nearbyint(static_cast<double>(from - to) / 2))
               : -((to - from) / 2);
  };
  const std::int64_t top = offset(rows, height), left = offset(columns, width);
  const std::int64_t first = std::max<std::int64_t>(0, -left);
  const std::int64_t last = std::min(width, columns - left);
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t y = std::max<std::int64_t>(0, -top); y < std::min(height, rows - top); ++y) {
      const T* from = image.data_ptr<T>() + (c * rows + y + top) * columns + left;
      T* to = result.data_ptr<T>() + (c * height + y) * width;
      std::copy(from + first, from + last, to + first);
    }
  }
  return result;
}

// One value per channel (dimension 0), whatever the option gives: none, one, or all.
std::vector<float> per_channel(const std::vector<double>& values, double fallback,
                               std::int64_t channels, const char* key) {
  if (values.empty())
    return std::vector<float>(static_cast<std::size_t>(channels), static_cast<float>(fallback));
  if (values.size() == 1) {
    return std::vector<float>(static_cast<std::size_t>(channels), static_cast<float>(values[0]));
  }
  if (static_cast<std::int64_t>(values.size()) != channels) {
    fail(ExitCode::kUsage,
         "data.{}: {} values for samples of {} channels: give one a channel, or one", key,
         values.size(), channels);
  }
  return {values.begin(), values.end()};
}

template <class T>
at::Tensor normalize(const at::Tensor& sample, const std::vector<float>& mean,
                     const std::vector<float>& std) {
  const auto channels = static_cast<std::int64_t>(mean.size());
  const std::int64_t plane = channels == 0 ? 0 : sample.numel() / channels;
  at::Tensor result = at::empty(sample.sizes(), at::kFloat);
  const T* in = sample.data_ptr<T>();
  float* out = result.data_ptr<float>();
  for (std::int64_t c = 0; c < channels; ++c) {
    const float center = mean[static_cast<std::size_t>(c)],
                spread = std[static_cast<std::size_t>(c)];
    for (std::int64_t i = 0; i < plane; ++i, ++in, ++out) {
      float value = static_cast<float>(*in);
      if constexpr (std::is_same_v<T, std::uint8_t>) value /= 255;
      *out = (value - center) / spread;
    }
  }
  return result;
}

}  // namespace

at::Tensor resize(const at::Tensor& image, std::int64_t height, std::int64_t width) {
  assert(height > 0 && width > 0);
  require_image(image, "resize");
  if (image.size(1) == height && image.size(2) == width) return image;
  const at::Tensor source = image.contiguous();
  return source.scalar_type() == at::kByte ? resize_as<std::uint8_t>(source, height, width)
                                           : resize_as<float>(source.to(at::kFloat), height, width);
}

at::Tensor center_crop(const at::Tensor& image, std::int64_t height, std::int64_t width) {
  assert(height > 0 && width > 0);
  require_image(image, "center_crop");
  if (image.size(1) == height && image.size(2) == width) return image;
  const at::Tensor source = image.contiguous();
  return source.scalar_type() == at::kByte ? crop_as<std::uint8_t>(source, height, width)
                                           : crop_as<float>(source.to(at::kFloat), height, width);
}

Transform::Transform(const Options& options)
    : Transform(options.transform, options.mean, options.std, options.dtype == "stored") {}

Transform::Transform(const std::vector<std::string>& steps, std::vector<double> mean,
                     std::vector<double> std, bool stored)
    : stored_(stored), mean_(std::move(mean)), std_(std::move(std)) {
  if (stored_ && !(mean_.empty() && std_.empty())) {
    fail(ExitCode::kUsage, "data.dtype: stored: mean and std need float32");
  }
  for (const auto& step : steps) {
    std::vector<std::string> words;
    for (auto& word : text::split(step, ' ')) {
      if (!word.empty()) words.push_back(std::move(word));
    }
    if (words.empty()) continue;
    Step parsed{};
    if (words[0] == "resize") {
      parsed.kind = Step::Kind::kResize;
    } else if (words[0] == "center_crop") {
      parsed.kind = Step::Kind::kCenterCrop;
    } else {
      const std::string near = text::nearest(words[0], {"resize", "center_crop"});
      fail(ExitCode::kUsage, "data.transform: '{}': unknown step; expected resize or center_crop{}",
           step, near.empty() ? "" : "; did you mean '" + near + "'?");
    }
    if (words.size() < 2 || words.size() > 3) {
      fail(ExitCode::kUsage, "data.transform: '{}': expected '{} SIDE' or '{} HEIGHT WIDTH'", step,
           words[0], words[0]);
    }
    parsed.height = parse_side(words[1], step);
    if (words.size() == 3) {
      parsed.width = parse_side(words[2], step);
    } else {
      parsed.width = parsed.kind == Step::Kind::kResize ? 0 : parsed.height;
    }
    steps_.push_back(parsed);
  }
  for (const double value : std_) {
    if (!(value > 0)) fail(ExitCode::kUsage, "data.std: {}: expected a number above 0", value);
  }
}

at::Tensor Transform::operator()(const at::Tensor& raw) const {
  at::Tensor sample = raw;
  for (const Step& step : steps_) {
    if (step.kind == Step::Kind::kCenterCrop) {
      sample = center_crop(sample, step.height, step.width);
      continue;
    }
    require_image(sample, "resize");
    std::int64_t height = step.height, width = step.width;
    if (width == 0) {
      const std::int64_t rows = sample.size(1), columns = sample.size(2), side = step.height;
      height = rows <= columns ? side : side * rows / columns;
      width = columns <= rows ? side : side * columns / rows;
      if (height > kLongestSide || width > kLongestSide) {
        fail(ExitCode::kCorrupt,
             "data.transform: resize {} would make a {}x{} image {}x{}, and {} a side is the most: "
             "leave it out, or give resize both sides",
             side, rows, columns, height, width, kLongestSide);
      }
    }
    sample = resize(sample, height, width);
  }
  sample = sample.contiguous();
  if (stored_)
    return sample.scalar_type() == raw.scalar_type() ? sample : sample.to(raw.scalar_type());
  const std::int64_t channels = sample.dim() > 0 ? sample.size(0) : 1;
  const auto mean = per_channel(mean_, 0, channels, "mean"),
             std = per_channel(std_, 1, channels, "std");
  return sample.scalar_type() == at::kByte ? normalize<std::uint8_t>(sample, mean, std)
                                           : normalize<float>(sample.to(at::kFloat), mean, std);
}

std::string Transform::text() const {
  std::vector<std::string> steps;
  for (const Step& step : steps_) {
    const char* name = step.kind == Step::Kind::kResize ? "resize" : "center_crop";
    steps.push_back(step.width > 0 ? fmt::format("{} {} {}", name, step.height, step.width)
                                   : fmt::format("{} {}", name, step.height));
  }
  const auto numbers = [](const std::vector<double>& values) {
    std::vector<std::string> words;
    words.reserve(values.size());
    for (const double value : values) words.push_back(fmt::format("{}", value));
    return text::join(words, " ");
  };
  if (stored_) steps.push_back("stored");
  if (!mean_.empty()) steps.push_back("mean " + numbers(mean_));
  if (!std_.empty()) steps.push_back("std " + numbers(std_));
  return text::join(steps, ", ");
}

Transform Transform::parse(const std::string& text) {
  std::vector<std::string> steps;
  std::vector<double> mean, std;
  bool stored = false;
  for (const auto& part : text::split(text, ',')) {
    const std::string step = text::trim(part);
    if (step == "stored") {
      stored = true;
      continue;
    }
    const bool is_mean = step.rfind("mean ", 0) == 0, is_std = step.rfind("std ", 0) == 0;
    if (!is_mean && !is_std) {
      if (!step.empty()) steps.push_back(step);
      continue;
    }
    for (const auto& word : text::split(step.substr(step.find(' ') + 1), ' ')) {
      if (word.empty()) continue;
      double value = 0;
      const char* end = word.data() + word.size();
      const auto [stop, error] = std::from_chars(word.data(), end, value);
      if (error != std::errc() || stop != end || !std::isfinite(value)) {
        fail(ExitCode::kUsage, "transform '{}': '{}': expected a number", step, word);
      }
      (is_mean ? mean : std).push_back(value);
    }
  }
  return Transform(steps, std::move(mean), std::move(std), stored);
}

}  // namespace cachectl::data
