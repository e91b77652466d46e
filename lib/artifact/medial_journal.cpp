#include "artifact/medial_journal.h"

#include <zlib.h>

#include <cassert>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace cachectl::artifact {
namespace {

constexpr std::uint64_t kMagic = 0x31304a4c41494445ULL;  // "EDIALJ01"
constexpr std::size_t kFrameBytes = 24;                  // magic, size, check

std::uint32_t crc(const std::string& bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

class Packer {
 public:
  Packer& number(std::int64_t value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Packer& text(const std::string& value) {
    number(static_cast<std::int64_t>(value.size()));
    bytes_ += value;
    return *this;
  }
  Packer& numbers(const std::vector<std::int64_t>& values) {
    number(static_cast<std::int64_t>(values.size()));
    for (const auto value : values) number(value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// The payload passed its check, so what it says is what was packed.
class Unpacker {
 public:
  explicit Unpacker(const std::string& bytes) : bytes_(bytes) {}
  std::int64_t number() {
    std::int64_t value = 0;
    assert(at_ + sizeof value <= bytes_.size());
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::string text() {
    const auto size = static_cast<std::size_t>(number());
    assert(at_ + size <= bytes_.size());
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  std::vector<std::int64_t> numbers() {
    std::vector<std::int64_t> values(static_cast<std::size_t>(number()));
    for (auto& value : values) value = number();
    return values;
  }

 private:
  const std::string& bytes_;
  std::size_t at_ = 0;
};

std::string packed(const JournalHead& head) {
  Packer out;
  out.text(head.settings).number(head.file_size).number(std::int64_t(head.skeleton.size()));
  for (const auto& piece : head.skeleton) out.number(piece.offset).text(piece.bytes);
  return out.bytes();
}

JournalHead unpacked_head(const std::string& bytes) {
  Unpacker in(bytes);
  JournalHead head;
  head.settings = in.text();
  head.file_size = in.number();
  head.skeleton.resize(static_cast<std::size_t>(in.number()));
  for (auto& piece : head.skeleton) {
    piece.offset = in.number();
    piece.bytes = in.text();
  }
  return head;
}

std::string packed(const JournalBlock& block) {
  Packer out;
  out.number(std::int64_t(block.digests.size()));
  for (const auto& digest : block.digests) out.text(digest);
  out.numbers(block.clipped).number(block.spool_offset).numbers(block.chunk_bytes);
  out.number(block.spool_check);
  return out.bytes();
}

JournalBlock unpacked_block(const std::string& bytes) {
  Unpacker in(bytes);
  JournalBlock block;
  block.digests.resize(static_cast<std::size_t>(in.number()));
  for (auto& digest : block.digests) digest = in.text();
  block.clipped = in.numbers();
  block.spool_offset = in.number();
  block.chunk_bytes = in.numbers();
  block.spool_check = static_cast<std::uint32_t>(in.number());
  return block;
}

std::string framed(const std::string& payload) {
  Packer frame;
  frame.number(static_cast<std::int64_t>(kMagic)).number(std::int64_t(payload.size()));
  frame.number(crc(payload));
  return frame.bytes() + payload;
}

// The payload at this place, and where the next frame begins; nothing when it isn't whole.
std::optional<std::string> frame_at(const io::PositionedFile& file, std::int64_t& offset) {
  const std::int64_t end = file.size();
  if (offset + std::int64_t(kFrameBytes) > end) return std::nullopt;
  std::string head(kFrameBytes, '\0');
  file.read_at(offset, head.data(), head.size());
  Unpacker in(head);
  if (in.number() != static_cast<std::int64_t>(kMagic)) return std::nullopt;
  const std::int64_t size = in.number();
  const auto check = static_cast<std::uint32_t>(in.number());
  if (size < 0 || size > end - offset - std::int64_t(kFrameBytes)) return std::nullopt;
  std::string payload(static_cast<std::size_t>(size), '\0');
  file.read_at(offset + std::int64_t(kFrameBytes), payload.data(), payload.size());
  if (crc(payload) != check) return std::nullopt;
  offset += std::int64_t(kFrameBytes) + size;
  return payload;
}

}  // namespace

Journal::Journal(io::PositionedFile file, JournalHead head)
    : file_(std::move(file)), head_(std::move(head)) {}

Journal Journal::create(const std::filesystem::path& path, JournalHead head) {
  Journal journal(io::PositionedFile::open_to_write(path), std::move(head));
  journal.file_.truncate(0);
  const std::string bytes = framed(packed(journal.head_));
  journal.file_.write_at(0, bytes.data(), bytes.size());
  journal.ends_.push_back(static_cast<std::int64_t>(bytes.size()));
  return journal;
}

std::optional<Journal> Journal::open(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  io::PositionedFile file = io::PositionedFile::open_to_write(path);
  std::int64_t offset = 0;
  const auto head = frame_at(file, offset);
  if (!head) return std::nullopt;
  Journal journal(std::move(file), unpacked_head(*head));
  journal.ends_.push_back(offset);
  while (const auto block = frame_at(journal.file_, offset)) {
    journal.blocks_.push_back(unpacked_block(*block));
    journal.ends_.push_back(offset);
  }
  journal.file_.truncate(offset);
  return journal;
}

void Journal::append(JournalBlock block) {
  const std::string bytes = framed(packed(block));
  file_.write_at(ends_.back(), bytes.data(), bytes.size());
  ends_.push_back(ends_.back() + static_cast<std::int64_t>(bytes.size()));
  blocks_.push_back(std::move(block));
}

void Journal::cut(std::size_t blocks) {
  if (blocks >= blocks_.size()) return;
  blocks_.resize(blocks);
  ends_.resize(blocks + 1);
  file_.truncate(ends_.back());
}

}  // namespace cachectl::artifact
