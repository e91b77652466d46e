#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "artifact/medial_journal.h"
#include "artifact/medial_writer.h"
#include "io/positioned_file.h"

// How a medial file is laid out before the first activation, and what of it is fixed then.
namespace cachectl::artifact {

// A data set of the file whose bytes come block by block: the PD, then the layers.
struct Target {
  std::string object;  // "pd", "layers/layer2"
  std::string digests;
  io::DType dtype;
  io::Shape shape;
  std::int64_t row_bytes = 0;
  std::optional<std::int64_t> offset;  // in the file; none when compressed
};

std::vector<Target> targets_of(const MedialPlan& plan);
// Whether this one of targets_of() is kept in compressed chunks.
bool is_compressed(const MedialPlan& plan, std::size_t target);

// Everything that a partial file has to have in common with the run that goes on with it.
std::string all_settings(const MedialPlan& plan);
// The lines that one has and the other has not, for a message.
std::string difference(const std::string& partial, const std::string& now);

// Makes the file: everything that is known before the first activation.
void write_skeleton(const std::filesystem::path& path, const MedialPlan& plan);
// Where the bytes of each target go; and the int8 scales that the file was begun with.
void read_skeleton(const std::filesystem::path& path, MedialPlan& plan,
                   std::vector<Target>& targets);
// All bytes of the file that are not values of a target.
std::vector<Piece> pieces_between(const io::PositionedFile& file,
                                  const std::vector<Target>& targets, std::int64_t rows);

}  // namespace cachectl::artifact
