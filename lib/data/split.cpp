#include "data/split.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"

namespace cachectl::data {
namespace {

constexpr std::array<const char*, 4> kNames = {"train", "validation", "certify", "test"};

// How many of `count` each share gets: rounded down, and what is left over goes to the
// largest remainders (Hamilton's method), the earlier part first.
std::array<std::size_t, 4> apportion(std::size_t count, const SplitOptions& options) {
  const std::array<double, 4> shares = {options.train, options.validation, options.certify,
                                        options.test};
  std::array<std::size_t, 4> sizes{};
  std::array<double, 4> remainders{};
  std::size_t given = 0;
  for (std::size_t part = 0; part < 4; ++part) {
    // A share like 0.1 lies a little off in binary: 0.1 * 30 is to be 3 all the same.
    const double exact = shares[part] * static_cast<double>(count) + 1e-9;
    sizes[part] = std::min(static_cast<std::size_t>(exact), count - given);
    remainders[part] = exact - static_cast<double>(sizes[part]);
    given += sizes[part];
  }
  while (given < count) {
    const auto largest = std::max_element(remainders.begin(), remainders.end());
    ++sizes[static_cast<std::size_t>(largest - remainders.begin())];
    *largest = -1;
    ++given;
  }
  return sizes;
}

}  // namespace

std::string part_name(Part part) {
  return kNames.at(static_cast<std::size_t>(part));
}

Part part_from_name(const std::string& name) {
  for (const Part part : kParts) {
    if (part_name(part) == name) return part;
  }
  fail(ExitCode::kUsage, "split: '{}': expected one of train, validation, certify, test", name);
}

Split::Split(const std::vector<std::uint64_t>& ids, const SplitOptions& options, std::uint64_t seed)
    : ids_(ids), parts_(ids.size()) {
  options.validate();
  std::vector<std::size_t> order(ids.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<std::uint64_t> ranks(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ranks[i] = derive_seed(seed, "split", ids[i]);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return ranks[a] != ranks[b] ? ranks[a] < ranks[b] : ids[a] < ids[b];
  });
  const auto sizes = apportion(ids.size(), options);
  auto next = order.begin();
  for (const Part part : kParts) {
    auto& indices = indices_[static_cast<std::size_t>(part)];
    for (std::size_t i = 0; i < sizes[static_cast<std::size_t>(part)]; ++i, ++next) {
      parts_[*next] = part;
      indices.push_back(static_cast<std::int64_t>(*next));
    }
    std::sort(indices.begin(), indices.end());
  }
  assert(next == order.end());
}

std::vector<std::uint64_t> Split::ids(Part part) const {
  std::vector<std::uint64_t> ids;
  for (const auto index : indices(part)) ids.push_back(ids_[static_cast<std::size_t>(index)]);
  return ids;
}

std::string Split::ids_hash(Part part) const {
  return data::ids_hash(ids(part));
}

std::string ids_hash(std::vector<std::uint64_t> ids) {
  std::sort(ids.begin(), ids.end());
  Sha256 hash;
  hash.update(static_cast<std::uint64_t>(ids.size()));
  for (const auto id : ids) hash.update(id);
  return hash.hex();
}

}  // namespace cachectl::data
