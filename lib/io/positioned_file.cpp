#include "io/positioned_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace cachectl::io {
namespace {

// What disks want of positions, sizes and memory that pass the cache.
constexpr std::int64_t kAlignment = 4096;
constexpr std::size_t kPiece = std::size_t{4} << 20;  // one of these is copied and written
constexpr std::size_t kLarge = std::size_t{1} << 20;  // less than it is left to the cache

int open_descriptor(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    fail(ExitCode::kCannotOpen, "{}: cannot open: {}", path.string(), errno_text());
  }
  return descriptor;
}

}  // namespace

PositionedFile::PositionedFile(int descriptor, std::filesystem::path path)
    : descriptor_(descriptor), path_(std::move(path)) {}

PositionedFile PositionedFile::open(const std::filesystem::path& path) {
  return {open_descriptor(path, O_RDONLY), path};
}

PositionedFile PositionedFile::open_to_write(const std::filesystem::path& path) {
  return {open_descriptor(path, O_RDWR | O_CREAT), path};
}

PositionedFile::~PositionedFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (past_cache_ >= 0) ::close(past_cache_);
}

PositionedFile::PositionedFile(PositionedFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      past_cache_(std::exchange(other.past_cache_, -1)),
      passes_cache_(other.passes_cache_),
      aligned_(std::move(other.aligned_)) {}

PositionedFile& PositionedFile::operator=(PositionedFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  std::swap(past_cache_, other.past_cache_);
  std::swap(passes_cache_, other.passes_cache_);
  std::swap(aligned_, other.aligned_);
  return *this;
}

std::int64_t PositionedFile::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) {
    fail(ExitCode::kCannotOpen, "{}: cannot tell its size: {}", path_.string(), errno_text());
  }
  return status.st_size;
}

void PositionedFile::read_at(std::int64_t offset, void* data, std::size_t size) const {
  auto* to = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = ::pread(descriptor_, to, size, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      fail(ExitCode::kCannotOpen, "{}: cannot read at byte {}: {}", path_.string(), offset,
           errno_text());
    }
    if (got == 0) {
      fail(ExitCode::kCorrupt, "{}: ends at byte {}, {} more expected; it was cut short",
           path_.string(), offset, text::bytes(double(size)));
    }
    to += got;
    offset += got;
    size -= static_cast<std::size_t>(got);
  }
}

void PositionedFile::write_at(std::int64_t offset, const void* data, std::size_t size) {
  const auto* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t put = ::pwrite(descriptor_, from, size, offset);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      fail(ExitCode::kCannotOpen, "{}: cannot write {} at byte {}: {}", path_.string(),
           text::bytes(double(size)), offset, errno_text());
    }
    from += put;
    offset += put;
    size -= static_cast<std::size_t>(put);
  }
}

void PositionedFile::Free::operator()(char* memory) const {
  std::free(memory);
}

bool PositionedFile::can_pass_cache() {
  if (past_cache_ >= 0 || !passes_cache_) return passes_cache_;
  past_cache_ = ::open(path_.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
  if (past_cache_ >= 0) {
    aligned_.reset(static_cast<char*>(std::aligned_alloc(std::size_t(kAlignment), kPiece)));
  }
  passes_cache_ = aligned_ != nullptr;
  return passes_cache_;
}

void PositionedFile::write_past_cache(std::int64_t offset, const void* data, std::size_t size) {
  const auto* from = static_cast<const char*>(data);
  const auto put_cached = [&](std::size_t count) {
    write_at(offset, from, count);
    from += count;
    offset += static_cast<std::int64_t>(count);
    size -= count;
  };
  if (size < kLarge || !can_pass_cache()) return put_cached(size);
  put_cached(static_cast<std::size_t>((kAlignment - offset % kAlignment) % kAlignment));
  while (size >= static_cast<std::size_t>(kAlignment)) {
    const std::size_t piece = std::min(kPiece, size - size % static_cast<std::size_t>(kAlignment));
    std::memcpy(aligned_.get(), from, piece);
    const ssize_t put = ::pwrite(past_cache_, aligned_.get(), piece, offset);
    if (put < 0 && errno == EINTR) continue;
    // Refused, or cut where it can't go on: the plain way does it, or says what is wrong.
    if (put <= 0 || put % kAlignment != 0) {
      passes_cache_ = put > 0 || errno != EINVAL;
      break;
    }
    from += put;
    offset += put;
    size -= static_cast<std::size_t>(put);
  }
  put_cached(size);
}

void PositionedFile::truncate(std::int64_t size) {
  if (::ftruncate(descriptor_, size) != 0) {
    fail(ExitCode::kCannotOpen, "{}: cannot set its size to {}: {}", path_.string(), size,
         errno_text());
  }
}

bool PositionedFile::reserve(std::int64_t offset, std::int64_t size) {
  if (size <= 0) return true;
  // A limit on the size of files is not looked at by fallocate, so that is tried apart.
  const std::int64_t before = this->size();
  if (offset + size > before) {
    truncate(offset + size);
    truncate(before);
  }
  int status = 0;
  do {
    status = ::fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, offset, size);
  } while (status != 0 && errno == EINTR);
  if (status == 0) return true;
  if (errno == EOPNOTSUPP || errno == ENOSYS) return false;
  fail(ExitCode::kCannotOpen, "{}: cannot take {} on the disk: {}", path_.string(),
       text::bytes(double(size)), errno_text());
}

void PositionedFile::sync() {
  if (::fsync(descriptor_) != 0 && errno != EINVAL) {
    fail(ExitCode::kCannotOpen, "{}: cannot sync to disk: {}", path_.string(), errno_text());
  }
}

void PositionedFile::lock() {
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  fail(ExitCode::kCannotOpen, "{}: another process is at work on it", path_.string());
}

std::int64_t free_space(const std::filesystem::path& folder) {
  std::error_code error;
  const auto space = std::filesystem::space(folder.empty() ? "." : folder, error);
  if (error) {
    fail(ExitCode::kCannotOpen, "{}: cannot tell the free space: {}", folder.string(),
         error.message());
  }
  return static_cast<std::int64_t>(space.available);
}

}  // namespace cachectl::io
