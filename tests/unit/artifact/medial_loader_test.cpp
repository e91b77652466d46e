#include "artifact/medial_loader.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "support/expect_error.h"
#include "support/scratch.h"
#include "support/tiny_medial.h"

namespace cachectl::artifact {
namespace {

std::vector<std::int64_t> rows_of_epoch(MedialLoader& loader, std::int64_t epoch) {
  std::vector<std::int64_t> rows;
  loader.start(epoch);
  while (const auto batch = loader.next()) {
    rows.insert(rows.end(), batch->rows.begin(), batch->rows.end());
  }
  return rows;
}

// memory_bytes, stored dtype, handed-out dtype
class EveryWay
    : public testing::TestWithParam<std::tuple<std::int64_t, io::DType, at::ScalarType>> {};

TEST_P(EveryWay, HandsOutEachRowOnceWithItsOwnValues) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.samples = 1500;
  tiny.layers[0].shape = {4, 16, 16};
  MedialLoaderOptions options;
  options.batch_size = 100;
  std::tie(options.memory_bytes, tiny.stored, options.dtype) = GetParam();
  tiny.write(scratch.path("m.h5"));
  const MedialReader medial(scratch.path("m.h5"));
  const auto rows = medial.rows_of(data::Part::kTrain);
  MedialLoader loader(medial, {"late", "early"}, rows, options);
  std::multiset<std::int64_t> seen;
  std::int64_t batches = 0;
  loader.start(3);
  while (const auto batch = loader.next()) {
    ++batches;
    seen.insert(batch->rows.begin(), batch->rows.end());
    EXPECT_TRUE(
        batch->activations[0].equal(medial.activations("late", batch->rows).to(options.dtype)));
    EXPECT_TRUE(
        batch->activations[1].equal(medial.activations("early", batch->rows).to(options.dtype)));
    EXPECT_TRUE(batch->pd.equal(medial.pd(batch->rows)));
  }
  EXPECT_EQ(batches, loader.batches());
  EXPECT_EQ(seen, std::multiset<std::int64_t>(rows.begin(), rows.end()));
}

INSTANTIATE_TEST_SUITE_P(MedialLoader, EveryWay,
                         testing::Combine(testing::Values(std::int64_t{1} << 30,
                                                          std::int64_t{1} << 20),
                                          testing::Values(io::DType::kFloat32, io::DType::kFloat16,
                                                          io::DType::kBFloat16, io::DType::kInt8),
                                          testing::Values(at::kFloat, at::kBFloat16)));

TEST(MedialLoader, OrdersAnEpochByItsSeedAndNumberAlone) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.samples = 600;
  tiny.write(scratch.path("m.h5"));
  const MedialReader medial(scratch.path("m.h5"));
  const auto rows = medial.rows_of(data::Part::kTrain);
  MedialLoaderOptions options;
  for (const std::int64_t memory : {1 << 30, 1 << 18}) {
    options.memory_bytes = memory;
    MedialLoader loader(medial, {"early"}, rows, options), again(medial, {"early"}, rows, options);
    EXPECT_EQ(loader.is_held_in_memory(), memory == 1 << 30);
    const auto first = rows_of_epoch(loader, 1);
    EXPECT_NE(first, rows);
    EXPECT_NE(first, rows_of_epoch(loader, 2));
    EXPECT_EQ(first, rows_of_epoch(again, 1));
    options.seed = 2;
    MedialLoader other(medial, {"early"}, rows, options);
    EXPECT_NE(first, rows_of_epoch(other, 1));
    options.seed = 1;
  }
}

TEST(MedialLoader, MixesFarRowsEvenWhenTheyDoNotFitTheMemory) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.samples = 16000;
  tiny.layers = {{"early", {4, 8, 8}, 4}};
  tiny.write(scratch.path("m.h5"));
  const MedialReader medial(scratch.path("m.h5"));
  const auto rows = medial.rows_of(data::Part::kTrain);  // 8,000 rows, 8.2 MB
  MedialLoaderOptions options;
  options.memory_bytes = 7 << 20;
  MedialLoader loader(medial, {"early"}, rows, options);
  ASSERT_FALSE(loader.is_held_in_memory());
  loader.start(1);
  const auto batch = loader.next();
  ASSERT_TRUE(batch);
  const auto [low, high] = std::minmax_element(batch->rows.begin(), batch->rows.end());
  EXPECT_GT(*high - *low, 1024);  // more than one block of neighbouring rows
}

TEST(MedialLoader, KeepsTheOrderOfTheFileWithoutShuffling) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.write(scratch.path("m.h5"));
  const MedialReader medial(scratch.path("m.h5"));
  MedialLoaderOptions options;
  options.shuffle = false;
  options.batch_size = 7;
  const auto rows = medial.rows_of(data::Part::kValidation);
  MedialLoader loader(medial, {"late"}, rows, options);
  EXPECT_EQ(rows_of_epoch(loader, 1), rows);
  options.drop_last = true;
  MedialLoader full(medial, {"late"}, rows, options);
  EXPECT_EQ(rows_of_epoch(full, 1).size(), rows.size() / 7 * 7);
  EXPECT_EQ(full.batches(), std::int64_t(rows.size() / 7));
}

TEST(MedialLoader, StopsInTheMiddleAndStartsAnew) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.write(scratch.path("m.h5"));
  const MedialReader medial(scratch.path("m.h5"));
  MedialLoaderOptions options;
  options.batch_size = 3;
  const auto rows = medial.rows_of(data::Part::kTrain);
  MedialLoader loader(medial, {"late"}, rows, options);
  loader.start(1);
  ASSERT_TRUE(loader.next());
  EXPECT_EQ(rows_of_epoch(loader, 2).size(), rows.size());
}

TEST(MedialLoader, HandsOnWhatReadingThrew) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.draw();
  tiny.pd = tiny.pd * 2;
  write_medial(scratch.path("m.h5"), tiny.plan, tiny.pd, tiny.activations, {}, {});
  const MedialReader medial(scratch.path("m.h5"));
  MedialLoader loader(medial, {"late"}, medial.rows_of(data::Part::kTrain), {});
  loader.start(1);
  expect_error([&] { loader.next(); }, ExitCode::kCorrupt, "is no distribution");
}

}  // namespace
}  // namespace cachectl::artifact
