#include "report/image.h"

#include <ATen/ATen.h>
#include <png.h>

#include <algorithm>
#include <cassert>
#include <vector>

#include "base/error.h"

namespace cachectl::report {
namespace {

std::string base64(const std::vector<unsigned char>& bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    unsigned group = bytes[i] << 16;
    if (left > 1) group |= bytes[i + 1] << 8;
    if (left > 2) group |= bytes[i + 2];
    text += digits[group >> 18];
    text += digits[group >> 12 & 63];
    text += left > 1 ? digits[group >> 6 & 63] : '=';
    text += left > 2 ? digits[group & 63] : '=';
  }
  return text;
}

// Interleaved pixels of the image, blocks of FACTOR x FACTOR averaged into one.
std::vector<unsigned char> pixels(const at::Tensor& image, std::int64_t factor) {
  const std::int64_t channels = image.size(0), rows = image.size(1), columns = image.size(2);
  const auto* source = image.data_ptr<std::uint8_t>();
  std::vector<unsigned char> out;
  for (std::int64_t y = 0; y + factor <= rows; y += factor) {
    for (std::int64_t x = 0; x + factor <= columns; x += factor) {
      for (std::int64_t c = 0; c < channels; ++c) {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < factor * factor; ++i) {
          sum += source[(c * rows + y + i / factor) * columns + x + i % factor];
        }
        out.push_back(static_cast<unsigned char>((sum + factor * factor / 2) / (factor * factor)));
      }
    }
  }
  return out;
}

}  // namespace

std::string png_data_uri(const at::Tensor& image, std::int64_t max_side) {
  if (!image.defined()) return "";
  assert(image.dim() == 3 && (image.size(0) == 1 || image.size(0) == 3));
  assert(image.size(1) > 0 && image.size(2) > 0 && max_side > 0);
  const at::Tensor source = image.to(at::kCPU, at::kByte).contiguous();
  const std::int64_t rows = source.size(1), columns = source.size(2);
  // A strip thinner than the factor would vanish: never more than its shorter side.
  const std::int64_t factor =
      std::min((std::max(rows, columns) + max_side - 1) / max_side, std::min(rows, columns));
  const std::vector<unsigned char> raw = pixels(source, factor);

  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(columns / factor);
  header.height = static_cast<png_uint_32>(rows / factor);
  header.format = source.size(0) == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::vector<unsigned char> bytes(size);
  if (!png_image_write_to_memory(&header, bytes.data(), &size, 0, raw.data(), 0, nullptr)) {
    fail(ExitCode::kInternal, "example image: libpng: {}", header.message);
  }
  bytes.resize(size);
  return "data:image/png;base64," + base64(bytes);
}

}  // namespace cachectl::report
