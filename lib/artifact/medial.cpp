#include "artifact/medial.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <unordered_map>

#include "artifact/medial_codec.h"
#include "artifact/medial_columns.h"
#include "artifact/medial_rows.h"
#include "base/error.h"
#include "base/text.h"

namespace cachectl::artifact {
namespace {

constexpr double kSumSlack = 1e-3;  // of a distribution's sum, in float32

io::Shape with_rows(std::int64_t rows, const std::vector<std::int64_t>& shape) {
  io::Shape sizes{rows};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  return sizes;
}

MedialLayer read_layer(const io::Group& root, const std::string& name, std::int64_t rows) {
  const io::Dataset data = root.dataset("layers/" + name);
  MedialLayer layer;
  layer.name = name;
  layer.shape = data.shape();
  if (layer.shape.empty() || layer.shape.front() != rows) {
    fail(ExitCode::kCorrupt, "{}: {} activations for {} rows", data.where(),
         layer.shape.empty() ? 0 : layer.shape.front(), rows);
  }
  layer.shape.erase(layer.shape.begin());
  layer.stored = data.dtype();
  layer.channel_axis = data.integer("channel_axis");
  const auto axes = static_cast<std::int64_t>(layer.shape.size());
  if (layer.channel_axis < 0 || layer.channel_axis >= std::max<std::int64_t>(axes, 1)) {
    fail(ExitCode::kCorrupt, "{}: channel axis {} of {}", data.where(), layer.channel_axis,
         text::shape(layer.shape));
  }
  switch (layer.stored) {
    case io::DType::kFloat32:
    case io::DType::kFloat16:
    case io::DType::kBFloat16:
      break;
    case io::DType::kInt8: {
      const std::int64_t channels =
          axes == 0 ? 1 : layer.shape[static_cast<std::size_t>(layer.channel_axis)];
      layer.scale = root.read<float>("scales/" + name, {channels});
      layer.offset = root.read<float>("offsets/" + name, {channels});
      io::require_finite(layer.scale, root.where() + "scales/" + name);
      io::require_finite(layer.offset, root.where() + "offsets/" + name);
      break;
    }
    default:
      fail(ExitCode::kCorrupt, "{}: is {}, expected float32, float16, bfloat16 or int8",
           data.where(), io::name_of(layer.stored));
  }
  return layer;
}

}  // namespace

std::int64_t MedialLayer::values() const {
  std::int64_t count = 1;
  for (const auto size : shape) count *= size;
  return count;
}

std::int64_t MedialLayer::row_bytes() const {
  return values() * static_cast<std::int64_t>(io::size_of(stored));
}

std::int64_t MedialLayer::default_channel_axis(const std::vector<std::int64_t>& shape) {
  return shape.size() == 2 ? 1 : 0;
}

// One file that holds bytes: the medial file itself, or a source of a merged one.
struct Holder {
  explicit Holder(const std::string& path)
      : reader(path, "medial"),
        bytes(std::make_shared<const io::PositionedFile>(io::PositionedFile::open(path))) {}
  io::ArtifactReader reader;
  std::shared_ptr<const io::PositionedFile> bytes;
};

struct MedialReader::State {
  explicit State(const std::string& file);
  void open_sources(const std::string& path);
  Column column(const std::string& object, io::DType dtype, std::int64_t row_values) const;

