#include "artifact/medial_layout.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "artifact/medial_rows.h"
#include "base/error.h"
#include "base/text.h"

namespace cachectl::artifact {

namespace fs = std::filesystem;

std::vector<Target> targets_of(const MedialPlan& plan) {
  std::vector<Target> targets;
  const auto add = [&](const std::string& object, io::DType dtype,
                       const std::vector<std::int64_t>& row_shape) {
    Target target{object, "digests/" + object, dtype, {plan.rows.size()}, 0, std::nullopt};
    target.row_bytes = static_cast<std::int64_t>(io::size_of(dtype));
    for (const auto size : row_shape) target.row_bytes *= size;
    target.shape.insert(target.shape.end(), row_shape.begin(), row_shape.end());
    targets.push_back(std::move(target));
  };
  add("pd", io::DType::kFloat32, {plan.classes});
  for (const auto& layer : plan.layers) add("layers/" + layer.name, layer.stored, layer.shape);
  return targets;
}

bool is_compressed(const MedialPlan& plan, std::size_t target) {
  return plan.deflate > 0 && target > 0;
}

std::string all_settings(const MedialPlan& plan) {
  std::string text = plan.settings;
  if (!text.empty() && text.back() != '\n') text += '\n';
  text += fmt::format("classes: {}\noutput_kind: {}\ndeflate: {}\nrows: {}, {:.16}\n", plan.classes,
                      plan.output_kind, plan.deflate, plan.rows.size(), hash_of(plan.rows));
  text += fmt::format("blocks: {}, {} rows in the first\n", plan.blocks.size(),
                      plan.blocks.empty() ? 0 : plan.blocks.front());
  for (const auto& layer : plan.layers) {
    text += fmt::format("layer {}: {} {}\n", layer.name, text::shape(layer.shape),
                        io::name_of(layer.stored));
  }
  return text;
}

std::string difference(const std::string& partial, const std::string& now) {
  const auto before = text::split(partial, '\n'), after = text::split(now, '\n');
  const auto only_in = [](const std::vector<std::string>& a, const std::vector<std::string>& b) {
    std::vector<std::string> lines;
    for (const auto& line : a) {
      if (std::find(b.begin(), b.end(), line) == b.end()) lines.push_back(line);
    }
    return text::join(lines, "; ");
  };
  return fmt::format("it was begun with [{}], this run has [{}]", only_in(before, after),
                     only_in(after, before));
}

void write_skeleton(const fs::path& path, const MedialPlan& plan) {
  io::File file = io::File::create(path);
  io::Layout placed;
  placed.placed_early = true;
  const auto targets = targets_of(plan);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (is_compressed(plan, i)) continue;
    file.root().create_dataset(targets[i].object, targets[i].dtype, targets[i].shape, placed);
  }
  for (const auto& layer : plan.layers) {
    if (layer.stored != io::DType::kInt8) continue;
    file.root()
        .create_dataset("scales/" + layer.name, io::DType::kFloat32,
                        {std::int64_t(layer.scale.size())})
        .write_rows(0, std::int64_t(layer.scale.size()), layer.scale.data());
    file.root()
        .create_dataset("offsets/" + layer.name, io::DType::kFloat32,
                        {std::int64_t(layer.offset.size())})
        .write_rows(0, std::int64_t(layer.offset.size()), layer.offset.data());
  }
  file.close();
}

void read_skeleton(const fs::path& path, MedialPlan& plan, std::vector<Target>& targets) {
  const io::File file = io::File::open(path);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (is_compressed(plan, i)) continue;
    targets[i].offset = file.root().dataset(targets[i].object).offset();
    assert(targets[i].offset || plan.rows.size() == 0);
  }
  for (auto& layer : plan.layers) {
    if (layer.stored != io::DType::kInt8) continue;
    layer.scale = file.root().read<float>("scales/" + layer.name);
    layer.offset = file.root().read<float>("offsets/" + layer.name);
  }
}

std::vector<Piece> pieces_between(const io::PositionedFile& file,
                                  const std::vector<Target>& targets, std::int64_t rows) {
  std::vector<std::pair<std::int64_t, std::int64_t>> taken;  // first byte, size
  for (const auto& target : targets) {
    if (target.offset) taken.emplace_back(*target.offset, rows * target.row_bytes);
  }
  const std::int64_t size = file.size();
  taken.emplace_back(size, 0);
  std::sort(taken.begin(), taken.end());
  std::vector<Piece> pieces;
  std::int64_t at = 0;
  for (const auto& [first, bytes] : taken) {
    if (first > at) {
      Piece piece{at, std::string(static_cast<std::size_t>(first - at), '\0')};
      file.read_at(at, piece.bytes.data(), piece.bytes.size());
      pieces.push_back(std::move(piece));
    }
    at = std::max(at, first + bytes);
  }
  return pieces;
}

void MedialPlan::cut_into_blocks(std::int64_t rows_per_block) {
  assert(rows_per_block > 0);
  blocks.clear();
  for (std::int64_t first = 0; first < rows.size(); first += rows_per_block) {
    blocks.push_back(std::min(rows_per_block, rows.size() - first));
  }
}

std::int64_t MedialPlan::row_bytes() const {
  std::int64_t bytes = 0;
  for (const auto& target : targets_of(*this)) bytes += target.row_bytes;
  return bytes;
}

}  // namespace cachectl::artifact
