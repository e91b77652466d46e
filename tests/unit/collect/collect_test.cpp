#include "collect/collect.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>
#include <unordered_map>

#include "artifact/medial.h"
#include "artifact/profile.h"
#include "collect/planning.h"
#include "data/loader.h"
#include "data/transform.h"
#include "small_collection.h"
#include "support/expect_error.h"
#include "support/interrupt.h"
#include "support/strips.h"

namespace cachectl::collect {
namespace {

std::unordered_map<std::uint64_t, std::int64_t> positions(const data::Dataset& dataset) {
  std::unordered_map<std::uint64_t, std::int64_t> map;
  for (std::int64_t i = 0; i < dataset.size(); ++i) map[dataset.id(i)] = i;
  return map;
}

TEST(UsableSamples, AreThoseThatPassTheTransform) {
  const data::test::Strips strips;
  Options options;
  options.data.transform = {"resize 8"};
  const data::Transform transform(options.data);
  EXPECT_EQ(usable_samples(strips, transform, options, nullptr).size(), 3u);  // not tried
  options.data.skip_bad = true;
  EXPECT_EQ(usable_samples(strips, transform, options, nullptr), (std::vector<std::int64_t>{0, 2}));
}

// The segments are computed apart from collect, on one sample at a time.
TEST(Collect, RecordsWhatTheBackboneGivesForEachSample) {
  SmallCollection small;
  small.options.storage = "float32";
  small.record_as("m.h5");
  const artifact::MedialReader medial(small.path("m.h5"));
  ASSERT_EQ(medial.rows().size(), 200);
  const auto dataset = data::open_dataset(small.options.data, small.options.common);
  const data::Transform transform(small.options.data);
  const auto where = positions(*dataset);
  const auto input = [&](std::int64_t row) {
    return transform(dataset->read(where.at(medial.rows().ids[std::size_t(row)]))).unsqueeze(0);
  };
  const auto backbone = model::Backbone::load(small.options.backbone, {input(0)});
  std::vector<std::string> names;
  for (const auto& layer : medial.layers()) names.push_back(layer.name);
  ASSERT_GE(names.size(), 3u);
  for (const std::int64_t row : {0, 31, 32, 150, 199}) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      // One cut alone: its first segment ends at this layer.
      const at::Tensor expected =
          backbone->cut({names[i]}).run(0, model::Tensors{input(row)}).front();
      const at::Tensor found = medial.activations(names[i], {row});
      EXPECT_TRUE(found.allclose(expected, 1e-4, 1e-5)) << names[i] << " row " << row;
    }
    const at::Tensor pd = at::softmax(backbone->run({input(row)}), 1);
    EXPECT_TRUE(medial.pd({row}).allclose(pd, 1e-4, 1e-6)) << row;
  }
}

TEST(Collect, SplitsSamplesOnceAndByTheirShares) {
  SmallCollection small;
  small.record_as("m.h5");
  const artifact::MedialReader medial(small.path("m.h5"));
  const std::vector<std::size_t> sizes = {100, 20, 20, 60};
  std::set<std::uint64_t> all;
  for (const data::Part part : data::kParts) {
    const auto rows = medial.rows_of(part);
    EXPECT_EQ(rows.size(), sizes[static_cast<std::size_t>(part)]);
    // A part lies in one run, so that it is read in one.
    EXPECT_EQ(rows.back() - rows.front() + 1, std::int64_t(rows.size()));
    for (const auto row : rows) all.insert(medial.rows().ids[std::size_t(row)]);
  }
  EXPECT_EQ(all.size(), 200u);
}

