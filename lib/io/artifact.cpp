#include "io/artifact.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "io/seal.h"

namespace cachectl::io {
namespace {

constexpr const char* kMagic = "cachectl";
constexpr std::array kHeaderAttributes = {"magic",    "kind",    "format_version",
                                          "producer", "command", "config",
                                          "seed",     "created", "content_hash"};
constexpr const char* kProvenance = "provenance";
constexpr std::int64_t kBlockBytes = 8 << 20;

bool is_header(const std::string& attribute) {
  return std::find(kHeaderAttributes.begin(), kHeaderAttributes.end(), attribute) !=
         kHeaderAttributes.end();
}

template <class Consume>
void for_each_block(const Dataset& data, Consume consume) {
  const auto row_bytes = data.row_values() * static_cast<std::int64_t>(size_of(data.dtype()));
  const std::int64_t step =
      std::max<std::int64_t>(1, kBlockBytes / std::max<std::int64_t>(1, row_bytes));
  constexpr std::int64_t kLargestRow = std::int64_t{1} << 32;
  if (row_bytes < 0 || row_bytes > kLargestRow) {
    fail(ExitCode::kCorrupt, "{}: its shape {} can't be", data.where(), text::shape(data.shape()));
  }
  std::vector<char> block(static_cast<std::size_t>(step * row_bytes));
  for (std::int64_t first = 0; first < data.rows(); first += step) {
    const std::int64_t count = std::min(step, data.rows() - first);
    data.read_rows(first, count, block.data());
    consume(block.data(), static_cast<std::size_t>(count * row_bytes));
  }
}

void hash_attributes(const Object& object, bool root, Sha256& hash) {
  for (const auto& name : object.attributes()) {
    if (root && is_header(name)) continue;
    hash.update(name).update(object.attribute_text(name));
  }
}

constexpr int kDeepest = 16;  // groups in groups; links may lead in a circle

void hash_group(const Group& group, int depth, Sha256& hash) {
  const bool root = depth == 0;
  if (depth > kDeepest) {
    fail(ExitCode::kCorrupt, "{}: groups nested too deep, or in a circle", group.where());
  }
  hash_attributes(group, root, hash);
  for (const auto& name : group.children()) {
    if (root && name == kProvenance) continue;
    hash.update(name);
    if (group.is_group(name)) {
      hash.update("{");
      hash_group(group.group(name), depth + 1, hash);
      hash.update("}");
      continue;
    }
    const Dataset data = group.dataset(name);
    hash_attributes(data, false, hash);
    for (const auto size : data.shape()) hash.update(static_cast<std::uint64_t>(size));
    if (data.is_text()) {
      for (const auto& text : group.read_texts(name)) hash.update(text);
      continue;
    }
    hash.update(name_of(data.dtype()));
    if (data.has_attribute("digest")) continue;  // counted with the attributes
    for_each_block(data, [&](const char* bytes, std::size_t size) { hash.update(bytes, size); });
  }
}

// The digest of a data set whose blocks are hashed by themselves (artifact.h).
std::string block_digest(const Dataset& data, const std::vector<std::int64_t>& blocks) {
  const auto row_bytes =
      static_cast<std::size_t>(data.row_values()) * static_cast<std::size_t>(size_of(data.dtype()));
  Sha256 whole;
  std::vector<char> bytes;
  std::int64_t first = 0;
  for (const auto rows : blocks) {
    if (rows < 0 || rows > data.rows() - first) break;  // the sum tells
    bytes.resize(static_cast<std::size_t>(rows) * row_bytes);
    data.read_rows(first, rows, bytes.data());
    const std::string digest = Sha256().update(bytes.data(), bytes.size()).hex();
    whole.update(digest.data(), digest.size());
    first += rows;
  }
  if (first != data.rows()) {
    fail(ExitCode::kCorrupt, "{}: {} rows, but its blocks hold {}", data.where(), data.rows(),
         first);
  }
  return whole.hex();
}

std::string digest_of(const Group& root, const Dataset& data) {
  if (data.has_attribute("digest_blocks")) {
    return block_digest(data, root.read<std::int64_t>(data.text("digest_blocks")));
  }
  Sha256 hash;
  for_each_block(data, [&](const char* bytes, std::size_t size) { hash.update(bytes, size); });
  return hash.hex();
}

void verify_digests(const Group& root, const Group& group) {
  for (const auto& name : group.children()) {
    if (group.is_group(name)) {
      verify_digests(root, group.group(name));
      continue;
    }
    const Dataset data = group.dataset(name);
    if (data.is_text() || !data.has_attribute("digest")) continue;
    if (digest_of(root, data) != data.text("digest")) {
      fail(ExitCode::kCorrupt, "{}: its values differ from their recorded digest", data.where());
    }
  }
}

// The full texts are in /provenance; an attribute holds at most 64 KiB.
std::string_view shortened(std::string_view text) {
  return text.substr(0, 16384);
}

void require_header_agrees(const Group& root, const Provenance& made, const std::string& name) {
  const bool agrees =
      made.kind == root.text("kind") && made.seed == root.integer("seed") &&
      made.format_version == root.integer("format_version") &&
      made.content_hash == root.text("content_hash") && made.producer == root.text("producer") &&
      made.created == root.text("created") && shortened(made.command) == root.text("command") &&
      shortened(made.config) == root.text("config");
  if (!agrees) {
    fail(ExitCode::kCorrupt, "{}: its header and its /provenance contradict each other", name);
  }
}

void write_header(Group& root, Provenance& provenance) {
  provenance.content_hash = content_hash(root);
  // As it will be read again: a path that is no UTF-8 is not, byte by byte.
  provenance = Provenance::from_json(provenance.json(), kProvenance);
  root.set("magic", kMagic);
  root.set("kind", provenance.kind);
  root.set("format_version", provenance.format_version);
  root.set("producer", provenance.producer);
  root.set("command", shortened(provenance.command));
  root.set("config", shortened(provenance.config));
  root.set("seed", provenance.seed);
  root.set("created", provenance.created);
  root.set("content_hash", provenance.content_hash);
  root.write_text(kProvenance, provenance.json());
}

void rename_into_place(const std::filesystem::path& from, const std::filesystem::path& to) {
  sync_to_disk(from);
  std::error_code error;
  std::filesystem::rename(from, to, error);
  if (error) {
    fail(ExitCode::kCannotOpen, "{}: cannot rename {} to it: {}", to.string(), from.string(),
         error.message());
  }
  const auto folder = to.parent_path();
  sync_to_disk(folder.empty() ? "." : folder);
}

std::string sibling_prefix(const std::filesystem::path& path) {
  return "." + path.filename().string() + ".tmp-";
}

std::filesystem::path temporary_sibling(const std::filesystem::path& path) {
  return path.parent_path() / (sibling_prefix(path) + std::to_string(getpid()));
}

// What a writer of the same file left when it was killed.
void remove_abandoned_siblings(const std::filesystem::path& path) {
  const std::string prefix = sibling_prefix(path);
  const auto folder = path.parent_path();
  std::error_code ignored;
  std::vector<std::filesystem::path> abandoned;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder.empty() ? "." : folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.compare(0, prefix.size(), prefix) != 0) continue;
    const int writer = std::atoi(name.c_str() + prefix.size());
    if (writer > 0 && ::kill(writer, 0) != 0 && errno == ESRCH) abandoned.push_back(entry.path());
  }
  for (const auto& left : abandoned) std::filesystem::remove(left, ignored);
}

}  // namespace

