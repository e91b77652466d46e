#include "labels/labels.h"

#include <cassert>

namespace cachectl::labels {

std::vector<std::int64_t> Labels::at(const std::vector<std::int64_t>& indices) const {
  std::vector<std::int64_t> some;
  some.reserve(indices.size());
  for (const auto index : indices) some.push_back(values.at(static_cast<std::size_t>(index)));
  return some;
}

std::unordered_map<std::uint64_t, std::int64_t> by_id(const data::Dataset& dataset,
                                                      const Labels& labels) {
  assert(dataset.ids().size() == labels.values.size());
  std::unordered_map<std::uint64_t, std::int64_t> map;
  map.reserve(labels.values.size());
  for (std::size_t i = 0; i < labels.values.size(); ++i) {
    map.emplace(dataset.ids()[i], labels.values[i]);
  }
  return map;
}

}  // namespace cachectl::labels
