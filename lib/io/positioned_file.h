#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

// A file read and written at given positions, past any library: for the bulk of large
// data sets, whose place in an HDF5 file is fixed (Layout::placed_early).
namespace cachectl::io {

// read_at and write_at may be called from several threads at once. Faults throw
// Error(kCannotOpen) that names the file.
class PositionedFile {
 public:
  static PositionedFile open(const std::filesystem::path& path);           // to read
  static PositionedFile open_to_write(const std::filesystem::path& path);  // made when missing
  ~PositionedFile();
  PositionedFile(PositionedFile&& other) noexcept;
  PositionedFile& operator=(PositionedFile&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }
  std::int64_t size() const;
  // Throws Error(kCorrupt) when the file ends before.
  void read_at(std::int64_t offset, void* data, std::size_t size) const;
  void write_at(std::int64_t offset, const void* data, std::size_t size);
  // As write_at, by one thread at a time. The bulk of large writes goes to the disk past the
  // system's file cache, where the file system can: a file that is larger than the cache, and is
  // not read soon, then costs neither its memory nor the processor time of filling it.
  void write_past_cache(std::int64_t offset, const void* data, std::size_t size);
  void truncate(std::int64_t size);
  // Takes the space on the disk now, so that it can't be full later; the file's size stays.
  // False where the file system can't; throws when the disk has not as much, or a limit
  // on the size of files is in the way.
  bool reserve(std::int64_t offset, std::int64_t size);
  void sync();  // to the disk
  // For as long as this object lives; throws Error(kCannotOpen) when another process has it.
  void lock();

 private:
  PositionedFile(int descriptor, std::filesystem::path path);
  bool can_pass_cache();

  struct Free {
    void operator()(char* memory) const;
  };
  int descriptor_ = -1;
  std::filesystem::path path_;
  int past_cache_ = -1;  // a second descriptor
  bool passes_cache_ = true;
  std::unique_ptr<char, Free> aligned_;
};

// What a user without privileges may still write in this folder, in bytes.
std::int64_t free_space(const std::filesystem::path& folder);

}  // namespace cachectl::io
