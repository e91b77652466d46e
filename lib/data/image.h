#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace cachectl::data {

// A bound on what a file may ask for: a hostile header claims anything.
inline constexpr std::int64_t kLargestImageSide = 32768;
inline constexpr std::int64_t kLargestImagePixels = 64LL << 20;
inline constexpr std::uint64_t kLargestImageFile = 256ULL << 20;

// Decodes a PNG or JPEG file, told apart by its first bytes, to uint8 [3, H, W] RGB. Grey
// becomes three equal channels, 16 bits become 8, a palette is looked up, transparency is
// dropped, CMYK is converted; colour profiles, gamma and EXIF orientation are not applied.
// Throws Error(kCannotOpen), or Error(kCorrupt) that names the file and what is wrong.
at::Tensor read_image(const std::string& path);

// The same from memory; path is for messages only. max_pixels: a bound below the usual one, for
// images from strangers; where an image goes beyond it, Error(kUsage).
at::Tensor decode_image(const std::vector<std::uint8_t>& bytes, const std::string& path,
                        std::int64_t max_pixels = kLargestImagePixels);

namespace image_detail {

// Interleaved RGB, as the codecs give it.
struct Pixels {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> values;
};
Pixels decode_png(const std::vector<std::uint8_t>& bytes, const std::string& path,
                  std::int64_t max_pixels);
Pixels decode_jpeg(const std::vector<std::uint8_t>& bytes, const std::string& path,
                   std::int64_t max_pixels);
void require_size(std::int64_t width, std::int64_t height, const std::string& path,
                  std::int64_t max_pixels = kLargestImagePixels);

}  // namespace image_detail

}  // namespace cachectl::data
