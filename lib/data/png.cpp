#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "base/error.h"
#include "data/image.h"

namespace cachectl::data::image_detail {
namespace {

constexpr png_alloc_size_t kLargestChunk = 16 << 20;

// What libpng's callbacks share. libpng reports errors by a jump that runs no destructors:
// so everything that owns memory lives out here, in the caller of the jumping functions.
struct Reader {
  const std::uint8_t* bytes;
  std::size_t size;
  std::size_t position = 0;
  char message[160] = "";
  png_structp png = nullptr;
  png_infop info = nullptr;

  Reader(const std::uint8_t* data, std::size_t count) : bytes(data), size(count) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

void on_error(png_structp png, png_const_charp text) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, text, sizeof(reader->message) - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep to, png_size_t count) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (count > reader->size - reader->position) png_error(png, "the file ends too early");
  std::memcpy(to, reader->bytes + reader->position, count);
  reader->position += count;
}

// Header and conversions; false on an error.
bool start(Reader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_read_fn(reader.png, &reader, on_read);
  png_set_user_limits(reader.png, kLargestImageSide, kLargestImageSide);
  png_set_chunk_malloc_max(reader.png, kLargestChunk);
  png_read_info(reader.png, reader.info);
  const int color = png_get_color_type(reader.png, reader.info);
  png_set_expand(reader.png);  // palette to RGB, 1-4 bits to 8, tRNS to alpha
  png_set_scale_16(reader.png);
  if ((color & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(reader.png);
  png_set_strip_alpha(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

bool read_rows(Reader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
  return true;
}

}  // namespace

Pixels decode_png(const std::vector<std::uint8_t>& bytes, const std::string& path,
                  std::int64_t max_pixels) {
  Reader reader(bytes.data(), bytes.size());
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
  if (reader.png != nullptr) reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) fail(ExitCode::kInternal, "{}: libpng can't be set up", path);
  if (!start(reader)) fail(ExitCode::kCorrupt, "{}: corrupt PNG: {}", path, reader.message);

  Pixels pixels;
  pixels.width = png_get_image_width(reader.png, reader.info);
  pixels.height = png_get_image_height(reader.png, reader.info);
  require_size(pixels.width, pixels.height, path, max_pixels);
  const std::size_t stride = static_cast<std::size_t>(pixels.width) * 3;
  if (png_get_rowbytes(reader.png, reader.info) != stride) {
    fail(ExitCode::kCorrupt, "{}: corrupt PNG: rows of {} bytes, expected {}", path,
         png_get_rowbytes(reader.png, reader.info), stride);
  }
  pixels.values.resize(stride * static_cast<std::size_t>(pixels.height));
  std::vector<png_bytep> rows(static_cast<std::size_t>(pixels.height));
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = pixels.values.data() + y * stride;
  if (!read_rows(reader, rows.data())) {
    fail(ExitCode::kCorrupt, "{}: corrupt PNG: {}", path, reader.message);
  }
  return pixels;
}

}  // namespace cachectl::data::image_detail
