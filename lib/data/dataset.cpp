#include "data/dataset.h"

#include <fmt/core.h>

#include <cassert>
#include <unordered_map>
#include <utility>

#include "base/hash.h"
#include "base/random.h"

namespace cachectl::data {

std::string Dataset::sample_name(std::int64_t index) const {
  return fmt::format("{}: sample {}", name(), index);
}

void Dataset::set_ids(std::vector<std::uint64_t> ids, const std::string& salt) {
  assert(ids_.empty());
  // The second, third, ... of equal samples get ids of their own, by their number.
  std::unordered_map<std::uint64_t, std::uint64_t> seen;
  seen.reserve(ids.size());
  for (auto& id : ids) {
    while (true) {
      const auto [entry, is_new] = seen.try_emplace(id, 0);
      if (is_new) break;
      id = derive_seed(id, "repeat", ++entry->second);
    }
  }
  Sha256 hash;
  hash.update(salt).update(static_cast<std::uint64_t>(ids.size()));
  for (const auto id : ids) hash.update(id);
  content_hash_ = hash.hex();
  ids_ = std::move(ids);
}

}  // namespace cachectl::data
