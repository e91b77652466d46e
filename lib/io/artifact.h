#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/options.h"
#include "io/hdf5.h"

// What every file that the executables exchange has in common: a header that says
// what it is, how it was made from what, and a hash of its contents.
namespace cachectl::io {

// How a file was made, back to the backbone and the data.
struct Provenance {
  std::string kind;  // "medial"; "backbone" and "data" for inputs from outside
  std::int64_t format_version = 0;
  std::string content_hash;  // SHA-256; of the bytes for inputs from outside
  std::string producer;      // "cachectl 0.1.0, LibTorch 1.13.0"
  std::string command;
  std::string created;  // UTC, ISO 8601; "" with --no-provenance
  std::string config;   // effective options, YAML
  std::int64_t seed = 0;
  std::map<std::string, Provenance> inputs;  // by role

  std::string json() const;
  static Provenance from_json(const std::string& text, const std::string& where);
  // The first input of this kind on the way back, this one included; nullptr if none.
  const Provenance* find(const std::string& kind) const;
};

// A kind of artifact and the versions of its format that this build reads. A new
// version is a new line in the history of docs/formats/KIND.md and a larger
// `latest`; readers upgrade older files in one function per kind.
struct Format {
  std::string kind;
  std::string says;  // one line for people
  std::int64_t oldest, latest;
};
const std::vector<Format>& formats();
const Format& format_of(const std::string& kind);

// SHA-256 over names, types, shapes, attributes and values of all objects below the
// group, in order of their names; header attributes and /provenance left out. A data
// set with the attribute "digest" (SHA-256 of its bytes, taken while it was written)
// counts by that. With "digest_blocks" too, which names a data set of row counts, the
// digest is taken over the hexadecimal SHA-256 of each block of rows: so it can be
// taken in pieces, by several runs or machines.
std::string content_hash(const Group& root);
// Recomputes the digests too. Throws Error (corrupt) that names the object.
void verify_contents(const Group& root, const std::string& recorded_hash);

// The root's attributes that are not the header's: an artifact's key figures.
std::vector<std::string> figure_attributes(const Group& root);

// Writes PATH as a temporary sibling and renames it when it is whole. Without
// commit() the destructor removes the sibling: an existing PATH stays untouched.
class ArtifactWriter {
 public:
  ArtifactWriter(std::filesystem::path path, const std::string& kind, const CommonOptions& common);
  ~ArtifactWriter();
  ArtifactWriter(const ArtifactWriter&) = delete;
  ArtifactWriter& operator=(const ArtifactWriter&) = delete;

  Group& root() { return file_.root(); }
  void add_input(const std::string& role, const Provenance& made_from);
  // Header, flush, fsync, rename. Returns what was written into the header.
  Provenance commit();

 private:
  std::filesystem::path path_, temporary_;
  Provenance provenance_;
  File file_;
  bool committed_ = false;
};

// Completes a file that a long stage has grown in place (the partial file): writes
// the header, syncs, and renames it to its final name.
Provenance commit_partial(File file, const std::filesystem::path& final_path,
                          Provenance provenance);
// "OUT.partial", where a long stage keeps what --resume goes on from.
std::filesystem::path partial_path(const std::filesystem::path& out);
// Header fields that depend on the run alone: producer, command, date, config, seed.
Provenance provenance_of(const std::string& kind, const CommonOptions& common);
// For inputs that are no artifacts: a backbone, a data set.
Provenance outside_input(const std::string& kind, const std::string& hash,
                         const std::string& description);

class ArtifactReader {
 public:
  // Checks magic, kind, version, and the content hash over all but the values of data
  // sets with a digest. kind "": any.
  ArtifactReader(const std::filesystem::path& path, const std::string& kind);
  const Group& root() const { return file_.root(); }
  const Provenance& provenance() const { return provenance_; }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  File file_;
  Provenance provenance_;
};

// Throws Error (incompatible) that names both sides when two files were made from
// different inputs of one kind ("backbone", "medial"); silent where a side has none.
void require_same_input(const std::string& kind, const std::string& path_a, const Provenance& a,
                        const std::string& path_b, const Provenance& b);

// Throws Error (cannot open) when PATH exists and may not be overwritten, or its folder
// is missing or read-only: before hours of work, not after.
void require_writable(const std::filesystem::path& path, bool force);
// The same for a folder that will be made where it is not there: one that holds files is
// written into with `force` only.
void require_writable_folder(const std::filesystem::path& path, bool force);
// Flushes a file and the folder entry to the disk; used around renames.
void sync_to_disk(const std::filesystem::path& path);

}  // namespace cachectl::io
