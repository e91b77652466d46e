#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Chunks as HDF5's filters shuffle and deflate make them: made by us, so that it is done
// in several threads and what a killed run made can be used again.
namespace cachectl::artifact {

// level: 1-9. The bytes of one chunk; value_bytes: of one value, for the shuffling.
std::string deflate_chunk(const char* bytes, std::size_t size, std::size_t value_bytes, int level);

// Rows a chunk: as many as make up to 512 KiB, and fit a block a whole number of times.
std::int64_t rows_per_chunk(std::int64_t rows_per_block, std::int64_t row_bytes);

// `rows` rows cut into chunks and compressed by `threads` threads; a last chunk that is not
// full is filled up with zeros, as HDF5 keeps it.
std::vector<std::string> deflate_rows(const char* bytes, std::int64_t rows, std::int64_t row_bytes,
                                      std::int64_t rows_per_chunk, std::size_t value_bytes,
                                      int level, int threads);

}  // namespace cachectl::artifact
