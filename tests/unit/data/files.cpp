#include "files.h"

#include <png.h>
#include <unistd.h>

#include <cassert>
#include <sstream>

namespace cachectl::data::test {

namespace fs = std::filesystem;

TempFolder::TempFolder() {
  std::string pattern = (fs::temp_directory_path() / "cachectl-data-XXXXXX").string();
  assert(mkdtemp(pattern.data()) != nullptr);
  root_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

std::string TempFolder::write(const std::string& name, const std::string& bytes) const {
  const fs::path path = root_ / name;
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
  return path.string();
}

std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string cifar_record(int number, const std::vector<int>& labels) {
  std::string record;
  for (const int label : labels) record += static_cast<char>(label);
  for (int pixel = 0; pixel < 3072; ++pixel) {
    record += static_cast<char>((pixel + 7 * number) % 251);
  }
  return record;
}

std::string cifar10_bytes(int records) {
  std::string bytes;
  for (int i = 0; i < records; ++i) bytes += cifar_record(i, {i % 10});
  return bytes;
}

std::string cifar100_bytes(int records) {
  std::string bytes;
  for (int i = 0; i < records; ++i) bytes += cifar_record(i, {i % 20, i % 100});
  return bytes;
}

std::string npy_bytes(const std::string& descr, const std::string& shape, const std::string& data,
                      const std::string& order) {
  std::string header =
      "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

std::string png_bytes(int width, int height, int number) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(3 * width * height));
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<std::uint8_t>((i * 31 + static_cast<std::size_t>(number) * 17) % 256);
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string bytes(size, '\0');
  const int written =
      png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, nullptr);
  assert(written != 0);
  bytes.resize(size);
  return bytes;
}

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

Options options_of(const std::string& kind, const std::string& path) {
  Options options;
  options.kind = kind;
  options.path = path;
  return options;
}

}  // namespace cachectl::data::test
