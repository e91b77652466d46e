#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace cachectl::data {

// A file that is read at any place by many threads. Throws Error(kCannotOpen) when it
// can't be opened or read, Error(kCorrupt) when it ends too early.
class RandomAccessFile {
 public:
  explicit RandomAccessFile(std::string path);
  ~RandomAccessFile();
  RandomAccessFile(RandomAccessFile&& other) noexcept;
  RandomAccessFile& operator=(RandomAccessFile&&) = delete;
  RandomAccessFile(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(const RandomAccessFile&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  // what: the object that is read, for the message ("record 12").
  void read_at(std::uint64_t offset, void* to, std::size_t count, const std::string& what) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

// A 64-bit hash of content, the same on every platform. Not against an adversary.
std::uint64_t content_id(const void* data, std::size_t size, std::uint64_t start = 0);

}  // namespace cachectl::data