const std::vector<Format>& formats() {
  // In the order of the chain.
  static const std::vector<Format> all = {
      {"profile", "what each layer of a backbone costs", 1, 1},
      {"medial", "activations and output distributions of inference data", 1, 1},
      {"labels", "the true classes of samples, for evaluation alone", 1, 1},
      {"study", "architectures tried for each layer", 1, 1},
      {"caches", "trained cache models, calibrated or not", 1, 1},
      {"plan", "cache models, thresholds and certificate: what deployment needs", 1, 1},
      {"report", "measurements of a cache-enabled model", 1, 1},
      {"checkpoint", "a training run that can go on", 1, 1},
  };
  return all;
}

const Format& format_of(const std::string& kind) {
  for (const auto& format : formats()) {
    if (format.kind == kind) return format;
  }
  std::vector<std::string> known;
  for (const auto& format : formats()) known.push_back(format.kind);
  fail(ExitCode::kCorrupt, "kind '{}' is none that cachectl knows ({})", kind,
       text::join(known, ", "));
}

std::string content_hash(const Group& root) {
  Sha256 hash;
  hash_group(root, 0, hash);
  return hash.hex();
}

std::vector<std::string> figure_attributes(const Group& root) {
  auto names = root.attributes();
  names.erase(std::remove_if(names.begin(), names.end(), is_header), names.end());
  return names;
}

void verify_contents(const Group& root, const std::string& recorded_hash) {
  verify_digests(root, root);
  if (content_hash(root) != recorded_hash) {
    fail(ExitCode::kCorrupt, "{}: its contents differ from the recorded content hash",
         root.where());
  }
}

