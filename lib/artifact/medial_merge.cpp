#include "artifact/medial_merge.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <unordered_map>

#include "artifact/medial.h"
#include "artifact/medial_rows.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"

namespace cachectl::artifact {
namespace {

namespace fs = std::filesystem;

struct Source {
  std::string path;
  std::unique_ptr<MedialReader> medial;
  std::unique_ptr<io::ArtifactReader> file;
  std::string shard;  // "2/5", or ""
};

// A merged file stands for its sources.
void open_sources(const std::string& path, std::vector<Source>& sources) {
  Source source{path, std::make_unique<MedialReader>(path),
                std::make_unique<io::ArtifactReader>(path, "medial"), ""};
  const auto below = source.medial->sources();
  if (!below.empty()) {
    for (const auto& inner : below) open_sources(inner, sources);
    return;
  }
  const io::Group& root = source.file->root();
  if (root.has_attribute("shard")) source.shard = root.text("shard");
  sources.push_back(std::move(source));
}

// Shards of one collection come from the same data, cut with the same seed.
void require_one_collection(const Source& first, const Source& other) {
  const io::Provenance a = first.medial->provenance(), b = other.medial->provenance();
  const auto hash = [](const io::Provenance& one) {
    const auto data = one.inputs.find("data");
    return data == one.inputs.end() ? std::string() : data->second.content_hash;
  };
  if (a.seed == b.seed && hash(a) == hash(b)) return;
  fail(
      ExitCode::kIncompatible,
      "{} is shard {} and {} shard {} of different collections (data {:.12}, seed {}; data {:.12}, "
      "seed {}): collect all shards from the same data with the same seed",
      first.path, first.shard, other.path, other.shard, hash(a), a.seed, hash(b), b.seed);
}

// Shards of one collection beside each other, by number; each number once.
void order_shards(std::vector<Source>& sources) {
  std::map<std::string, std::vector<std::string>> numbers;  // "5" -> "1", "2", ...
  std::map<std::string, const Source*> firsts;
  for (const auto& source : sources) {
    if (source.shard.empty()) continue;
    const auto parts = text::split(source.shard, '/');
    if (parts.size() != 2) {
      fail(ExitCode::kCorrupt, "{}: shard '{}'", source.path, source.shard);
    }
    numbers[parts[1]].push_back(parts[0]);
    require_one_collection(*firsts.emplace(parts[1], &source).first->second, source);
  }
  for (const auto& [of, found] : numbers) {
    for (std::int64_t number = 1; std::to_string(number - 1) != of; ++number) {
      const auto count = std::count(found.begin(), found.end(), std::to_string(number));
      if (count == 1) continue;
      fail(ExitCode::kUsage, "--merge: shard {}/{} is {}; give each of the {} once", number, of,
           count == 0 ? "missing" : "there twice", of);
    }
  }
  std::stable_sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) {
    if (a.shard.empty() || b.shard.empty()) return false;
    const auto x = text::split(a.shard, '/'), y = text::split(b.shard, '/');
    return x[1] == y[1] && std::stoll(x[0]) < std::stoll(y[0]);
  });
}

void require_alike(const Source& first, const Source& other) {
  const MedialReader &a = *first.medial, &b = *other.medial;
  io::require_same_input("backbone", a.path(), a.provenance(), b.path(), b.provenance());
  if (a.classes() != b.classes() || a.output_kind() != b.output_kind()) {
    fail(ExitCode::kIncompatible, "{} has {} classes ({}), {} has {} ({})", a.path(), a.classes(),
         a.output_kind(), b.path(), b.classes(), b.output_kind());
  }
  require_made_alike(a, b.transform(), precision_of_collection(b.provenance()), b.path());
  const auto describe = [](const MedialReader& medial) {
    std::vector<std::string> parts;
    for (const auto& layer : medial.layers()) {
      parts.push_back(layer.name + " " + text::shape(layer.shape) + " " +
                      io::name_of(layer.stored));
    }
    return text::join(parts, ", ");
  };
  if (describe(a) != describe(b)) {
    fail(ExitCode::kIncompatible, "{} holds {}; {} holds {}; only equal layers can be merged",
         a.path(), describe(a), b.path(), describe(b));
  }
  for (std::size_t i = 0; i < a.layers().size(); ++i) {
    if (a.layers()[i].scale == b.layers()[i].scale &&
        a.layers()[i].offset == b.layers()[i].offset) {
      continue;
    }
    fail(ExitCode::kIncompatible,
         "{} and {} have different int8 scales of {}; collect shards from the same data and seed, "
         "later samples with --append",
         a.path(), b.path(), a.layers()[i].name);
  }
  require_same_purpose(a, b);
}

