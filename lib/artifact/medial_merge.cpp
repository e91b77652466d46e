#include "artifact/medial_merge.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "artifact/medial.h"
#include "artifact/medial_rows.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/shard.h"
#include "base/text.h"

namespace cachectl::artifact {
namespace {

namespace fs = std::filesystem;

struct Source {
  std::string path;
  std::unique_ptr<MedialReader> medial;
  std::unique_ptr<io::ArtifactReader> file;
  std::string shard;  // "2/5", or ""
  Shard part;
  std::string collection;  // what the shards of one share; "" in older files

  std::int32_t generation() const {
    const auto& all = medial->rows().generations;
    return all.empty() ? 0 : all.front();
  }
};

void read_shard(Source& source) {
  const io::Group& root = source.file->root();
  if (!root.has_attribute("shard")) return;
  source.shard = root.text("shard");
  if (root.has_attribute("collection")) source.collection = root.text("collection");
  const auto part = parse_shard(source.shard);
  if (!part) fail(ExitCode::kCorrupt, "{}: shard '{}'", source.path, source.shard);
  source.part = *part;
}

// A merged file stands for its sources.
void open_sources(const std::string& path, std::vector<Source>& sources) {
  Source source{path, std::make_unique<MedialReader>(path),
                std::make_unique<io::ArtifactReader>(path, "medial")};
  const auto below = source.medial->sources();
  if (!below.empty()) {
    for (const auto& inner : below) open_sources(inner, sources);
    return;
  }
  read_shard(source);
  sources.push_back(std::move(source));
}

// Shards of one collection are parts of one list of rows: of the same data, split, augmented and
// cut into blocks alike, with the same seed.
void require_one_collection(const Source& first, const Source& other) {
  const io::Provenance a = first.medial->provenance(), b = other.medial->provenance();
  const auto hash = [](const io::Provenance& one) {
    const auto data = one.inputs.find("data");
    return data == one.inputs.end() ? std::string() : data->second.content_hash;
  };
  if (a.seed == b.seed && hash(a) == hash(b) && first.collection == other.collection) return;
  fail(ExitCode::kIncompatible,
       "{} is shard {} and {} shard {} of different collections (data {:.12}, seed {}, rows {}; "
       "data {:.12}, seed {}, rows {}): collect all shards from the same data with the same seed, "
       "batch size, split and views",
       first.path, first.shard, other.path, other.shard, hash(a), a.seed, first.collection, hash(b),
       b.seed, other.collection);
}

// Shards of one collection in their order, each number once. What was appended later in as many
// shards is of another generation.
void order_shards(std::vector<Source>& sources) {
  std::map<std::pair<std::int32_t, std::int64_t>, std::vector<std::size_t>> collections;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].shard.empty()) continue;
    collections[{sources[i].generation(), sources[i].part.of}].push_back(i);
  }
  for (const auto& [key, places] : collections) {
    std::vector<Source> parts;
    for (const auto place : places) parts.push_back(std::move(sources[place]));
    for (const auto& part : parts) require_one_collection(parts.front(), part);
    std::stable_sort(parts.begin(), parts.end(), [](const Source& a, const Source& b) {
      return a.part.number < b.part.number;
    });
    for (std::int64_t number = 1; number <= key.second; ++number) {
      const auto count = std::count_if(parts.begin(), parts.end(), [&](const Source& part) {
        return part.part.number == number;
      });
      if (count == 1) continue;
      fail(ExitCode::kUsage, "--merge: shard {}/{} is {}; give each of the {} once", number,
           key.second, count == 0 ? "missing" : "there twice", key.second);
    }
    for (std::size_t i = 0; i < places.size(); ++i) sources[places[i]] = std::move(parts[i]);
  }
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
