// jpeglib.h uses FILE and size_t without including what declares them.
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

#include <jerror.h>

#include <csetjmp>

#include "base/error.h"
#include "data/image.h"

namespace cachectl::data::image_detail {
namespace {

constexpr int kMostScans = 200;  // a progressive file of thousands would take minutes

// libjpeg reports errors by a call that must not return: it jumps, and runs no
// destructors, so everything that owns memory lives in the caller of what jumps.
struct Reader {
  jpeg_decompress_struct codec{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump{};
  char message[JMSG_LENGTH_MAX] = "";

  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { jpeg_destroy_decompress(&codec); }
};

Reader& reader_of(j_common_ptr codec) {
  return *static_cast<Reader*>(codec->client_data);
}

[[noreturn]] void on_error(j_common_ptr codec) {
  Reader& reader = reader_of(codec);
  codec->err->format_message(codec, reader.message);
  std::longjmp(reader.jump, 1);
}

// Warnings of the decoder mean made-up pixels, but for a few about the wrapping.
void on_message(j_common_ptr codec, int level) {
  if (level >= 0) return;
  const int code = codec->err->msg_code;
  if (code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR) return;
  on_error(codec);
}

void on_progress(j_common_ptr codec) {
  if (!codec->is_decompressor) return;
  if (reinterpret_cast<j_decompress_ptr>(codec)->input_scan_number <= kMostScans) return;
  Reader& reader = reader_of(codec);
  std::snprintf(reader.message, sizeof(reader.message), "more than %d scans", kMostScans);
  std::longjmp(reader.jump, 1);
}

bool start(Reader& reader, const std::vector<std::uint8_t>& bytes) {
  if (setjmp(reader.jump) != 0) return false;
  jpeg_create_decompress(&reader.codec);
  reader.codec.client_data = &reader;
  reader.codec.progress = &reader.progress;
  jpeg_mem_src(&reader.codec, bytes.data(), bytes.size());
  jpeg_read_header(&reader.codec, TRUE);
  const bool has_black =
      reader.codec.jpeg_color_space == JCS_CMYK || reader.codec.jpeg_color_space == JCS_YCCK;
  reader.codec.out_color_space = has_black ? JCS_CMYK : JCS_RGB;
  return true;
}

bool read_rows(Reader& reader, std::uint8_t* values) {
  if (setjmp(reader.jump) != 0) return false;
  jpeg_start_decompress(&reader.codec);
  const std::size_t stride =
      static_cast<std::size_t>(reader.codec.output_width) * reader.codec.output_components;
  while (reader.codec.output_scanline < reader.codec.output_height) {
    JSAMPROW row = values + reader.codec.output_scanline * stride;
    jpeg_read_scanlines(&reader.codec, &row, 1);
  }
  jpeg_finish_decompress(&reader.codec);
  return true;
}

// Adobe writes CMYK inverted, and says so by its marker.
std::vector<std::uint8_t> cmyk_to_rgb(const std::vector<std::uint8_t>& cmyk, bool inverted) {
  std::vector<std::uint8_t> rgb(cmyk.size() / 4 * 3);
  for (std::size_t i = 0; i < cmyk.size() / 4; ++i) {
    const int black = inverted ? cmyk[4 * i + 3] : 255 - cmyk[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      const int ink = inverted ? cmyk[4 * i + c] : 255 - cmyk[4 * i + c];
      rgb[3 * i + c] = static_cast<std::uint8_t>((ink * black + 127) / 255);
    }
  }
  return rgb;
}

}  // namespace

Pixels decode_jpeg(const std::vector<std::uint8_t>& bytes, const std::string& path,
                   std::int64_t max_pixels) {
  Reader reader;
  reader.codec.err = jpeg_std_error(&reader.errors);
  reader.codec.client_data = &reader;
  reader.errors.error_exit = on_error;
  reader.errors.emit_message = on_message;
  reader.progress.progress_monitor = on_progress;
  if (!start(reader, bytes)) fail(ExitCode::kCorrupt, "{}: corrupt JPEG: {}", path, reader.message);

  Pixels pixels;
  pixels.width = reader.codec.image_width;
  pixels.height = reader.codec.image_height;
  require_size(pixels.width, pixels.height, path, max_pixels);
  const bool has_black = reader.codec.out_color_space == JCS_CMYK;
  pixels.values.resize(static_cast<std::size_t>(pixels.width * pixels.height) *
                       (has_black ? 4 : 3));
  if (!read_rows(reader, pixels.values.data())) {
    fail(ExitCode::kCorrupt, "{}: corrupt JPEG: {}", path, reader.message);
  }
  if (has_black) pixels.values = cmyk_to_rgb(pixels.values, reader.codec.saw_Adobe_marker != FALSE);
  return pixels;
}

}  // namespace cachectl::data::image_detail