  Holder holder;
  std::vector<Holder> sources;
  std::vector<std::int64_t> source_rows;
  std::string path, output_kind, transform;
  std::int64_t classes = 0;
  MedialRows rows;
  std::vector<MedialLayer> layers;
  std::vector<std::int64_t> blocks;
  std::unordered_map<std::string, Column> columns;
  std::optional<Column> pd;
};

MedialReader::State::State(const std::string& file) : holder(file), path(file) {
  const io::Group& root = holder.reader.root();
  classes = root.integer("classes");
  output_kind = root.text("output_kind");
  if (root.has_attribute("transform")) transform = root.text("transform");
  if (classes < 2) fail(ExitCode::kCorrupt, "{}: {} classes, expected 2 or more", path, classes);
  rows = read_medial_rows(root);
  blocks = root.read<std::int64_t>("blocks");
  std::int64_t in_blocks = 0;
  bool sound = true;
  for (const auto count : blocks) {
    sound = count > 0 && count <= rows.size() - in_blocks;
    if (!sound) break;
    in_blocks += count;
  }
  if (!sound || in_blocks != rows.size()) {
    fail(ExitCode::kCorrupt, "{}: /blocks: does not add up to the {} rows", path, rows.size());
  }
  open_sources(path);
  pd = column("pd", io::DType::kFloat32, classes);
  root.dataset("pd", io::DType::kFloat32, {rows.size(), classes});
  std::vector<std::pair<std::int64_t, std::string>> order;
  if (root.has("layers")) {
    for (const auto& name : root.group("layers").children()) {
      order.emplace_back(root.dataset("layers/" + name).integer("position"), name);
    }
  }
  std::sort(order.begin(), order.end());
  if (order.empty()) fail(ExitCode::kCorrupt, "{}: /layers: no layer", path);
  for (const auto& [position, name] : order) {
    layers.push_back(read_layer(root, name, rows.size()));
    columns.emplace(name, column("layers/" + name, layers.back().stored, layers.back().values()));
  }
}

void MedialReader::State::open_sources(const std::string& path) {
  const io::Group& root = holder.reader.root();
  if (!root.has("sources")) return;
  const io::Group group = root.group("sources");
  const auto files = group.read_texts("file");
  const auto hashes = group.read_texts("content_hash");
  source_rows = group.read<std::int64_t>("rows", {std::int64_t(files.size())});
  if (hashes.size() != files.size()) {
    fail(ExitCode::kCorrupt, "{}: {} files, {} hashes", group.where(), files.size(), hashes.size());
  }
  const auto folder = std::filesystem::path(path).parent_path();
  std::int64_t total = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string source = (folder / files[i]).string();
    if (!std::filesystem::exists(source)) {
      fail(ExitCode::kCannotOpen,
           "{}: was merged from {}, which is not there; move them together, or merge anew", path,
           source);
    }
    sources.emplace_back(source);
    if (sources.back().reader.provenance().content_hash != hashes[i]) {
      fail(ExitCode::kIncompatible,
           "{}: was merged from {} with content {:.12}, but that is now {:.12}; merge anew", path,
           source, hashes[i], sources.back().reader.provenance().content_hash);
    }
    total += source_rows[i];
  }
  if (total != rows.size()) {
    fail(ExitCode::kCorrupt, "{}: {} rows in the sources, {} in /rows", path, total, rows.size());
  }
}

Column MedialReader::State::column(const std::string& object, io::DType dtype,
                                   std::int64_t row_values) const {
  Column made(dtype, row_values);
  const io::Dataset own = holder.reader.root().dataset(object);
  if (!own.is_virtual()) {
    made.add(own, holder.bytes);
    return made;
  }
  if (sources.empty()) {
    fail(ExitCode::kCorrupt, "{}: is virtual, but the file names no /sources", own.where());
  }
  io::Shape shape = own.shape();
  for (std::size_t i = 0; i < sources.size(); ++i) {
    shape.at(0) = source_rows[i];
    made.add(sources[i].reader.root().dataset(object, dtype, shape), sources[i].bytes);
  }
  return made;
}

MedialReader::MedialReader(const std::string& path) : state_(std::make_unique<State>(path)) {}
MedialReader::~MedialReader() = default;
MedialReader::MedialReader(MedialReader&&) noexcept = default;
MedialReader& MedialReader::operator=(MedialReader&&) noexcept = default;

const std::string& MedialReader::path() const {
  return state_->path;
}
const io::Provenance& MedialReader::provenance() const {
  return state_->holder.reader.provenance();
}
std::int64_t MedialReader::classes() const {
  return state_->classes;
}
const std::string& MedialReader::output_kind() const {
  return state_->output_kind;
}
const std::string& MedialReader::transform() const {
  return state_->transform;
}
const MedialRows& MedialReader::rows() const {
  return state_->rows;
}
const std::vector<MedialLayer>& MedialReader::layers() const {
  return state_->layers;
}
const std::vector<std::int64_t>& MedialReader::blocks() const {
  return state_->blocks;
}

const MedialLayer& MedialReader::layer(const std::string& name) const {
  std::vector<std::string> known;
  for (const auto& layer : state_->layers) {
    if (layer.name == name) return layer;
    known.push_back(layer.name);
  }
  const std::string near = text::nearest(name, known);
  fail(ExitCode::kIncompatible, "{}: no layer '{}'{}; it has {}", path(), name,
       near.empty() ? "" : " (did you mean '" + near + "'?)", text::join(known, ", "));
}

std::vector<std::int64_t> MedialReader::rows_of(data::Part part, bool with_views,
                                                std::int32_t since) const {
  const MedialRows& rows = state_->rows;
  std::vector<std::int64_t> chosen;
  for (std::size_t i = 0; i < rows.ids.size(); ++i) {
    if (rows.parts[i] != part || rows.generations[i] < since) continue;
    if (rows.views[i] == 0 || with_views) chosen.push_back(static_cast<std::int64_t>(i));
  }
  return chosen;
}

