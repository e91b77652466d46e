#include "artifact/medial.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "artifact/medial_codec.h"
#include "artifact/medial_writer.h"
#include "io/positioned_file.h"
#include "support/bytes.h"
#include "support/expect_error.h"
#include "support/reseal.h"
#include "support/scratch.h"
#include "support/tiny_medial.h"

namespace cachectl::artifact {
namespace {

class EveryStorage : public testing::TestWithParam<std::tuple<io::DType, int>> {};

// Relative to the greatest value of a channel.
double rounding_of(io::DType dtype) {
  switch (dtype) {
    case io::DType::kFloat32:
      return 0;
    case io::DType::kFloat16:
      return 0x1p-11;
    case io::DType::kBFloat16:
      return 0x1p-8;
    default:
      return 0.51 * 2 / 254;
  }
}

TEST_P(EveryStorage, GivesBackActivationsWithinTheRoundingOfTheStoredType) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.views = 1;
  std::tie(tiny.stored, tiny.deflate) = GetParam();
  tiny.write(scratch.path("m.h5"));
  const MedialReader medial(scratch.path("m.h5"));
  ASSERT_EQ(medial.rows().size(), 300);
  ASSERT_EQ(medial.layers().size(), 3u);
  const std::vector<std::int64_t> rows = {299, 0, 1, 2, 150, 77, 78, 0};
  for (std::size_t i = 0; i < tiny.layers.size(); ++i) {
    const at::Tensor expected = tiny.activations[i].index_select(0, at::tensor(rows));
    const at::Tensor found = medial.activations(tiny.layers[i].name, rows);
    ASSERT_EQ(found.sizes(), expected.sizes());
    const double bound = rounding_of(tiny.stored) * tiny.activations[i].abs().max().item<double>();
    EXPECT_LE((found - expected).abs().max().item<double>(), bound) << tiny.layers[i].name;
  }
  EXPECT_TRUE(medial.pd(rows).equal(tiny.pd.index_select(0, at::tensor(rows))));
}

TEST_P(EveryStorage, HoldsWhatItsHashSays) {
  const Scratch scratch;
  TinyMedial tiny;
  std::tie(tiny.stored, tiny.deflate) = GetParam();
  const auto made = tiny.write(scratch.path("m.h5"));
  {
    const io::ArtifactReader reader(scratch.path("m.h5"), "medial");
    EXPECT_NO_THROW(io::verify_contents(reader.root(), made.content_hash));
  }
  if (tiny.deflate > 0) return;
  const auto offset =
      io::ArtifactReader(scratch.path("m.h5"), "medial").root().dataset("layers/middle").offset();
  ASSERT_TRUE(offset);
  io::PositionedFile file = io::PositionedFile::open_to_write(scratch.path("m.h5"));
  char byte = 0;
  file.read_at(*offset + 5, &byte, 1);
  byte = static_cast<char>(byte ^ 1);
  file.write_at(*offset + 5, &byte, 1);
  const io::ArtifactReader reader(scratch.path("m.h5"), "medial");
  expect_error([&] { io::verify_contents(reader.root(), made.content_hash); }, ExitCode::kCorrupt,
               "/layers/middle: its values differ");
}

INSTANTIATE_TEST_SUITE_P(Medial, EveryStorage,
                         testing::Combine(testing::Values(io::DType::kFloat32, io::DType::kFloat16,
                                                          io::DType::kBFloat16, io::DType::kInt8),
                                          testing::Values(0, 4)),
                         [](const auto& info) {
                           return io::name_of(std::get<0>(info.param)) +
                                  (std::get<1>(info.param) > 0 ? "Deflated" : "");
                         });

TEST(Medial, KnowsPartsViewsAndTheirSamples) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.views = 2;
  tiny.write(scratch.path("m.h5"));
  const MedialReader medial(scratch.path("m.h5"));
  EXPECT_EQ(medial.rows_of(data::Part::kTrain).size(), 100u);
  EXPECT_EQ(medial.rows_of(data::Part::kTrain, true).size(), 300u);
  EXPECT_EQ(medial.rows_of(data::Part::kTest, true).size(), 60u);
  EXPECT_EQ(medial.rows().ids[200], 1000u);  // the first view leads back to the first sample
  EXPECT_EQ(medial.rows().views[200], 1);
  EXPECT_TRUE(medial.rows_of(data::Part::kTrain, true, 1).empty());
  std::vector<std::uint64_t> ids;
  for (const auto row : medial.rows_of(data::Part::kCertify)) {
    ids.push_back(medial.rows().ids[std::size_t(row)]);
  }
  EXPECT_EQ(medial.ids_hash(data::Part::kCertify), data::ids_hash(ids));
}

