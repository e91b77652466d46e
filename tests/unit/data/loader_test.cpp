#include "data/loader.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "base/cancel.h"
#include "data/synthetic.h"
#include "files.h"
#include "support/strips.h"

namespace cachectl::data {
namespace {

using testing::HasSubstr;

// Samples that know their number; some are bad, one is of another shape.
class Numbers : public Dataset {
 public:
  explicit Numbers(std::int64_t size) : size_(size) {
    std::vector<std::uint64_t> ids;
    for (std::int64_t i = 0; i < size; ++i) ids.push_back(static_cast<std::uint64_t>(1000 + i));
    set_ids(std::move(ids), "numbers");
  }
  std::int64_t size() const override { return size_; }
  at::Tensor read(std::int64_t index) const override {
    ++reads;
    if (std::find(bad.begin(), bad.end(), index) != bad.end()) {
      fail(ExitCode::kCorrupt, "numbers: sample {} is bad", index);
    }
    if (index == odd_shape) return at::zeros({3});
    return at::full({2}, static_cast<double>(index), at::kFloat);
  }
  std::string name() const override { return "numbers"; }

  mutable std::atomic<int> reads = 0;
  std::vector<std::int64_t> bad;
  std::int64_t odd_shape = -1;

 private:
  const std::int64_t size_;
};

LoaderOptions loading(std::int64_t batch_size, std::int64_t threads) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.threads = threads;
  return options;
}

struct Taken {
  std::vector<at::Tensor> inputs;
  std::vector<std::uint64_t> ids;
  std::vector<std::int64_t> sizes, indices, partners;
};

Taken take_all(BatchLoader& loader) {
  Taken taken;
  while (auto batch = loader.next()) {
    taken.inputs.push_back(batch->inputs);
    taken.sizes.push_back(batch->size());
    EXPECT_EQ(batch->inputs.size(0), batch->size());
    taken.ids.insert(taken.ids.end(), batch->ids.begin(), batch->ids.end());
    taken.indices.insert(taken.indices.end(), batch->indices.begin(), batch->indices.end());
    taken.partners.insert(taken.partners.end(), batch->partners.begin(), batch->partners.end());
  }
  return taken;
}

TEST(Loader, HandsOutBatchesInTheOrderAskedFor) {
  const Numbers numbers(10);
  const Transform transform;
  BatchLoader loader(numbers, transform, {7, 3, 9, 0, 3}, loading(2, 3));
  EXPECT_EQ(loader.batches(), 3);
  const Taken taken = take_all(loader);
  EXPECT_EQ(taken.sizes, (std::vector<std::int64_t>{2, 2, 1}));
  EXPECT_EQ(taken.indices, (std::vector<std::int64_t>{7, 3, 9, 0, 3}));
  EXPECT_EQ(taken.ids, (std::vector<std::uint64_t>{1007, 1003, 1009, 1000, 1003}));
  EXPECT_EQ(taken.inputs[1][0][1].item<float>(), 9);
  EXPECT_FALSE(loader.next());
}

TEST(Loader, GivesTheSameWhateverTheThreadsAndBatches) {
  Options options;
  options.samples = 60;
  const Synthetic images(options);
  const Transform transform;
  const auto run = [&](std::int64_t batch_size, std::int64_t threads) {
    LoaderOptions how = loading(batch_size, threads);
    how.augment.flip = true;
    how.augment.shift = 3;
    how.augment.mixup = 0.5;
    how.view = 4;
    BatchLoader loader(images, transform, all_indices(images), how);
    const Taken taken = take_all(loader);
    return std::make_pair(at::cat(taken.inputs), taken.partners);
  };
  const auto [inputs, partners] = run(16, 1);
  EXPECT_EQ(inputs.sizes().vec(), (std::vector<std::int64_t>{60, 3, 32, 32}));
  for (const auto& [size, threads] : {std::pair{16, 4}, {7, 4}, {60, 2}, {1, 3}}) {
    const auto [others, other_partners] = run(size, threads);
    EXPECT_TRUE(others.equal(inputs)) << size << " " << threads;
    EXPECT_EQ(other_partners, partners);
  }
}

TEST(Loader, MixesWithPartnersFromThePoolOnly) {
  Options options;
  options.samples = 50;
  const Synthetic images(options);
  const Transform transform;
  LoaderOptions how = loading(8, 2);
  how.augment.mixup = 1;
  how.pool = {40, 41, 42};
  BatchLoader loader(images, transform, {0, 1, 2, 3, 4, 5, 6, 7}, how);
  const auto batch = loader.next();
  ASSERT_TRUE(batch);
  for (std::size_t i = 0; i < 8; ++i) {
    const std::int64_t partner = batch->partners[i];
    ASSERT_GE(partner, 40);
    ASSERT_LE(partner, 42);
    const double weight = batch->weights[i];
    const at::Tensor expected = weight * transform(images.read(static_cast<std::int64_t>(i))) +
                                (1 - weight) * transform(images.read(partner));
    EXPECT_TRUE(at::allclose(batch->inputs[static_cast<std::int64_t>(i)], expected, 1e-5, 1e-6));
  }
}

TEST(Loader, ReadsOnlySoFarAhead) {
  const Numbers numbers(1000);
  const Transform transform;
  LoaderOptions how = loading(10, 2);
  how.prefetch = 3;
  BatchLoader loader(numbers, transform, all_indices(numbers), how);
  loader.next();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LE(numbers.reads, 40);  // the batch taken and three ahead
}

TEST(Loader, CarriesAFailureToItsBatch) {
  Numbers numbers(30);
  numbers.bad = {12};
  const Transform transform;
  BatchLoader loader(numbers, transform, all_indices(numbers), loading(5, 4));
  EXPECT_TRUE(loader.next());
  EXPECT_TRUE(loader.next());
  EXPECT_EQ(test::failure([&] { loader.next(); }), "4: numbers: sample 12 is bad");
}

TEST(Loader, SkipsAndCountsBadSamples) {
  Numbers numbers(20);
  numbers.bad = {0, 5, 6, 7, 8, 9, 19};
  const Transform transform;
  LoaderOptions how = loading(5, 2);
  how.skip_bad = true;
  BatchLoader loader(numbers, transform, all_indices(numbers), how);
  const Taken taken = take_all(loader);
  EXPECT_EQ(taken.indices,
            (std::vector<std::int64_t>{1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 18}));
  EXPECT_EQ(taken.sizes, (std::vector<std::int64_t>{4, 5, 4}));  // no empty batch
  EXPECT_EQ(loader.skipped(), 7);
  EXPECT_EQ(input_shape(numbers, transform, true), (std::vector<std::int64_t>{2}));
  EXPECT_EQ(test::failure([&] { input_shape(numbers, transform); }), "4: numbers: sample 0 is bad");
}

TEST(Loader, TakesASampleThatTheTransformRefusesForABadOne) {
  const test::Strips strips;
  Options options;
  options.transform = {"resize 8"};
  const Transform transform(options);
  LoaderOptions how = loading(2, 1);
  EXPECT_EQ(
      test::failure([&] {
        BatchLoader(strips, transform, {0, 1}, how).next();
      }),
      "4: strips: sample 1: data.transform: resize 8 would make a 10x30000 image 8x24000, and "
      "16384 a side is the most: leave it out, or give resize both sides");
  how.skip_bad = true;
  BatchLoader loader(strips, transform, all_indices(strips), how);
  EXPECT_EQ(take_all(loader).indices, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(loader.skipped(), 1);
}

TEST(Loader, SaysSoWhenEverySampleIsBad) {
  Numbers numbers(4);
  numbers.bad = {0, 1, 2, 3};
  const Transform transform;
  LoaderOptions how = loading(3, 2);
  how.skip_bad = true;
  BatchLoader loader(numbers, transform, all_indices(numbers), how);
  EXPECT_EQ(test::failure([&] { loader.next(); }), "6: numbers: all 4 samples are bad");
  EXPECT_EQ(test::failure([&] { input_shape(numbers, transform, true); }),
            "6: numbers: all of the first 4 samples are bad");
}

TEST(Loader, RefusesSamplesOfDifferentShapes) {
  for (const std::int64_t odd : {7, 5}) {  // inside of a batch, and at its start
    Numbers numbers(10);
    numbers.odd_shape = odd;
    const Transform transform;
    BatchLoader loader(numbers, transform, all_indices(numbers), loading(5, 2));
    loader.next();
    EXPECT_THAT(test::failure([&] { loader.next(); }), HasSubstr("after the transform"));
  }
}

TEST(Loader, StopsWhenAskedAndWhenDropped) {
  const Numbers numbers(100000);
  const Transform transform;
  {
    BatchLoader loader(numbers, transform, all_indices(numbers), loading(4, 3));
    loader.next();
  }
  EXPECT_LT(numbers.reads, 1000);
  BatchLoader loader(numbers, transform, all_indices(numbers), loading(4, 3));
  loader.next();
  cancel::request(SIGTERM);
  EXPECT_THROW(while (loader.next()){}, cancel::Cancelled);
  cancel::request(0);
}

TEST(Loader, HandsOutTokensAsTheyAreStored) {
  const test::TempFolder folder;
  const std::vector<std::int64_t> tokens = {1, 30000, 3, 4, 5, 6};
  Options options = test::options_of(
      "npy", folder.write("t.npy", test::npy_bytes("'<i8'", "(3, 2)", test::bytes_of(tokens))));
  options.dtype = "stored";
  const auto set = open_dataset(options, {});
  const Transform transform(options);
  BatchLoader loader(*set, transform, all_indices(*set), loading(3, 1));
  const auto batch = loader.next();
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batch->inputs.equal(at::tensor(tokens).reshape({3, 2})));
  LoaderOptions how = loading(3, 1);
  how.augment.mixup = 1;
  BatchLoader mixing(*set, transform, all_indices(*set), how);
  EXPECT_THAT(test::failure([&] { mixing.next(); }), HasSubstr("can't be augmented"));
}

TEST(Loader, OfNothingEndsAtOnce) {
  const Numbers numbers(3);
  const Transform transform;
  BatchLoader loader(numbers, transform, {}, loading(4, 2));
  EXPECT_FALSE(loader.next());
}

}  // namespace
}  // namespace cachectl::data
