#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/options.h"

// Small data sets that tests write, whole or broken.
namespace cachectl::data::test {

// A folder of its own for each test, gone afterwards.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string path(const std::string& name = "") const { return (root_ / name).string(); }
  // Writes the bytes, makes folders on the way, and returns the file's path.
  std::string write(const std::string& name, const std::string& bytes) const;

 private:
  std::filesystem::path root_;
};

std::string read_bytes(const std::string& path);

// A CIFAR record whose pixels are (pixel + 7 * number) mod 251.
std::string cifar_record(int number, const std::vector<int>& labels);
std::string cifar10_bytes(int records);
std::string cifar100_bytes(int records);

// A NumPy file of version 1.0 with this header and data.
std::string npy_bytes(const std::string& descr, const std::string& shape, const std::string& data,
                      const std::string& order = "False");
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// An image of these sides whose pixels follow a fixed pattern, as a file.
std::string png_bytes(int width, int height, int number = 0);
std::string from_hex(const std::string& digits);

// What a call throws, as "CODE: message"; "" when it throws nothing.
template <class Call>
std::string failure(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.code())) + ": " + error.what();
  }
  return "";
}

Options options_of(const std::string& kind, const std::string& path);

}  // namespace cachectl::data::test
