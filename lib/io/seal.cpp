#include "io/seal.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "io/hdf5_calls.h"
#include "io/positioned_file.h"

namespace cachectl::io {
namespace {

constexpr std::string_view kFirstLine = "cachectl artifact";
constexpr std::string_view kHdf5Signature = "\x89HDF\r\n\x1a\n";
constexpr std::int64_t kPieceBytes = 4 << 20;
// As many as have room in the block; of more, the smallest are hashed with the rest.
constexpr std::size_t kMostApart = 96;

// A stretch of the file.
struct Extent {
  std::int64_t first = 0, size = 0;
};

// What the block says, but for the hash.
struct Terms {
  std::int64_t size = 0;      // of the file
  std::vector<Extent> apart;  // left out of the hash; in order, without overlap
};

std::string text_of(const Terms& terms) {
  std::string text = fmt::format("{}\nsize {}\n", kFirstLine, terms.size);
  for (const auto& extent : terms.apart) {
    text += fmt::format("apart {} {}\n", extent.first, extent.size);
  }
  return text;
}

std::string block_of(const Terms& terms, const std::string& hash) {
  std::string block = text_of(terms) + "sha256 " + hash + "\n";
  block.resize(static_cast<std::size_t>(kSealBytes), '\0');
  return block;
}

std::optional<std::int64_t> number(const std::string& word) {
  std::int64_t value = 0;
  const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (fault != std::errc() || end != word.data() + word.size() || value < 0) return std::nullopt;
  return value;
}

// Nothing when the lines are none that seal() writes.
std::optional<Terms> terms_of(const std::string& block) {
  Terms terms;
  std::int64_t behind = kSealBytes;
  for (const auto& line : text::split(block, '\n')) {
    const auto words = text::split(line, ' ');
    if (words[0] == "sha256") return terms;
    if (words[0] == "size" && words.size() == 2) {
      terms.size = number(words[1]).value_or(0);
    } else if (words[0] == "apart" && words.size() == 3) {
      const auto first = number(words[1]), size = number(words[2]);
      if (!first || !size || *first < behind || *size > terms.size - *first) return std::nullopt;
      terms.apart.push_back({*first, *size});
      behind = *first + *size;
    } else if (line != kFirstLine) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

// Over the terms, then over all bytes behind the block that are not left out.
std::string hash_of(const PositionedFile& file, const Terms& terms) {
  Sha256 hash;
  hash.update(text_of(terms));
  std::string piece;
  const auto add = [&](std::int64_t first, std::int64_t end) {
    while (first < end) {
      piece.resize(static_cast<std::size_t>(std::min(kPieceBytes, end - first)));
      file.read_at(first, piece.data(), piece.size());
      hash.update(piece.data(), piece.size());
      first += static_cast<std::int64_t>(piece.size());
    }
  };
  std::int64_t at = kSealBytes;
  for (const auto& extent : terms.apart) {
    add(at, extent.first);
    at = extent.first + extent.size;
  }
  add(at, terms.size);
  return hash.hex();
}

// Where the chunks of a data set lie.
void add_chunks(hid_t file, const Dataset& data, std::vector<Extent>& extents) {
  const Call call;
  const Handle opened = checked(H5Dopen2(file, data.path().c_str(), H5P_DEFAULT), kBad,
                                data.where(), "cannot open the data set");
#if H5_VERSION_GE(1, 14, 4)
  constexpr std::int64_t kBase = 0;
#else
  constexpr std::int64_t kBase = kSealBytes;  // earlier ones count from behind the block
#endif
  std::vector<hsize_t> start(data.shape().size(), 0);
  for (std::int64_t row = 0; row < data.rows(); row += data.rows_per_chunk()) {
    start[0] = static_cast<hsize_t>(row);
    unsigned filters = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    check(H5Dget_chunk_info_by_coord(opened.id(), start.data(), &filters, &address, &size), kBad,
          data.where(), "cannot find a chunk");
    if (address == HADDR_UNDEF) continue;
    extents.push_back(
        {static_cast<std::int64_t>(address) + kBase, static_cast<std::int64_t>(size)});
  }
}

void add_values(hid_t file, const Group& group, std::vector<Extent>& extents) {
  for (const auto& name : group.children()) {
    if (group.is_group(name)) {
      add_values(file, group.group(name), extents);
      continue;
    }
    const Dataset data = group.dataset(name);
    if (data.is_text() || !data.has_attribute("digest")) continue;
    if (data.rows_per_chunk() > 0) {
      add_chunks(file, data, extents);
    } else if (const auto offset = data.offset()) {
      const auto value = static_cast<std::int64_t>(size_of(data.dtype()));
      extents.push_back({*offset, data.rows() * data.row_values() * value});
    }
  }
}

// Neighbours joined; the largest ones, in order.
std::vector<Extent> joined(std::vector<Extent> extents) {
  const auto by_place = [](const Extent& a, const Extent& b) { return a.first < b.first; };
  std::sort(extents.begin(), extents.end(), by_place);
  std::vector<Extent> all;
  for (const auto& extent : extents) {
    if (extent.size == 0) continue;
    if (!all.empty() && all.back().first + all.back().size == extent.first) {
      all.back().size += extent.size;
    } else {
      all.push_back(extent);
    }
  }
  if (all.size() > kMostApart) {
    std::sort(all.begin(), all.end(),
              [](const Extent& a, const Extent& b) { return a.size > b.size; });
    all.resize(kMostApart);
    std::sort(all.begin(), all.end(), by_place);
  }
  return all;
}

std::vector<Extent> values_apart(const std::filesystem::path& path) {
  const File file = File::open(path);
  const Call call;
  const Handle again = checked(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), kBad,
                               path.string(), "cannot open");
  std::vector<Extent> extents;
  add_values(again.id(), file.root(), extents);
  return joined(std::move(extents));
}

}  // namespace

void seal(const std::filesystem::path& path) {
  Terms terms;
  terms.apart = values_apart(path);
  PositionedFile file = PositionedFile::open_to_write(path);
  terms.size = file.size();
  const std::string block = block_of(terms, hash_of(file, terms));
  file.write_at(0, block.data(), block.size());
}

void require_seal(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return;
  const PositionedFile file = PositionedFile::open(path);
  const std::string name = path.string();
  std::string block(static_cast<std::size_t>(std::min(kSealBytes, file.size())), '\0');
  file.read_at(0, block.data(), block.size());
  if (block.compare(0, kHdf5Signature.size(), kHdf5Signature) == 0) return;
  if (block.compare(0, kFirstLine.size(), kFirstLine) != 0) {
    const bool blank = file.size() > kSealBytes && block.find_first_not_of('\0') == block.npos;
    if (blank) {
      fail(ExitCode::kCorrupt,
           "{}: was never finished; go on from it with --resume of the tool that began it", name);
    }
    fail(ExitCode::kCorrupt, "{}: is no HDF5 file of cachectl's", name);
  }
  const auto terms = terms_of(block);
  if (terms && terms->size > file.size()) {
    fail(ExitCode::kCorrupt,
         "{}: {} bytes, expected {}: it was cut short; make it again, or copy it again", name,
         file.size(), terms->size);
  }
  if (!terms || terms->size != file.size() || block != block_of(*terms, hash_of(file, *terms))) {
    fail(ExitCode::kCorrupt,
         "{}: its bytes differ from what they were when it was sealed: it was damaged, or edited, "
         "since; make it again",
         name);
  }
}

}  // namespace cachectl::io
