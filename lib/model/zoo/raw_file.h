#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cachectl::zoo {

// A file read at offsets, every read checked against its size first: what a hostile
// header claims is never allocated.
class RawFile {
 public:
  explicit RawFile(const std::filesystem::path& path);  // throws Error (cannot open)

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  // Throws Error (corrupt) "PATH: WHAT ..." where the file is too short.
  void read(std::uint64_t offset, std::uint64_t count, void* into, std::string_view what) const;
  std::vector<char> read(std::uint64_t offset, std::uint64_t count, std::string_view what) const;

 private:
  void require(std::uint64_t offset, std::uint64_t count, std::string_view what) const;

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::uint64_t size_ = 0;
};

// Has a temporary sibling written, syncs it, and renames it to `path`. Throws Error (cannot
// open); whatever is thrown, `path` is as it was and the sibling is gone.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(std::ostream&)>& write);

// Elements of a shape. Throws Error (corrupt), naming `where`, for a negative size or a
// product beyond `limit`.
std::int64_t checked_elements(const std::vector<std::int64_t>& shape, std::int64_t limit,
                              const std::string& where);

}  // namespace cachectl::zoo
