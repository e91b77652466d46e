#include "data/dataset.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "base/error.h"
#include "files.h"
#include "io/hdf5.h"

namespace cachectl::data {
namespace {

using test::bytes_of;
using test::options_of;
using test::TempFolder;

std::unique_ptr<const Dataset> open(const Options& options) {
  return open_dataset(options, {});
}

TEST(Cifar, ReadsPixelsOfEveryRecord) {
  const TempFolder folder;
  const auto set = open(options_of("cifar10", folder.write("a.bin", test::cifar10_bytes(13))));
  ASSERT_EQ(set->size(), 13);
  const at::Tensor image = set->read(12);
  ASSERT_EQ(image.sizes().vec(), (std::vector<std::int64_t>{3, 32, 32}));
  for (const int pixel : {0, 31, 32, 1024, 3071}) {
    EXPECT_EQ(image.flatten()[pixel].item<int>(), (pixel + 7 * 12) % 251);
  }
  EXPECT_EQ(set->class_names().at(3), "cat");
}

TEST(Cifar, TakesTheFilesOfThePartFromAFolder) {
  const TempFolder folder;
  folder.write("cifar-10-batches-bin/data_batch_1.bin", test::cifar10_bytes(3));
  folder.write("cifar-10-batches-bin/data_batch_3.bin", test::cifar_record(50, {1}));
  folder.write("cifar-10-batches-bin/test_batch.bin", test::cifar10_bytes(5));
  folder.write("cifar-10-batches-bin/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  Options options = options_of("cifar10", folder.path());
  EXPECT_EQ(open(options)->size(), 5);
  options.part = "train";
  const auto train = open(options);
  EXPECT_EQ(train->size(), 4);
  EXPECT_EQ(train->read(3).flatten()[0].item<int>(), 350 % 251);
  EXPECT_EQ(train->class_names().at(9), "j");
}

TEST(Cifar, ReadsTheHundredClassLayout) {
  const TempFolder folder;
  folder.write("cifar-100-binary/test.bin", test::cifar100_bytes(4));
  const auto set = open(options_of("cifar100", folder.path()));
  ASSERT_EQ(set->size(), 4);
  EXPECT_EQ(set->read(2).flatten()[5].item<int>(), 19);
}

TEST(Cifar, SkipsARecordThatIsCut) {
  const TempFolder folder;
  Options options =
      options_of("cifar10", folder.write("a.bin", test::cifar10_bytes(3).substr(0, 3 * 3073 - 1)));
  options.skip_bad = true;
  EXPECT_EQ(open(options)->size(), 2);
}

TEST(Cifar, NeverLooksAtTheLabels) {
  const TempFolder folder;
  std::string bytes = test::cifar10_bytes(6);
  const auto before = open(options_of("cifar10", folder.write("a.bin", bytes)));
  for (std::size_t i = 0; i < 6; ++i) bytes[i * 3073] = static_cast<char>(0xff);
  const auto after = open(options_of("cifar10", folder.write("b.bin", bytes)));
  EXPECT_EQ(before->ids(), after->ids());
  EXPECT_EQ(before->content_hash(), after->content_hash());
  for (std::int64_t i = 0; i < 6; ++i) EXPECT_TRUE(before->read(i).equal(after->read(i)));
}

TEST(Ids, FollowTheContentThroughOrderNameAndExtension) {
  const TempFolder folder;
  const auto first = open(options_of("cifar10", folder.write("a.bin", test::cifar10_bytes(3))));
  const auto second = open(options_of(
      "cifar10", folder.write("b.bin", test::cifar_record(2, {5}) + test::cifar_record(9, {5}) +
                                           test::cifar_record(0, {5}))));
  EXPECT_EQ(first->id(0), second->id(2));
  EXPECT_EQ(first->id(2), second->id(0));
  EXPECT_NE(first->content_hash(), second->content_hash());
  EXPECT_EQ(std::set<std::uint64_t>(first->ids().begin(), first->ids().end()).size(), 3U);
}

TEST(Ids, AreUniqueAmongEqualSamples) {
  const TempFolder folder;
  const std::string record = test::cifar_record(4, {1});
  const auto set = open(options_of("cifar10", folder.write("a.bin", record + record + record)));
  const auto alone = open(options_of("cifar10", folder.write("b.bin", record)));
  EXPECT_EQ(std::set<std::uint64_t>(set->ids().begin(), set->ids().end()).size(), 3U);
  EXPECT_EQ(set->id(0), alone->id(0));
}

TEST(Datasets, TakeTheFirstSamplesOnly) {
  const TempFolder folder;
  Options options = options_of("cifar10", folder.write("a.bin", test::cifar10_bytes(9)));
  const auto whole = open(options);
  options.max_samples = 4;
  const auto some = open(options);
  ASSERT_EQ(some->size(), 4);
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(some->id(i), whole->id(i));
  options.max_samples = 100;
  EXPECT_EQ(open(options)->size(), 9);
}

TEST(Datasets, FindRelativePathsBelowTheDataRoot) {
  const TempFolder folder;
  folder.write("sets/a.bin", test::cifar10_bytes(2));
  CommonOptions common;
  common.data_root = folder.path();
  EXPECT_EQ(open_dataset(options_of("cifar10", "sets/a.bin"), common)->size(), 2);
}

TEST(ImageFolder, ListsImagesSortedAndNested) {
  const TempFolder folder;
  folder.write("dog/b.png", test::png_bytes(4, 3, 1));
  folder.write("cat/deep/er/z.PNG", test::png_bytes(5, 3, 2));
  folder.write("cat/a.jpeg", test::png_bytes(6, 3, 3));
  folder.write("cat/notes.txt", "not an image");
  folder.write("cat/.hidden.png", "hidden");
  folder.write(".cache/c.png", "hidden");
  const auto set = open(options_of("folder", folder.path()));
  ASSERT_EQ(set->size(), 3);
  EXPECT_EQ(set->class_names(), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(set->read(0).size(2), 6);
  EXPECT_EQ(set->read(1).size(2), 5);
  EXPECT_EQ(set->read(2).size(2), 4);
}

TEST(ImageFolder, IdsDoNotDependOnWhereAnImageLies) {
  const TempFolder folder;
  folder.write("x/cat/a.png", test::png_bytes(4, 3, 1));
  folder.write("y/b.png", test::png_bytes(4, 3, 1));
  folder.write("y/c.png", test::png_bytes(4, 3, 2));
  const auto labelled = open(options_of("folder", folder.path("x")));
  const auto flat = open(options_of("folder", folder.path("y")));
  EXPECT_EQ(labelled->id(0), flat->id(0));
  EXPECT_NE(flat->id(0), flat->id(1));
  EXPECT_TRUE(flat->class_names().empty());
}

TEST(ImageFolder, OpensBesideALinkThatLeadsNowhereWhereBadOnesAreSkipped) {
  const TempFolder folder;
  folder.write("a.png", test::png_bytes(4, 3, 1));
  std::filesystem::create_symlink(folder.path("gone.png"), folder.path("b.png"));
  Options options = options_of("folder", folder.path());
  EXPECT_THROW((void)open(options), Error);
  options.skip_bad = true;
  const auto set = open(options);
  ASSERT_EQ(set->size(), 2);
  EXPECT_EQ(set->read(0).size(2), 4);
  EXPECT_THROW((void)set->read(1), Error);
}

template <class T>
void expect_rows(const char* descr, at::ScalarType dtype, const std::vector<T>& values) {
  const TempFolder folder;
  const auto set = open(
      options_of("npy", folder.write("a.npy", test::npy_bytes(descr, "(2, 3)", bytes_of(values)))));
  ASSERT_EQ(set->size(), 2);
  const at::Tensor row = set->read(1);
  EXPECT_EQ(row.scalar_type(), dtype);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(row[i].template item<double>(),
              static_cast<double>(values[static_cast<std::size_t>(3 + i)]));
  }
}

TEST(Npy, ReadsEveryDtypeAsItIs) {
  expect_rows<std::uint8_t>("'|u1'", at::kByte, {1, 2, 3, 4, 5, 255});
  expect_rows<std::int32_t>("'<i4'", at::kInt, {1, 2, 3, -4, 5, 6});
  expect_rows<std::int64_t>("'<i8'", at::kLong, {1, 2, 3, -4, 5, 1LL << 40});
  expect_rows<float>("'<f4'", at::kFloat, {1, 2, 3, -4.5, 5, 6});
  expect_rows<double>("'<f8'", at::kDouble, {1, 2, 3, -4.5, 5, 1e100 / 1e90});
  const TempFolder folder;
  const std::vector<std::uint16_t> halves = {0x3c00, 0xc000, 0x3555};  // 1, -2, about 1/3
  const auto set = open(options_of(
      "npy", folder.write("h.npy", test::npy_bytes("'<f2'", "(1, 3)", bytes_of(halves)))));
  EXPECT_TRUE(at::allclose(set->read(0).to(at::kFloat), at::tensor({1.0F, -2.0F, 0.333252F})));
}

TEST(Npy, ReadsHeadersOfVersionTwo) {
  const TempFolder folder;
  std::string bytes = test::npy_bytes("'|u1'", "(2, 2)", "abcd");
  const std::string header = bytes.substr(10, bytes.size() - 14);
  std::string second("\x93NUMPY\x02\x00", 8);
  second += static_cast<char>(header.size());
  second += std::string(3, '\0');
  const auto set = open(options_of("npy", folder.write("a.npy", second + header + "abcd")));
  EXPECT_EQ(set->read(1)[1].item<int>(), 'd');
}

// Written by NumPy 1.24: numpy.save of numpy.arange(4, dtype='<f4').reshape(2, 2).
TEST(Npy, ReadsWhatNumpyWrites) {
  const TempFolder folder;
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }";
  std::string bytes = test::from_hex("934e554d505901007600") + header;
  bytes += std::string(128 - bytes.size() - 1, ' ') + "\n";
  bytes += test::from_hex("000000000000803f0000004000004040");
  const auto set = open(options_of("npy", folder.write("a.npy", bytes)));
  EXPECT_TRUE(set->read(1).equal(at::tensor({2.0F, 3.0F})));
}

TEST(Npy, SkipsARowThatIsCut) {
  const TempFolder folder;
  Options options =
      options_of("npy", folder.write("a.npy", test::npy_bytes("'|u1'", "(3, 2)", "abcde")));
  options.skip_bad = true;
  EXPECT_EQ(open(options)->size(), 2);
}

TEST(Hdf5, ReadsRowsInTheirOwnDtype) {
  const TempFolder folder;
  const std::string path = folder.path("a.h5");
  {
    io::File file = io::File::create(path);
    file.root().write("images", std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8}, {2, 1, 2, 2});
    file.root().create_group("deep").write("x", std::vector<float>{1.5F, -2, 3, 4, 5, 6}, {3, 2});
    file.close();
  }
  const auto images = open(options_of("hdf5", path));
  ASSERT_EQ(images->size(), 2);
  EXPECT_EQ(images->read(1).sizes().vec(), (std::vector<std::int64_t>{1, 2, 2}));
  EXPECT_EQ(images->read(1).flatten()[3].item<int>(), 8);
  Options options = options_of("hdf5", path);
  options.object = "/deep/x";
  options.max_samples = 2;
  const auto floats = open(options);
  ASSERT_EQ(floats->size(), 2);
  EXPECT_TRUE(floats->read(0).equal(at::tensor({1.5F, -2.0F})));
}

TEST(Tensors, OfEqualContentHaveEqualIdsInBothFormats) {
  const TempFolder folder;
  const std::vector<float> values = {1, 2, 3, 4};
  const auto npy = open(options_of(
      "npy", folder.write("a.npy", test::npy_bytes("'<f4'", "(2, 2)", bytes_of(values)))));
  io::File file = io::File::create(folder.path("a.h5"));
  file.root().write("images", values, {2, 2});
  file.close();
  const auto hdf5 = open(options_of("hdf5", folder.path("a.h5")));
  EXPECT_EQ(npy->ids(), hdf5->ids());
  EXPECT_EQ(npy->content_hash(), hdf5->content_hash());
}

}  // namespace
}  // namespace cachectl::data
