// Layout and signatures: PKWARE's APPNOTE.TXT 6.3, sections 4.3 and 4.5.3.
#include "zoo/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace cachectl::zoo {

namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50,
                        kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr std::size_t kLocalHeaderSize = 30, kCentralHeaderSize = 46, kEndSize = 22,
                      kEnd64Size = 56, kLocatorSize = 20, kLongestComment = 65535;
constexpr std::uint32_t kIn64 = 0xffffffff;  // "see the zip64 record"
constexpr std::uint16_t kStored = 0, kZip64Field = 1;

template <class T>
T number_at(const std::vector<char>& bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

struct Directory {
  std::uint64_t offset, size;
};

Directory find_directory(const RawFile& file) {
  const std::uint64_t tail_size = std::min<std::uint64_t>(file.size(), kEndSize + kLongestComment);
  const std::uint64_t tail_start = file.size() - tail_size;
  const std::vector<char> tail = file.read(tail_start, tail_size, "end of the archive");
  for (std::size_t at = tail.size() >= kEndSize ? tail.size() - kEndSize + 1 : 0; at-- > 0;) {
    if (number_at<std::uint32_t>(tail, at) != kEnd) continue;
    Directory directory{number_at<std::uint32_t>(tail, at + 16),
                        number_at<std::uint32_t>(tail, at + 12)};
    if (directory.offset == kIn64 || directory.size == kIn64) {
      if (tail_start + at < kLocatorSize) break;
      const auto locator = file.read(tail_start + at - kLocatorSize, kLocatorSize, "zip64 locator");
      if (number_at<std::uint32_t>(locator, 0) != kEnd64Locator) break;
      const auto end =
          file.read(number_at<std::uint64_t>(locator, 8), kEnd64Size, "zip64 end record");
      if (number_at<std::uint32_t>(end, 0) != kEnd64) break;
      directory = {number_at<std::uint64_t>(end, 48), number_at<std::uint64_t>(end, 40)};
    }
    return directory;
  }
  fail(ExitCode::kCorrupt, "{}: the zip archive has no directory: it is cut short or damaged",
       file.path());
}

// Replaces sizes and offset by those of the zip64 field among the extra fields.
void read_zip64(const std::vector<char>& bytes, std::size_t at, std::size_t end,
                const std::vector<std::uint64_t*>& values) {
  while (end - at >= 4) {
    const std::size_t field_end = at + 4 + number_at<std::uint16_t>(bytes, at + 2);
    if (field_end > end) return;
    if (number_at<std::uint16_t>(bytes, at) == kZip64Field) {
      at += 4;
      for (std::uint64_t* value : values) {
        if (*value != kIn64) continue;
        if (field_end - at < 8) return;
        *value = number_at<std::uint64_t>(bytes, at);
        at += 8;
      }
      return;
    }
    at = field_end;
  }
}

}  // namespace

ZipArchive::ZipArchive(const RawFile& file) : file_(file) {
  const Directory directory = find_directory(file);
  const std::vector<char> bytes = file.read(directory.offset, directory.size, "zip directory");
  for (std::size_t at = 0; at < bytes.size();) {
    if (bytes.size() - at < kCentralHeaderSize ||
        number_at<std::uint32_t>(bytes, at) != kCentralHeader) {
      fail(ExitCode::kCorrupt, "{}: the zip directory is damaged at entry {}", file.path(),
           entries_.size());
    }
    Entry entry{};
    entry.method = number_at<std::uint16_t>(bytes, at + 10);
    entry.crc = number_at<std::uint32_t>(bytes, at + 16);
    std::uint64_t stored = number_at<std::uint32_t>(bytes, at + 20);
    entry.size = number_at<std::uint32_t>(bytes, at + 24);
    entry.header_offset = number_at<std::uint32_t>(bytes, at + 42);
    const std::size_t name_size = number_at<std::uint16_t>(bytes, at + 28);
    const std::size_t extra_size = number_at<std::uint16_t>(bytes, at + 30);
    const std::size_t comment_size = number_at<std::uint16_t>(bytes, at + 32);
    const std::size_t rest = name_size + extra_size + comment_size;
    if (bytes.size() - at - kCentralHeaderSize < rest) {
      fail(ExitCode::kCorrupt, "{}: the zip directory is damaged at entry {}", file.path(),
           entries_.size());
    }
    const std::size_t name_at = at + kCentralHeaderSize;
    const std::string name(bytes.data() + name_at, name_size);
    read_zip64(bytes, name_at + name_size, name_at + name_size + extra_size,
               {&entry.size, &stored, &entry.header_offset});
    if (entry.method == kStored && stored != entry.size) {
      fail(ExitCode::kCorrupt, "{}: {}: {} bytes stored for {}", file.path(), name, stored,
           entry.size);
    }
    entries_.emplace(name, entry);
    at += kCentralHeaderSize + rest;
  }
}

std::vector<std::string> ZipArchive::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const ZipArchive::Entry& ZipArchive::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    fail(ExitCode::kCorrupt, "{}: the archive has no entry {}", file_.path(), name);
  }
  return found->second;
}

std::uint64_t ZipArchive::size(const std::string& name) const {
  return entry(name).size;
}

std::vector<char> ZipArchive::read(const std::string& name) const {
  const Entry& found = entry(name);
  if (found.method != kStored) {
    fail(ExitCode::kCorrupt, "{}: {}: compressed; torch.save stores its entries as they are",
         file_.path(), name);
  }
  const std::vector<char> header = file_.read(found.header_offset, kLocalHeaderSize, name);
  if (number_at<std::uint32_t>(header, 0) != kLocalHeader) {
    fail(ExitCode::kCorrupt, "{}: {}: no entry begins at {}", file_.path(), name,
         found.header_offset);
  }
  const std::uint64_t start = found.header_offset + kLocalHeaderSize +
                              number_at<std::uint16_t>(header, 26) +
                              number_at<std::uint16_t>(header, 28);
  std::vector<char> bytes = file_.read(start, found.size, name);
  // Zero: written without one (torch.serialization.set_crc32_options).
  if (found.crc != 0 &&
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) != found.crc) {
    fail(ExitCode::kCorrupt, "{}: {}: the checksum does not fit its {} bytes: damaged",
         file_.path(), name, bytes.size());
  }
  return bytes;
}

}  // namespace cachectl::zoo
