#include "data/image.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "data/file.h"

namespace cachectl::data {

namespace image_detail {

void require_size(std::int64_t width, std::int64_t height, const std::string& path,
                  std::int64_t max_pixels) {
  if (width > 0 && height > 0 && width <= kLargestImageSide && height <= kLargestImageSide &&
      width * height <= max_pixels) {
    return;
  }
  // Beyond a bound of the caller's alone the file is sound.
  const bool sound = width > 0 && height > 0 && width <= kLargestImageSide &&
                     height <= kLargestImageSide && width * height <= kLargestImagePixels;
  const ExitCode code = sound ? ExitCode::kUsage : ExitCode::kCorrupt;
  fail(code, "{}: an image of {}x{} pixels; at most {} a side and {} in all are read", path, width,
       height, kLargestImageSide, max_pixels);
}

}  // namespace image_detail

at::Tensor decode_image(const std::vector<std::uint8_t>& bytes, const std::string& path,
                        std::int64_t max_pixels) {
  constexpr std::array<std::uint8_t, 8> kPng = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  constexpr std::array<std::uint8_t, 3> kJpeg = {0xff, 0xd8, 0xff};
  const auto starts_with = [&](const auto& magic) {
    return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
  };
  image_detail::Pixels pixels;
  if (starts_with(kPng)) {
    pixels = image_detail::decode_png(bytes, path, max_pixels);
  } else if (starts_with(kJpeg)) {
    pixels = image_detail::decode_jpeg(bytes, path, max_pixels);
  } else if (bytes.empty()) {
    fail(ExitCode::kCorrupt, "{}: the file is empty; expected a PNG or JPEG image", path);
  } else {
    std::string start;
    for (std::size_t i = 0; i < std::min<std::size_t>(4, bytes.size()); ++i) {
      start += fmt::format(" {:02x}", bytes[i]);
    }
    fail(ExitCode::kCorrupt, "{}: is neither PNG nor JPEG: it starts with{}", path, start);
  }
  const std::int64_t plane = pixels.width * pixels.height;
  at::Tensor image = at::empty({3, pixels.height, pixels.width}, at::kByte);
  auto* out = image.data_ptr<std::uint8_t>();
  const std::uint8_t* in = pixels.values.data();
  for (std::int64_t i = 0; i < plane; ++i, in += 3) {
    out[i] = in[0];
    out[plane + i] = in[1];
    out[2 * plane + i] = in[2];
  }
  return image;
}

at::Tensor read_image(const std::string& path) {
  const RandomAccessFile file(path);
  if (file.size() > kLargestImageFile) {
    fail(ExitCode::kCorrupt, "{}: {} bytes; images up to {} bytes are read", path, file.size(),
         kLargestImageFile);
  }
  std::vector<std::uint8_t> bytes(file.size());
  file.read_at(0, bytes.data(), bytes.size(), "image");
  return decode_image(bytes, path);
}

}  // namespace cachectl::data