MedialRows joined_rows(const std::vector<Source>& sources) {
  MedialRows rows;
  std::unordered_map<std::uint64_t, std::string> holder;
  for (const auto& source : sources) {
    const MedialRows& some = source.medial->rows();
    for (std::size_t i = 0; i < some.ids.size(); ++i) {
      if (some.views[i] != 0) continue;
      const auto [found, is_new] = holder.emplace(some.ids[i], source.path);
      if (is_new) continue;
      fail(ExitCode::kIncompatible,
           "sample {:016x} is in {} and in {}; collect later samples with --append", some.ids[i],
           found->second, source.path);
    }
    const auto append = [](auto& to, const auto& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(rows.ids, some.ids);
    append(rows.views, some.views);
    append(rows.parts, some.parts);
    append(rows.generations, some.generations);
    append(rows.partners, some.partners);
    append(rows.weights, some.weights);
  }
  return rows;
}

// The blocks of all sources follow one another, so their digests do.
std::string join_digests(io::Group& root, const std::vector<Source>& sources,
                         const std::string& object) {
  std::vector<std::string> digests;
  Sha256 whole;
  for (const auto& source : sources) {
    for (auto& digest : source.file->root().read_texts("digests/" + object)) {
      whole.update(digest.data(), digest.size());
      digests.push_back(std::move(digest));
    }
  }
  root.write_texts("digests/" + object, digests);
  return whole.hex();
}

void write_pd(io::Group& root, const std::vector<Source>& sources, std::int64_t rows,
              std::int64_t classes) {
  io::Dataset pd = root.create_dataset("pd", io::DType::kFloat32, {rows, classes});
  std::int64_t first = 0;
  std::vector<float> values;
  for (const auto& source : sources) {
    const io::Dataset from = source.file->root().dataset("pd");
    std::int64_t row = 0;
    for (const auto count : source.medial->blocks()) {
      values.resize(static_cast<std::size_t>(count * classes));
      from.read_rows(row, count, values.data());
      pd.write_rows(first + row, count, values.data());
      row += count;
    }
    first += row;
  }
  pd.set("digest", join_digests(root, sources, "pd"));
  pd.set("digest_blocks", "/blocks");
}

void write_layer(io::Group& root, const std::vector<Source>& sources, const MedialLayer& layer,
                 std::int64_t position, const fs::path& folder) {
  const std::string object = "layers/" + layer.name;
  std::vector<io::VirtualSource> mapped;
  std::int64_t clipped = 0;
  for (const auto& source : sources) {
    const io::Dataset from = source.file->root().dataset(object);
    mapped.push_back({fs::relative(source.path, folder).string(), "/" + object, from.rows()});
    if (from.has_attribute("clipped")) clipped += from.integer("clipped");
  }
  io::Dataset data = root.create_virtual(object, layer.stored, layer.shape, mapped);
  data.set("position", position);
  data.set("channel_axis", layer.channel_axis);
  data.set("digest", join_digests(root, sources, object));
  data.set("digest_blocks", "/blocks");
  if (layer.stored != io::DType::kInt8) return;
  data.set("clipped", clipped);
  io::Group scales = root.has("scales") ? root.group("scales") : root.create_group("scales");
  io::Group offsets = root.has("offsets") ? root.group("offsets") : root.create_group("offsets");
  scales.write(layer.name, layer.scale);
  offsets.write(layer.name, layer.offset);
}

}  // namespace

io::Provenance merge_medial(const std::string& out, const std::vector<std::string>& paths,
                            const CommonOptions& common) {
  std::vector<Source> sources;
  for (const auto& path : paths) {
    std::error_code ignored;
    if (fs::equivalent(path, out, ignored)) {
      fail(ExitCode::kUsage, "{}: can't be merged into itself; give another --out", path);
    }
    open_sources(path, sources);
  }
  order_shards(sources);
  for (const auto& source : sources) require_alike(sources.front(), source);
  const MedialRows rows = joined_rows(sources);
  const MedialReader& first = *sources.front().medial;

  io::ArtifactWriter writer(out, "medial", common);
  io::Group& root = writer.root();
  write_medial_rows(root, rows);
  std::vector<std::int64_t> blocks, counts;
  std::vector<std::string> files, hashes;
  const auto folder = fs::absolute(out).parent_path();
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const MedialReader& medial = *sources[i].medial;
    blocks.insert(blocks.end(), medial.blocks().begin(), medial.blocks().end());
    counts.push_back(medial.rows().size());
    files.push_back(fs::relative(sources[i].path, folder).string());
    hashes.push_back(medial.provenance().content_hash);
    writer.add_input(fmt::format("part{:04}", i), medial.provenance());
  }
  root.write("blocks", blocks);
  write_pd(root, sources, rows.size(), first.classes());
  for (std::size_t i = 0; i < first.layers().size(); ++i) {
    write_layer(root, sources, first.layers()[i], static_cast<std::int64_t>(i), folder);
  }
  io::Group group = root.create_group("sources");
  group.write_texts("file", files);
  group.write_texts("content_hash", hashes);
  group.write("rows", counts);
  root.set("classes", first.classes());
  root.set("output_kind", first.output_kind());
  for (const char* note : {"dataset", "transform"}) {
    const io::Group& from = sources.front().file->root();
    if (from.has_attribute(note)) root.set(note, from.text(note));
  }
  return writer.commit();
}

}  // namespace cachectl::artifact