TEST(Medial, ReadsTheSameFromSeveralThreads) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.write(scratch.path("m.h5"));
  const MedialReader medial(scratch.path("m.h5"));
  std::vector<int> equal(4, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::int64_t> rows;
      for (std::int64_t row = t; row < 200; row += 4) rows.push_back(row);
      for (int repeat = 0; repeat < 20; ++repeat) {
        equal[std::size_t(t)] += medial.activations("early", rows)
                                     .equal(tiny.activations[0].index_select(0, at::tensor(rows)));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(equal, std::vector<int>(4, 20));
}

TEST(Medial, NamesTheNearestLayer) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.write(scratch.path("m.h5"));
  const MedialReader medial(scratch.path("m.h5"));
  expect_error([&] { (void)medial.layer("midle"); }, ExitCode::kIncompatible,
               "no layer 'midle' (did you mean 'middle'?)");
}

TEST(Medial, IsByteEqualForEqualContents) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.write(scratch.path("a.h5"));
  tiny.write(scratch.path("b.h5"));
  EXPECT_EQ(bytes_of(scratch.path("a.h5")), bytes_of(scratch.path("b.h5")));
}

TEST(Medial, RefusesRowsThatContradictThemselves) {
  const Scratch scratch;
  TinyMedial tiny;
  const auto path = scratch.path("m.h5");
  const auto spoil = [&](const std::string& object, auto value) {
    tiny.write(path);
    io::File file = io::File::open_to_write(path);
    file.root().dataset(object).write_rows(5, 1, &value);
    file.close();
    reseal(path);
    std::filesystem::rename(path, scratch.path("bad.h5"));
    return [&] { MedialReader(scratch.path("bad.h5")); };
  };
  expect_error(spoil("rows/part", std::uint8_t{9}), ExitCode::kCorrupt, "part 9, expected 0 to 3");
  expect_error(spoil("rows/part", std::uint8_t{2}), ExitCode::kCorrupt, "ids_hash_");
  expect_error(spoil("rows/view", std::int32_t{1}), ExitCode::kCorrupt, "only training samples");
  expect_error(spoil("rows/id", std::uint64_t{1000}), ExitCode::kCorrupt, "is there twice");
}

TEST(Medial, RefusesAPdThatIsNoDistribution) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.draw();
  tiny.pd = tiny.pd.clone();
  tiny.pd[7][1] += 0.5;
  write_medial(scratch.path("m.h5"), tiny.plan, tiny.pd, tiny.activations, {}, {});
  const MedialReader medial(scratch.path("m.h5"));
  EXPECT_NO_THROW(medial.pd({6, 8}));
  expect_error([&] { medial.pd({6, 7, 8}); }, ExitCode::kCorrupt, "/pd: row 7: is no distribution");
}

TEST(Medial, RefusesSamplesThatServedAnotherPurpose) {
  const Scratch scratch;
  TinyMedial tiny;
  tiny.write(scratch.path("a.h5"));
  tiny.draw();
  std::swap(tiny.plan.rows.parts[0], tiny.plan.rows.parts[9]);
  write_medial(scratch.path("b.h5"), tiny.plan, tiny.pd, tiny.activations, {}, {});
  const MedialReader a(scratch.path("a.h5")), b(scratch.path("b.h5"));
  EXPECT_NO_THROW(require_same_ids(a, data::Part::kTrain, a.ids_hash(data::Part::kTrain), "c.h5"));
  EXPECT_NO_THROW(require_same_purpose(a, a));
  expect_error(
      [&] { require_same_ids(b, data::Part::kTrain, a.ids_hash(data::Part::kTrain), "caches.h5"); },
      ExitCode::kIncompatible, "are not those that caches.h5 was made from");
  expect_error([&] { require_same_purpose(a, b); }, ExitCode::kIncompatible, "is in part train of");
}

