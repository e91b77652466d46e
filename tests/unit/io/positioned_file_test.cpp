#include "io/positioned_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/scratch.h"

namespace cachectl::io {
namespace {

// Bytes that differ from their neighbours, near and far.
std::string pattern(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<char>((i * 2654435761U + seed) >> 13);
  }
  return bytes;
}

std::string contents(const PositionedFile& file) {
  std::string bytes(static_cast<std::size_t>(file.size()), '\0');
  file.read_at(0, bytes.data(), bytes.size());
  return bytes;
}

TEST(PositionedFile, WhatPassesTheCacheIsWhereItBelongs) {
  const Scratch scratch;
  PositionedFile file = PositionedFile::open_to_write(scratch.path("file"));
  std::string expected = pattern(40 << 20, 1);
  file.write_at(0, expected.data(), expected.size());
  unsigned seed = 2;
  // Aligned and not, at the start, across pieces, over what was written before, small.
  for (const auto& [offset, size] :
       std::vector<std::pair<std::size_t, std::size_t>>{{0, 4 << 20},
                                                        {4095, (9 << 20) + 3},
                                                        {8192, 1 << 20},
                                                        {12'345'678, 12'345'678},
                                                        {5000, 100},
                                                        {30 << 20, (2 << 20) + 4095},
                                                        {1, (1 << 20) + 1}}) {
    const std::string bytes = pattern(size, seed++);
    file.write_past_cache(static_cast<std::int64_t>(offset), bytes.data(), size);
    expected.replace(offset, size, bytes);
  }
  EXPECT_TRUE(contents(file) == expected);
}

TEST(PositionedFile, WhatPassesTheCacheMayLieBehindTheEnd) {
  const Scratch scratch;
  PositionedFile moved = PositionedFile::open_to_write(scratch.path("file"));
  const std::string bytes = pattern((3 << 20) + 17, 5);
  moved.write_past_cache(1000, bytes.data(), bytes.size());
  PositionedFile file = std::move(moved);
  file.write_past_cache(1000 + std::int64_t(bytes.size()), bytes.data(), bytes.size());
  EXPECT_TRUE(contents(file) == std::string(1000, '\0') + bytes + bytes);
}

TEST(PositionedFile, WhatPassesTheCacheIsWrittenWhereThereIsNoWayPastIt) {
  // A file system in memory has none on older kernels; the bytes are the same either way.
  PositionedFile file = PositionedFile::open_to_write("/dev/shm/cachectl-positioned-file-test");
  std::filesystem::remove(file.path());
  const std::string bytes = pattern((2 << 20) + 1, 9);
  file.write_past_cache(3, bytes.data(), bytes.size());
  EXPECT_TRUE(contents(file) == std::string(3, '\0') + bytes);
}

}  // namespace
}  // namespace cachectl::io