std::string MedialReader::ids_hash(data::Part part) const {
  return state_->holder.reader.root().text("ids_hash_" + data::part_name(part));
}

at::Tensor MedialReader::pd(const std::vector<std::int64_t>& rows) const {
  at::Tensor out = at::empty({std::int64_t(rows.size()), classes()}, at::kFloat);
  state_->pd->read(rows, out.data_ptr<float>());
  const float* values = out.data_ptr<float>();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    double sum = 0;
    bool proper = true;
    for (std::int64_t c = 0; c < classes(); ++c) {
      const float p = values[static_cast<std::int64_t>(i) * classes() + c];
      proper = proper && p >= 0;
      sum += p;
    }
    if (!proper || !(std::abs(sum - 1) <= kSumSlack)) {
      fail(ExitCode::kCorrupt, "{}: /pd: row {}: is no distribution (sum {:g})", path(), rows[i],
           sum);
    }
  }
  return out;
}

at::Tensor MedialReader::stored(const std::string& name,
                                const std::vector<std::int64_t>& rows) const {
  const MedialLayer& layer = this->layer(name);
  at::Tensor out =
      at::empty(with_rows(std::int64_t(rows.size()), layer.shape), scalar_type_of(layer.stored));
  state_->columns.at(name).read(rows, out.data_ptr());
  return out;
}

at::Tensor MedialReader::activations(const std::string& name,
                                     const std::vector<std::int64_t>& rows) const {
  at::Tensor values = decode(stored(name, rows), layer(name));
  if (!at::isfinite(values.sum()).item<bool>() && !at::isfinite(values).all().item<bool>()) {
    fail(ExitCode::kCorrupt, "{}: /layers/{}: holds NaN or infinite activations", path(), name);
  }
  return values;
}

std::vector<std::string> MedialReader::sources() const {
  std::vector<std::string> paths;
  for (const auto& source : state_->sources) paths.push_back(source.reader.path().string());
  return paths;
}

void require_same_ids(const MedialReader& medial, data::Part part, const std::string& recorded_hash,
                      const std::string& recorded_by) {
  const std::string found = medial.ids_hash(part);
  if (found == recorded_hash) return;
  fail(ExitCode::kIncompatible,
       "{}: its {} samples (ids {:.12}) are not those that {} was made from (ids {:.12}); samples "
       "that served one purpose must not serve another: use the same medial file",
       medial.path(), data::part_name(part), found, recorded_by, recorded_hash);
}

void require_same_transform(const MedialReader& medial, const std::string& transform) {
  if (medial.transform().empty() || medial.transform() == transform) return;
  fail(ExitCode::kIncompatible,
       "{}: recorded from inputs transformed by '{}', here they are by '{}'", medial.path(),
       medial.transform(), transform);
}

void require_made_alike(const MedialReader& medial, const std::string& transform,
                        const std::string& precision, const std::string& what) {
  const std::string at = precision_of_collection(medial.provenance());
  if (medial.transform() == transform && at == precision) return;
  fail(ExitCode::kIncompatible,
       "{}: made from inputs transformed by '{}' with the backbone at {}, {} by '{}' at {}; only "
       "rows made alike go into one file",
       medial.path(), medial.transform(), at, what, transform, precision);
}

std::string precision_of_collection(const io::Provenance& medial) {
  // A merged file's own configuration is that of the merger.
  const auto part = medial.inputs.find("part0000");
  if (part != medial.inputs.end()) return precision_of_collection(part->second);
  const bool lower = medial.config.find("backbone.precision: bfloat16\n") != std::string::npos;
  return lower ? "bfloat16" : "float32";
}

void require_same_purpose(const MedialReader& a, const MedialReader& b) {
  std::unordered_map<std::uint64_t, data::Part> parts;
  for (std::size_t i = 0; i < a.rows().ids.size(); ++i) {
    parts.emplace(a.rows().ids[i], a.rows().parts[i]);
  }
  for (std::size_t i = 0; i < b.rows().ids.size(); ++i) {
    const auto found = parts.find(b.rows().ids[i]);
    if (found == parts.end() || found->second == b.rows().parts[i]) continue;
    fail(ExitCode::kIncompatible,
         "sample {:016x} is in part {} of {} and in part {} of {}; samples that served one purpose "
         "must not serve another: collect both with the same split, or the new one with --append",
         b.rows().ids[i], data::part_name(found->second), a.path(),
         data::part_name(b.rows().parts[i]), b.path());
  }
}

}  // namespace cachectl::artifact