void sync_to_disk(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY);
  if (descriptor < 0) {
    fail(ExitCode::kCannotOpen, "{}: cannot open to sync: {}", path.string(), errno_text());
  }
  const int status = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  if (status != 0 && error != EINVAL) {  // EINVAL: a file system without fsync for this
    errno = error;
    fail(ExitCode::kCannotOpen, "{}: cannot sync to disk: {}", path.string(), errno_text());
  }
}

namespace {

// The folder that `path` will be made in.
void require_room_for(const std::filesystem::path& path) {
  const auto folder = path.parent_path().empty() ? std::filesystem::path(".") : path.parent_path();
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    fail(ExitCode::kCannotOpen, "{}: the folder {} does not exist", path.string(), folder.string());
  }
  if (::access(folder.c_str(), W_OK) != 0) {
    fail(ExitCode::kCannotOpen, "{}: cannot write into {}: {}", path.string(), folder.string(),
         errno_text());
  }
}

}  // namespace

void require_writable(const std::filesystem::path& path, bool force) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    fail(ExitCode::kCannotOpen, "{}: is a folder, expected a file name", path.string());
  }
  if (!force && std::filesystem::exists(path, error)) {
    fail(ExitCode::kCannotOpen, "{}: exists; give another name, or --force to overwrite it",
         path.string());
  }
  require_room_for(path);
}

void require_writable_folder(const std::filesystem::path& path, bool force) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return require_room_for(path);
  if (!std::filesystem::is_directory(path, error)) {
    fail(ExitCode::kCannotOpen, "{}: is a file, expected a folder", path.string());
  }
  if (!force && !std::filesystem::is_empty(path, error)) {
    fail(ExitCode::kCannotOpen,
         "{}: holds files; give another name, or --force to write into it all the same",
         path.string());
  }
  require_room_for(path / "file");
}

std::filesystem::path partial_path(const std::filesystem::path& out) {
  return out.string() + ".partial";
}

ArtifactWriter::ArtifactWriter(std::filesystem::path path, const std::string& kind,
                               const CommonOptions& common)
    : path_(std::move(path)),
      temporary_(temporary_sibling(path_)),
      provenance_(provenance_of(kind, common)),
      file_((remove_abandoned_siblings(path_), File::create(temporary_))) {}

ArtifactWriter::~ArtifactWriter() {
  if (committed_) return;
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

void ArtifactWriter::add_input(const std::string& role, const Provenance& made_from) {
  provenance_.inputs[role] = made_from;
}

Provenance ArtifactWriter::commit() {
  assert(!committed_);
  write_header(file_.root(), provenance_);
  file_.close();
  seal(temporary_);
  rename_into_place(temporary_, path_);
  committed_ = true;
  return provenance_;
}

Provenance commit_partial(File file, const std::filesystem::path& final_path,
                          Provenance provenance) {
  const auto grown = file.path();
  write_header(file.root(), provenance);
  file.close();
  seal(grown);
  rename_into_place(grown, final_path);
  return provenance;
}

ArtifactReader::ArtifactReader(const std::filesystem::path& path, const std::string& kind)
    : file_((require_seal(path), File::open(path))) {
  const Group& root = file_.root();
  const std::string name = path.string();
  if (!root.has_attribute("magic") || root.text("magic") != kMagic) {
    fail(ExitCode::kCorrupt, "{}: is an HDF5 file, but not one of cachectl's", name);
  }
  const std::string found = root.text("kind");
  if (!kind.empty() && found != kind) {
    fail(ExitCode::kIncompatible, "{}: is a {} file ({}), expected a {} file ({})", name, found,
         format_of(found).says, kind, format_of(kind).says);
  }
  const Format& format = format_of(found);
  const std::int64_t version = root.integer("format_version");
  if (version > format.latest) {
    fail(ExitCode::kIncompatible,
         "{}: its format is version {}, this cachectl reads {} files up to version {}; use the "
         "cachectl that made it, or a newer one",
         name, version, found, format.latest);
  }
  if (version < format.oldest) {
    fail(ExitCode::kIncompatible,
         "{}: its format is version {}, this cachectl reads {} files from version {}; make it anew",
         name, version, found, format.oldest);
  }
  provenance_ = Provenance::from_json(root.read_text(kProvenance), name + ": /provenance");
  require_header_agrees(root, provenance_, name);
  if (content_hash(root) != provenance_.content_hash) {
    fail(ExitCode::kCorrupt,
         "{}: its contents differ from the hash in its header: it was damaged, or edited, since it "
         "was written; make it again",
         name);
  }
}

}  // namespace cachectl::io
