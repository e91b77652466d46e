#pragma once

#include <cstdint>
#include <filesystem>

// An artifact begins with a block of its own, ahead of HDF5's bytes (a "user block", which
// HDF5's tools pass over). It says in plain text how long the file is and what its bytes
// hash to, so that damage is found before HDF5's library interprets any of it: HDF5 1.10 can
// crash on damaged structures. docs/formats/README.md describes it.
namespace cachectl::io {

constexpr std::int64_t kSealBytes = 4096;

// Fills in the block of a closed file that File::create made. Left out of the hash are the
// values of data sets with the attribute "digest": they are large, and checked by that.
void seal(const std::filesystem::path& path);

// Throws Error (corrupt) when the file is not as it was sealed, or not sealed yet. Files that
// begin as HDF5 does were written before there were seals, and pass; so does what can't be
// opened at all, which File::open tells better.
void require_seal(const std::filesystem::path& path);

}  // namespace cachectl::io
