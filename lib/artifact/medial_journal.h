#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/positioned_file.h"

// What a partial medial file has on record beside it: first how the file looked when it
// was laid out, then a line for each block that was written. Records are framed and
// checked, so that one cut short by a kill is as good as none.
namespace cachectl::artifact {

// Bytes of a file at their place.
struct Piece {
  std::int64_t offset = 0;
  std::string bytes;
};

struct JournalHead {
  std::string settings;
  std::int64_t file_size = 0;
  std::vector<Piece> skeleton;  // all of the file that is not activations or PDs
};

struct JournalBlock {
  std::vector<std::string> digests;   // SHA-256, hex, of the PD and each layer's rows
  std::vector<std::int64_t> clipped;  // by layer
  // Compressed files: where the block's chunks lie in the spool, and their sizes in order.
  std::int64_t spool_offset = 0;
  std::vector<std::int64_t> chunk_bytes;
  std::uint32_t spool_check = 0;  // CRC-32 over all of them
};

class Journal {
 public:
  // Begins anew.
  static Journal create(const std::filesystem::path& path, JournalHead head);
  // What is there and whole; nothing when not even the head is. What was cut short behind
  // it is cut off.
  static std::optional<Journal> open(const std::filesystem::path& path);

  const JournalHead& head() const { return head_; }
  const std::vector<JournalBlock>& blocks() const { return blocks_; }
  void append(JournalBlock block);
  // Forgets the blocks from this one on.
  void cut(std::size_t blocks);

 private:
  Journal(io::PositionedFile file, JournalHead head);
  io::PositionedFile file_;
  JournalHead head_;
  std::vector<JournalBlock> blocks_;
  std::vector<std::int64_t> ends_;  // of the head and of each block
};

}  // namespace cachectl::artifact
