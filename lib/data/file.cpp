#include "data/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace cachectl::data {

RandomAccessFile::RandomAccessFile(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail(ExitCode::kCannotOpen, "{}: cannot open: {}", path_, errno_text());
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    fail(ExitCode::kCannotOpen, "{}: is not a regular file", path_);
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

RandomAccessFile::~RandomAccessFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

RandomAccessFile::RandomAccessFile(RandomAccessFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

void RandomAccessFile::read_at(std::uint64_t offset, void* to, std::size_t count,
                               const std::string& what) const {
  auto* out = static_cast<char*>(to);
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got =
        ::pread(descriptor_, out + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(ExitCode::kCannotOpen, "{}: {}: cannot read: {}", path_, what, errno_text());
    if (got == 0) {
      fail(ExitCode::kCorrupt,
           "{}: {}: the file ends {} bytes too early; was it changed meanwhile?", path_, what,
           count - done);
    }
    done += static_cast<std::size_t>(got);
  }
}

std::uint64_t content_id(const void* data, std::size_t size, std::uint64_t start) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint64_t hash = mix(start ^ size);
  for (; size >= 8; bytes += 8, size -= 8) {
    std::uint64_t word = 0;
    for (int i = 0; i < 8; ++i) word |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
    hash = mix(hash ^ word);
  }
  for (; size > 0; ++bytes, --size) hash = mix(hash ^ *bytes);
  return hash;
}

}  // namespace cachectl::data
