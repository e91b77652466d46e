#pragma once

#include <string>

#include "artifact/medial.h"
#include "io/hdf5.h"

// The group /rows of a medial file, and what the root says of it.
namespace cachectl::artifact {

// Writes /rows and the root's attributes samples, views, generations, ids_hash_PART.
void write_medial_rows(io::Group& root, const MedialRows& rows);

// Reads and checks them: every sample once, views of training samples only, the hashes.
MedialRows read_medial_rows(const io::Group& root);

// Fills in what a caller left empty: generation 0, not mixed.
void complete(MedialRows& rows);

// A digest of all that they say, in their order.
std::string hash_of(const MedialRows& rows);

}  // namespace cachectl::artifact
