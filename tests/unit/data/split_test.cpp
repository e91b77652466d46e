#include "data/split.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/random.h"
#include "files.h"

namespace cachectl::data {
namespace {

std::vector<std::uint64_t> some_ids(std::size_t count, std::uint64_t seed = 5) {
  Rng random(seed);
  std::vector<std::uint64_t> ids(count);
  for (auto& id : ids) id = random();
  return ids;
}

std::map<std::uint64_t, Part> by_id(const std::vector<std::uint64_t>& ids, const Split& split) {
  std::map<std::uint64_t, Part> parts;
  for (std::size_t i = 0; i < ids.size(); ++i)
    parts[ids[i]] = split.part(static_cast<std::int64_t>(i));
  return parts;
}

TEST(Split, HasExactlyItsSharesAtEverySize) {
  Rng random(1);
  for (int trial = 0; trial < 300; ++trial) {
    const auto count = static_cast<std::size_t>(random.below(400));
    SplitOptions options;
    options.train = random.uniform(0, 0.5);
    options.validation = random.uniform(0, 0.3);
    options.certify = random.uniform(0, 0.2);
    options.test = 1 - options.train - options.validation - options.certify;
    const Split split(some_ids(count), options, 3);
    std::size_t total = 0;
    const double shares[] = {options.train, options.validation, options.certify, options.test};
    for (const Part part : kParts) {
      const double exact = shares[static_cast<std::size_t>(part)] * static_cast<double>(count);
      EXPECT_LT(std::abs(static_cast<double>(split.indices(part).size()) - exact), 1 + 1e-6);
      total += split.indices(part).size();
    }
    EXPECT_EQ(total, count);
  }
}

TEST(Split, RoundSharesGiveRoundSizes) {
  const Split split(some_ids(30), {}, 1);
  EXPECT_EQ(split.indices(Part::kTrain).size(), 15U);
  EXPECT_EQ(split.indices(Part::kValidation).size(), 3U);
  EXPECT_EQ(split.indices(Part::kCertify).size(), 3U);
  EXPECT_EQ(split.indices(Part::kTest).size(), 9U);
}

TEST(Split, PartsAreDisjointCoverAllAndAgreeWithEachOther) {
  const auto ids = some_ids(1001);
  const Split split(ids, {}, 8);
  std::set<std::int64_t> seen;
  for (const Part part : kParts) {
    EXPECT_TRUE(std::is_sorted(split.indices(part).begin(), split.indices(part).end()));
    const auto part_ids = split.ids(part);
    for (std::size_t i = 0; i < part_ids.size(); ++i) {
      const std::int64_t index = split.indices(part)[i];
      EXPECT_TRUE(seen.insert(index).second);
      EXPECT_EQ(split.part(index), part);
      EXPECT_EQ(part_ids[i], ids[static_cast<std::size_t>(index)]);
    }
  }
  EXPECT_EQ(seen.size(), ids.size());
}

TEST(Split, FollowsTheSampleNotItsPlace) {
  auto ids = some_ids(500);
  const auto before = by_id(ids, Split(ids, {}, 4));
  Rng random(2);
  random.shuffle(ids);
  const Split shuffled(ids, {}, 4);
  EXPECT_EQ(by_id(ids, shuffled), before);
}

TEST(Split, NewSamplesMoveOnlyAFewOldOnes) {
  auto ids = some_ids(10000);
  const auto before = by_id(ids, Split(ids, {}, 4));
  const auto more = some_ids(100, 77);
  ids.insert(ids.end(), more.begin(), more.end());
  const auto after = by_id(ids, Split(ids, {}, 4));
  int moved = 0;
  for (const auto& [id, part] : before) moved += after.at(id) != part;
  // Each of the three cuts drifts by about the square root of the newcomers.
  EXPECT_LE(moved, 60);
}

TEST(Split, DependsOnTheSeed) {
  const auto ids = some_ids(1000);
  const Split one(ids, {}, 1), two(ids, {}, 2);
  int same = 0;
  for (std::int64_t i = 0; i < 1000; ++i) same += one.part(i) == two.part(i);
  EXPECT_NEAR(same, 360, 80);  // .5^2 + .1^2 + .1^2 + .3^2 of them by chance
  EXPECT_NE(one.ids_hash(Part::kTrain), two.ids_hash(Part::kTrain));
}

TEST(Split, HashOfIdsKnowsTheSetNotTheOrder) {
  EXPECT_EQ(ids_hash({1, 2, 3}), ids_hash({3, 1, 2}));
  EXPECT_NE(ids_hash({1, 2, 3}), ids_hash({1, 2, 4}));
  EXPECT_NE(ids_hash({}), ids_hash({0}));
  const Split split({5, 6, 7, 8}, {1, 0, 0, 0}, 1);
  EXPECT_EQ(split.ids_hash(Part::kTrain), ids_hash({8, 7, 6, 5}));
  EXPECT_EQ(split.ids_hash(Part::kTest), ids_hash({}));
}

TEST(Split, RefusesSharesThatDoNotSumToOne) {
  EXPECT_THAT(
      test::failure([] {
        Split({1, 2}, {0.5, 0.1, 0.1, 0.2}, 1);
      }),
      testing::StartsWith("2: split: train 0.5 + validation 0.1 + certify 0.1 + test 0.2 = 0.9"));
}

TEST(Split, PartsHaveNames) {
  for (const Part part : kParts) EXPECT_EQ(part_from_name(part_name(part)), part);
  EXPECT_THAT(test::failure([] { part_from_name("training"); }), testing::StartsWith("2: "));
}

}  // namespace
}  // namespace cachectl::data
