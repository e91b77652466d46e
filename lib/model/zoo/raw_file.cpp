#include "zoo/raw_file.h"

#include <unistd.h>

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

void write_atomically(const fs::path& path, std::string_view bytes) {
  fs::path temporary = path;
  temporary += ".tmp" + std::to_string(getpid());
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (file == nullptr) fail(ExitCode::kCannotOpen, "{}: {}", temporary.string(), errno_text());
  const bool is_written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  const std::string reason = is_written ? "" : errno_text();
  const bool is_closed = std::fclose(file) == 0;
  std::error_code error;
  if (!is_written || !is_closed) {
    const std::string why = is_written ? errno_text() : reason;
    fs::remove(temporary, error);
    fail(ExitCode::kCannotOpen, "{}: can't write {}: {}", temporary.string(),
         text::bytes(static_cast<double>(bytes.size())), why);
  }
  io::sync_to_disk(temporary);
  fs::rename(temporary, path, error);
  if (error) {
    const std::string why = error.message();
    fs::remove(temporary, error);
    fail(ExitCode::kCannotOpen, "{}: {}", path.string(), why);
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