TEST(Collect, RecordsAugmentedViewsOfTheTrainPartWithTheirOwnAnswers) {
  SmallCollection small;
  small.options.views = 2;
  small.options.storage = "float32";
  small.options.augment.mixup = 1;
  small.options.augment.mixup_share = 0.5;
  small.options.augment.cutmix = 0.25;
  small.record_as("m.h5");
  const artifact::MedialReader medial(small.path("m.h5"));
  const auto& rows = medial.rows();
  ASSERT_EQ(rows.size(), 400);
  const auto train = medial.rows_of(data::Part::kTrain);
  std::set<std::uint64_t> train_ids;
  for (const auto row : train) train_ids.insert(rows.ids[std::size_t(row)]);
  std::int64_t mixed = 0;
  for (std::size_t row = 200; row < 400; ++row) {
    EXPECT_EQ(train_ids.count(rows.ids[row]), 1u);
    EXPECT_EQ(rows.views[row], row < 300 ? 1 : 2);
    if (rows.partners[row] == 0) continue;
    ++mixed;
    EXPECT_EQ(train_ids.count(rows.partners[row]), 1u);  // never a sample of another part
    EXPECT_LT(rows.weights[row], 1);
  }
  // A quarter with a patch, half of the rest mixed: 125 of 200, within five deviations.
  EXPECT_GT(mixed, 90);
  EXPECT_LT(mixed, 160);

  // The views as the loader draws them, answered by the backbone.
  const auto dataset = data::open_dataset(small.options.data, small.options.common);
  const data::Transform transform(small.options.data);
  const auto where = positions(*dataset);
  std::vector<std::int64_t> indices;
  for (const auto row : train) indices.push_back(where.at(rows.ids[std::size_t(row)]));
  data::LoaderOptions loading;
  loading.batch_size = 100;
  loading.augment = small.options.augment;
  loading.seed = 1;
  loading.view = 2;
  loading.pool = indices;
  const auto batch = data::BatchLoader(*dataset, transform, indices, loading).next();
  ASSERT_TRUE(batch);
  const auto backbone = model::Backbone::load(small.options.backbone, {batch->inputs});
  std::vector<std::int64_t> second;
  for (std::int64_t row = 300; row < 400; ++row) second.push_back(row);
  EXPECT_TRUE(
      medial.pd(second).allclose(at::softmax(backbone->run({batch->inputs}), 1), 1e-4, 1e-6));
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(rows.ids[300 + i], batch->ids[i]);
    const std::int64_t partner = batch->partners[i];
    EXPECT_EQ(rows.partners[300 + i], partner < 0 ? 0 : dataset->id(partner));
  }
}

class EveryStorage : public testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(EveryStorage, IsByteEqualWhenCutShortAndGoneOnWith) {
  SmallCollection small;
  small.options.views = 1;
  small.options.data.samples = 1600;
  small.options.batch_size = 16;
  std::tie(small.options.storage, small.options.deflate) = GetParam();
  small.record_as("whole.h5");
  // Leaves off as a kill would: the writer goes away with some blocks written, each a line of
  // the journal.
  small.options.out = small.path("cut.h5");
  const auto journal = small.path("cut.h5.partial.journal");
  const auto size = [&] {
    std::error_code none;
    const auto bytes = std::filesystem::file_size(journal, none);
    return none ? 0 : bytes;
  };
  std::uintmax_t begun = 0;
  ASSERT_TRUE(interrupted([&] { record(small.options); },
                          [&] {
                            if (begun == 0) begun = size();
                            return begun > 0 && size() > begun;
                          }));
  small.options.common.resume = true;
  const Result result = record(small.options);
  EXPECT_GT(result.resumed_rows, 0);
  EXPECT_EQ(result.rows, 2400);
  EXPECT_EQ(bytes_of(small.path("cut.h5")), bytes_of(small.path("whole.h5")));
}

TEST_P(EveryStorage, StaysNearTheActivations) {
  SmallCollection small;
  small.options.storage = "float32";
  small.record_as("exact.h5");
  std::tie(small.options.storage, small.options.deflate) = GetParam();
  small.record_as("stored.h5");
  const artifact::MedialReader exact(small.path("exact.h5")), stored(small.path("stored.h5"));
  const auto rows = exact.rows_of(data::Part::kTest);
  EXPECT_TRUE(exact.pd(rows).equal(stored.pd(rows)));
  const double bound = small.options.storage == "int8" ? 0.02 : 0.01;
  for (const auto& layer : exact.layers()) {
    const at::Tensor a = exact.activations(layer.name, rows);
    const at::Tensor b = stored.activations(layer.name, rows);
    EXPECT_LT((a - b).norm().item<double>(), bound * a.norm().item<double>()) << layer.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Collect, EveryStorage,
                         testing::Values(std::tuple("float32", 0), std::tuple("float16", 0),
                                         std::tuple("float16", 2), std::tuple("bfloat16", 0),
                                         std::tuple("int8", 0), std::tuple("int8", 6)));

TEST(Collect, TakesOnlyTheLayersAndSamplesItIsAskedFor) {
  SmallCollection small;
  small.record_as("all.h5");
  const artifact::MedialReader all(small.path("all.h5"));
  small.options.layers = {all.layers()[2].name, all.layers()[0].name};
  small.options.max_samples = 50;
  small.record_as("some.h5");
  const artifact::MedialReader some(small.path("some.h5"));
  ASSERT_EQ(some.layers().size(), 2u);
  EXPECT_EQ(some.layers()[0].name, all.layers()[0].name);  // in order of depth all the same
  EXPECT_EQ(some.rows().size(), 50);
  small.options.layers = {"layer9"};
  expect_error([&] { small.record_as("none.h5"); }, ExitCode::kIncompatible,
               "has no candidate 'layer9'");
}

TEST(Collect, LeavesSamplesOutToStayBelowTheSizeItMayTake) {
  SmallCollection small;
  small.options.views = 1;
  const Result whole = small.record_as("whole.h5");
  small.options.max_gib = double(whole.bytes) / 2 / (1 << 30);
  const Result half = small.record_as("half.h5");
  EXPECT_LT(half.bytes, whole.bytes / 2 * 1.1);
  EXPECT_GT(half.bytes, whole.bytes / 2 * 0.8);
  small.options.max_gib = 1e-9;
  expect_error([&] { small.record_as("none.h5"); }, ExitCode::kUsage, "not one sample");
}

TEST(Collect, AppendsOnlyNewSamplesAsANewGeneration) {
  SmallCollection small;
  small.options.storage = "int8";
  small.record_as("old.h5");
  small.options.append = small.path("old.h5");
  expect_error([&] { small.record_as("new.h5"); }, ExitCode::kNothingProcessed,
               "all of its samples are in");
  small.options.data.synthetic_seed = 1;  // other samples
  small.record_as("new.h5");
  const artifact::MedialReader before(small.path("old.h5")), after(small.path("new.h5"));
  EXPECT_EQ(after.rows().generations, std::vector<std::int32_t>(200, 1));
  EXPECT_EQ(after.layers()[0].scale, before.layers()[0].scale);
  EXPECT_NO_THROW(artifact::require_same_purpose(before, after));
}

// As numpy.save writes it, version 1.0.
void write_npy(const std::string& path, const at::Tensor& values) {
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}",
                                   fmt::join(values.sizes(), ", "));
  header.append(118 - header.size() - 1, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file.write("\x93NUMPY\x01\x00\x76\x00", 10);
  file << header;
  file.write(static_cast<const char*>(values.data_ptr()),
             static_cast<std::streamsize>(values.nbytes()));
}