TEST(MedialCodec, FindsTheRowOfABadValue) {
  MedialLayer layer;
  layer.shape = {3, 4, 4};
  std::int64_t clipped = 0;
  for (const auto stored : {io::DType::kFloat32, io::DType::kFloat16, io::DType::kBFloat16}) {
    layer.stored = stored;
    for (const bool channels_last : {false, true}) {
      at::Tensor values = at::randn({5, 3, 4, 4});
      values[3][1][2][2] = std::numeric_limits<float>::quiet_NaN();
      if (channels_last) values = values.contiguous(at::MemoryFormat::ChannelsLast);
      at::Tensor out = at::empty({5, 3, 4, 4}, scalar_type_of(stored));
      const auto bad = encode(values, layer, out, clipped);
      ASSERT_TRUE(bad) << io::name_of(stored);
      EXPECT_EQ(bad->row, 3);
      EXPECT_TRUE(std::isnan(bad->value));
    }
  }
}

TEST(MedialCodec, RefusesWhatIsBeyondHalfPrecision) {
  MedialLayer layer;
  layer.shape = {40};
  at::Tensor values = at::ones({4, 40}), out = at::empty({4, 40}, at::kHalf);
  std::int64_t clipped = 0;
  EXPECT_FALSE(encode(values * 65504, layer, out, clipped));
  values[2][17] = 70000;
  const auto bad = encode(values, layer, out, clipped);
  ASSERT_TRUE(bad);
  EXPECT_EQ(bad->row, 2);
  EXPECT_EQ(bad->value, 70000);
}

TEST(MedialCodec, RoundsHalvesAsLibTorchDoesInAnyMemoryFormat) {
  MedialLayer layer;
  layer.shape = {5, 7, 3};
  const at::Tensor values = at::randn({11, 5, 7, 3}) * 100;
  std::int64_t clipped = 0;
  for (const at::Tensor& given : {values, values.contiguous(at::MemoryFormat::ChannelsLast),
                                  values.transpose(1, 2).contiguous().transpose(1, 2)}) {
    at::Tensor out = at::empty({11, 5, 7, 3}, at::kHalf);
    EXPECT_FALSE(encode(given, layer, out, clipped));
    EXPECT_TRUE(out.equal(values.to(at::kHalf)));
  }
}

TEST(MedialCodec, CountsWhatLiesBeyondTheScale) {
  MedialLayer layer;
  layer.shape = {2, 3};
  layer.channel_axis = 1;
  layer.stored = io::DType::kInt8;
  set_scale(layer, at::tensor({-1.f, 0.f, 2.f}), at::tensor({1.f, 8.f, 2.f}));
  const at::Tensor values = at::tensor({-1.f, 8.f, 2.f, 3.f, 0.f, 2.f}).view({1, 2, 3});
  at::Tensor out = at::empty({1, 2, 3}, at::kChar);
  std::int64_t clipped = 0;
  EXPECT_FALSE(encode(values, layer, out, clipped));
  EXPECT_EQ(clipped, 1);  // 3 in the channel that goes from -1 to 1
  const at::Tensor back = decode(out, layer);
  EXPECT_NEAR(back[0][0][1].item<float>(), 8, 1e-5);
  EXPECT_NEAR(back[0][1][0].item<float>(), 1, 1e-5);
  EXPECT_NEAR(back[0][1][1].item<float>(), 0, 1e-5);
  EXPECT_EQ(back[0][0][2].item<float>(), 2);
}

// A merged file's own configuration says nothing of how its parts were made.
TEST(PrecisionOfCollection, OfAMergedFileIsThatOfItsParts) {
  io::Provenance part, merged;
  part.kind = merged.kind = "medial";
  part.config = "backbone.precision: bfloat16\n";
  merged.config = "backbone.precision: float32\n";
  EXPECT_EQ(precision_of_collection(merged), "float32");
  merged.inputs["part0000"] = part;
  EXPECT_EQ(precision_of_collection(merged), "bfloat16");
}

}  // namespace
}  // namespace cachectl::artifact
