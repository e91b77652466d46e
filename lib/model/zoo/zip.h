#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "zoo/raw_file.h"

namespace cachectl::zoo {

// The entries of a zip archive as torch.save writes them: stored, not compressed.
class ZipArchive {
 public:
  explicit ZipArchive(const RawFile& file);  // must outlive it; throws Error (corrupt)

  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return entries_.count(name) != 0; }
  std::uint64_t size(const std::string& name) const;      // in bytes
  std::vector<char> read(const std::string& name) const;  // checks the CRC where one is recorded

 private:
  struct Entry {
    std::uint64_t size, header_offset;
    std::uint32_t crc;
    std::uint16_t method;
  };
  const Entry& entry(const std::string& name) const;

  const RawFile& file_;
  std::map<std::string, Entry> entries_;
};

}  // namespace cachectl::zoo