TEST(Collect, NamesLayerAndSampleOfActivationsThatAreNoNumbers) {
  SmallCollection small;
  const at::Tensor values = at::rand({60, 3, 16, 16});
  values[37].fill_(3e38);  // finite, but the first convolution's sums are not
  write_npy(small.path("inputs.npy"), values);
  small.options.data.kind = "npy";
  small.options.data.path = small.path("inputs.npy");
  const auto dataset = data::open_dataset(small.options.data, small.options.common);
  for (const char* storage : {"float32", "float16", "bfloat16"}) {
    small.options.storage = storage;
    small.options.common.force = true;
    expect_error([&] { small.record_as("m.h5"); }, ExitCode::kCorrupt,
                 fmt::format("sample {:016x} of npy", dataset->id(37)));
  }
  EXPECT_FALSE(std::filesystem::exists(small.path("m.h5")));
}

TEST(Collect, SaysWhenHalfPrecisionIsTooSmallForAnActivation) {
  SmallCollection small;
  {
    auto module = torch::jit::load(small.options.backbone.path);
    const c10::NoGradGuard no_grad;
    for (auto parameter : module.named_parameters()) {
      if (parameter.value.dim() == 1) parameter.value.mul_(1e4);
    }
    module.save(small.options.backbone.path);
  }
  expect_error([&] { small.record_as("m.h5"); }, ExitCode::kCorrupt, "is beyond float16");
}

TEST(Collect, RefusesAProfileOfAnotherBackbone) {
  SmallCollection small;
  artifact::Profile profile;
  profile.backbone_hash = std::string(64, '0');
  profile.classes = 10;
  profile.output_kind = "logits";
  profile.segments.resize(1);
  profile.input_shape = {3, 16, 16};
  profile.inputs = {"3x16x16 float32"};
  profile.device = "cpu";
  profile.precision = "float32";
  profile.memory_format = "auto";
  profile.threads = 1;
  artifact::write_profile(small.path("profile.h5"), profile, small.options.common,
                          io::outside_input("backbone", profile.backbone_hash, "another"));
  small.options.profile = small.path("profile.h5");
  expect_error([&] { small.record_as("m.h5"); }, ExitCode::kIncompatible,
               "is the profile of backbone 000000000000");
}

TEST(Collect, RefusesWhatCanNotBe) {
  SmallCollection small;
  const auto refused = [&](auto change, const std::string& says) {
    Options options = small.options;
    change(options);
    expect_error([&] { options.validate(); }, ExitCode::kUsage, says);
  };
  refused([](Options& o) { o.shard = "3/2"; }, "expected i/n");
  refused([](Options& o) { o.shard = "2"; }, "expected i/n");
  refused([](Options& o) { o.merge = {"a.h5"}; }, "two files or more");
  refused([](Options& o) { o.split.test = 0.9; }, "must sum to 1");
  refused([](Options& o) { o.backbone.path = ""; }, "--backbone is required");
  refused(
      [](Options& o) {
        o.views = 2;
        o.augment = {};
      },
      "switch on one of");
}

}  // namespace
}  // namespace cachectl::collect
