#include "artifact/medial_rows.h"

#include <algorithm>
#include <cassert>
#include <unordered_map>

#include "base/error.h"
#include "base/hash.h"

namespace cachectl::artifact {
namespace {

std::vector<data::Part> parts_from(const std::vector<std::uint8_t>& codes,
                                   const std::string& where) {
  std::vector<data::Part> parts;
  parts.reserve(codes.size());
  for (const auto code : codes) {
    if (code >= data::kParts.size()) {
      fail(ExitCode::kCorrupt, "{}: part {}, expected 0 to {}", where, code,
           data::kParts.size() - 1);
    }
    parts.push_back(static_cast<data::Part>(code));
  }
  return parts;
}

MedialRows read_rows(const io::Group& root) {
  MedialRows rows;
  const io::Group group = root.group("rows");
  rows.ids = group.read<std::uint64_t>("id");
  const io::Shape all{rows.size()};
  rows.views = group.read<std::int32_t>("view", all);
  rows.parts = parts_from(group.read<std::uint8_t>("part", all), group.where() + "/part");
  rows.generations = group.read<std::int32_t>("generation", all);
  rows.partners = group.read<std::uint64_t>("partner", all);
  rows.weights = group.read<float>("weight", all);
  io::require_finite(rows.weights, group.where() + "/weight");
  return rows;
}

// Every sample once, and views of training samples that are there.
void check_rows(const MedialRows& rows, const std::string& where) {
  std::unordered_map<std::uint64_t, data::Part> samples;
  for (std::size_t i = 0; i < rows.ids.size(); ++i) {
    if (rows.views[i] != 0) continue;
    if (!samples.emplace(rows.ids[i], rows.parts[i]).second) {
      fail(ExitCode::kCorrupt, "{}: row {}: sample {:016x} is there twice", where, i, rows.ids[i]);
    }
  }
  for (std::size_t i = 0; i < rows.ids.size(); ++i) {
    if (rows.views[i] == 0) continue;
    if (rows.views[i] < 0 || rows.parts[i] != data::Part::kTrain) {
      fail(ExitCode::kCorrupt, "{}: row {}: view {} in part {}; only training samples have views",
           where, i, rows.views[i], data::part_name(rows.parts[i]));
    }
    // In a shard the sample itself may be in another one.
    const auto sample = samples.find(rows.ids[i]);
    if (sample != samples.end() && sample->second != data::Part::kTrain) {
      fail(ExitCode::kCorrupt, "{}: row {}: a training view of sample {:016x}, which is in {}",
           where, i, rows.ids[i], data::part_name(sample->second));
    }
  }
}

std::vector<std::uint8_t> codes_of(const std::vector<data::Part>& parts) {
  std::vector<std::uint8_t> codes;
  codes.reserve(parts.size());
  for (const auto part : parts) codes.push_back(static_cast<std::uint8_t>(part));
  return codes;
}

std::vector<std::uint64_t> ids_of(const MedialRows& rows, data::Part part) {
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < rows.ids.size(); ++i) {
    if (rows.parts[i] == part && rows.views[i] == 0) ids.push_back(rows.ids[i]);
  }
  return ids;
}

}  // namespace

void MedialRows::add(std::uint64_t id, data::Part part, std::int32_t generation) {
  ids.push_back(id);
  views.push_back(0);
  parts.push_back(part);
  generations.push_back(generation);
  partners.push_back(0);
  weights.push_back(1);
}

void MedialRows::add_view(std::uint64_t id, std::int32_t view, std::int32_t generation,
                          std::uint64_t partner, float weight) {
  add(id, data::Part::kTrain, generation);
  views.back() = view;
  partners.back() = partner;
  weights.back() = weight;
}

void complete(MedialRows& rows) {
  const auto count = rows.ids.size();
  assert(rows.views.size() == count && rows.parts.size() == count);
  rows.generations.resize(count, 0);
  rows.partners.resize(count, 0);
  rows.weights.resize(count, 1);
}

std::string hash_of(const MedialRows& rows) {
  Sha256 hash;
  const auto add = [&](const auto& values) {
    hash.update(values.data(), values.size() * sizeof(values[0]));
  };
  add(rows.ids);
  add(rows.views);
  add(codes_of(rows.parts));
  add(rows.generations);
  add(rows.partners);
  add(rows.weights);
  return hash.hex();
}

void write_medial_rows(io::Group& root, const MedialRows& rows) {
  io::Group group = root.create_group("rows");
  group.write("id", rows.ids);
  group.write("view", rows.views);
  group.write("part", codes_of(rows.parts));
  group.write("generation", rows.generations);
  group.write("partner", rows.partners);
  group.write("weight", rows.weights);
  std::int64_t samples = 0;
  for (const data::Part part : data::kParts) {
    const auto ids = ids_of(rows, part);
    samples += static_cast<std::int64_t>(ids.size());
    root.set("samples_" + data::part_name(part), static_cast<std::int64_t>(ids.size()));
    root.set("ids_hash_" + data::part_name(part), data::ids_hash(ids));
  }
  root.set("samples", samples);
  root.set("views", rows.size() - samples);
  const auto newest = std::max_element(rows.generations.begin(), rows.generations.end());
  root.set("generations",
           newest == rows.generations.end() ? std::int64_t{0} : std::int64_t{*newest} + 1);
}

MedialRows read_medial_rows(const io::Group& root) {
  MedialRows rows = read_rows(root);
  check_rows(rows, root.where() + "rows");
  for (const data::Part part : data::kParts) {
    const auto ids = ids_of(rows, part);
    const std::string name = "ids_hash_" + data::part_name(part);
    if (data::ids_hash(ids) != root.text(name)) {
      fail(ExitCode::kCorrupt, "{}: attribute '{}' is not that of the {} samples in /rows",
           root.where(), name, ids.size());
    }
  }
  return rows;
}

}  // namespace cachectl::artifact
