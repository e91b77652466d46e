#include "zoo/raw_file.h"

#include <fstream>
#include <system_error>

#include "base/error.h"
#include "base/text.h"
#include "io/artifact.h"

namespace cachectl::zoo {

namespace fs = std::filesystem;

RawFile::RawFile(const fs::path& path) : path_(path.string()) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    fail(ExitCode::kCannotOpen, "{}: a folder; expected a file", path_);
  }
  file_.reset(std::fopen(path_.c_str(), "rb"));
  if (!file_) fail(ExitCode::kCannotOpen, "{}: {}", path_, errno_text());
  size_ = fs::file_size(path, error);
  if (error) fail(ExitCode::kCannotOpen, "{}: {}", path_, error.message());
}

void RawFile::require(std::uint64_t offset, std::uint64_t count, std::string_view what) const {
  if (offset > size_ || count > size_ - offset) {
    fail(ExitCode::kCorrupt,
         "{}: {}: {} bytes at {} are beyond the file's end at {}: it is cut short or damaged",
         path_, what, count, offset, size_);
  }
}

void RawFile::read(std::uint64_t offset, std::uint64_t count, void* into,
                   std::string_view what) const {
  require(offset, count, what);
  if (count == 0) return;
  if (fseeko(file_.get(), static_cast<off_t>(offset), SEEK_SET) != 0 ||
      std::fread(into, 1, count, file_.get()) != count) {
    fail(ExitCode::kCannotOpen, "{}: {}: {} bytes at {}: {}", path_, what, count, offset,
         errno_text());
  }
}

std::vector<char> RawFile::read(std::uint64_t offset, std::uint64_t count,
                                std::string_view what) const {
  require(offset, count, what);
  std::vector<char> bytes(count);
  read(offset, count, bytes.data(), what);
  return bytes;
}

void write_atomically(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  // One name, so that what a killed run left is written over by the next.
  fs::path temporary = path;
  temporary += ".tmp";
  try {
    std::ofstream out(temporary, std::ios::binary);
    if (!out) fail(ExitCode::kCannotOpen, "{}: {}", temporary.string(), errno_text());
    write(out);
    out.close();
    if (!out) fail(ExitCode::kCannotOpen, "{}: {}", temporary.string(), errno_text());
    io::sync_to_disk(temporary);
    std::error_code error;
    fs::rename(temporary, path, error);
    if (error) fail(ExitCode::kCannotOpen, "{}: {}", path.string(), error.message());
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  io::sync_to_disk(path);
}

std::int64_t checked_elements(const std::vector<std::int64_t>& shape, std::int64_t limit,
                              const std::string& where) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0) fail(ExitCode::kCorrupt, "{}: negative size in its shape", where);
    if (size != 0 && count > limit / size) {
      fail(ExitCode::kCorrupt, "{}: its shape {} has more elements than the {} that are stored",
           where, text::shape(shape), limit);
    }
    count *= size;
  }
  return count;
}

}  // namespace cachectl::zoo
