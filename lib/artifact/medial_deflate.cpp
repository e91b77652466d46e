#include "artifact/medial_deflate.h"

#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <thread>

namespace cachectl::artifact {
namespace {

constexpr std::int64_t kChunkBytes = 512 << 10;

// First bytes of all values, then their second bytes, and so on.
std::string shuffled(const char* bytes, std::size_t size, std::size_t value_bytes) {
  const std::size_t values = size / value_bytes;
  std::string planes(size, '\0');
  for (std::size_t byte = 0; byte < value_bytes; ++byte) {
    char* to = planes.data() + byte * values;
    for (std::size_t i = 0; i < values; ++i) to[i] = bytes[i * value_bytes + byte];
  }
  return planes;
}

}  // namespace

std::string deflate_chunk(const char* bytes, std::size_t size, std::size_t value_bytes, int level) {
  assert(size % value_bytes == 0);
  const std::string planes = shuffled(bytes, size, value_bytes);
  uLongf room = compressBound(static_cast<uLong>(size));
  std::string packed(room, '\0');
  [[maybe_unused]] const int status =
      compress2(reinterpret_cast<Bytef*>(packed.data()), &room,
                reinterpret_cast<const Bytef*>(planes.data()), static_cast<uLong>(size), level);
  assert(status == Z_OK);
  packed.resize(room);
  return packed;
}

std::int64_t rows_per_chunk(std::int64_t rows_per_block, std::int64_t row_bytes) {
  for (std::int64_t rows = rows_per_block; rows > 1; --rows) {
    if (rows_per_block % rows == 0 && rows * row_bytes <= kChunkBytes) return rows;
  }
  return 1;
}

std::vector<std::string> deflate_rows(const char* bytes, std::int64_t rows, std::int64_t row_bytes,
                                      std::int64_t rows_per_chunk, std::size_t value_bytes,
                                      int level, int threads) {
  const std::int64_t chunks = (rows + rows_per_chunk - 1) / rows_per_chunk;
  const std::int64_t chunk_bytes = rows_per_chunk * row_bytes;
  std::vector<std::string> packed(static_cast<std::size_t>(chunks));
  std::atomic<std::int64_t> next{0};
  const auto work = [&] {
    for (std::int64_t chunk = next++; chunk < chunks; chunk = next++) {
      const std::int64_t from = chunk * chunk_bytes;
      std::string last;
      const char* data = bytes + from;
      if (from + chunk_bytes > rows * row_bytes) {
        last.assign(data, static_cast<std::size_t>(rows * row_bytes - from));
        last.resize(static_cast<std::size_t>(chunk_bytes), '\0');
        data = last.data();
      }
      packed[static_cast<std::size_t>(chunk)] =
          deflate_chunk(data, static_cast<std::size_t>(chunk_bytes), value_bytes, level);
    }
  };
  std::vector<std::thread> helpers;
  for (int i = 1; i < std::min<std::int64_t>(threads, chunks); ++i) helpers.emplace_back(work);
  work();
  for (auto& helper : helpers) helper.join();
  return packed;
}

}  // namespace cachectl::artifact
