#include "labels/labels.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "data/synthetic.h"
#include "files.h"
#include "io/hdf5.h"

namespace cachectl::labels {
namespace {

using data::Options;
using data::test::bytes_of;
using data::test::failure;
using data::test::options_of;
using data::test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Labels open(const Options& options) {
  return open_labels(options, {});
}

TEST(Labels, OfCifarAreTheByteBeforeThePixels) {
  const TempFolder folder;
  const Labels ten =
      open(options_of("cifar10", folder.write("a.bin", data::test::cifar10_bytes(12))));
  EXPECT_THAT(ten.values, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1));
  EXPECT_EQ(ten.classes, 10);
  const std::string hundred =
      data::test::cifar_record(0, {3, 99}) + data::test::cifar_record(1, {4, 0});
  EXPECT_THAT(open(options_of("cifar100", folder.write("b.bin", hundred))).values,
              ElementsAre(99, 0));
}

TEST(Labels, OfCifarOutOfRangeNameFileAndRecord) {
  const TempFolder folder;
  const std::string bytes = data::test::cifar_record(0, {9}) + data::test::cifar_record(1, {10});
  Options options = options_of("cifar10", folder.write("a.bin", bytes));
  const std::string message = failure([&] { open(options); });
  EXPECT_THAT(message, StartsWith("4: "));
  EXPECT_THAT(message, HasSubstr("a.bin: record 1: label 10; expected 0 to 9"));
  options.skip_bad = true;
  const Labels labels = open(options);
  EXPECT_THAT(labels.values, ElementsAre(9, kUnknown));
  EXPECT_EQ(labels.skipped, 1);
  Options hundred =
      options_of("cifar100", folder.write("b.bin", data::test::cifar_record(0, {3, 100})));
  EXPECT_THAT(failure([&] { open(hundred); }), HasSubstr("record 0: label 100; expected 0 to 99"));
}

TEST(Labels, OfFoldersAreTheFoldersInOrder) {
  const TempFolder folder;
  folder.write("dog/b.png", data::test::png_bytes(4, 3, 1));
  folder.write("cat/deep/z.png", data::test::png_bytes(4, 3, 2));
  folder.write("zebra/a.png", data::test::png_bytes(4, 3, 3));
  std::filesystem::create_directories(folder.path("empty"));  // a class without a sample here
  const Options options = options_of("folder", folder.path());
  const Labels labels = open(options);
  EXPECT_THAT(labels.values, ElementsAre(0, 1, 3));
  EXPECT_EQ(labels.classes, 4);
  EXPECT_TRUE(has_labels(options, {}));
}

TEST(Labels, OfFoldersThatHaveNoneAreRefused) {
  const TempFolder folder;
  folder.write("b.png", data::test::png_bytes(4, 3, 1));
  const Options options = options_of("folder", folder.path());
  EXPECT_FALSE(has_labels(options, {}));
  EXPECT_THAT(failure([&] { open(options); }), HasSubstr("flat folder of images has no labels"));
  folder.write("cat/c.png", data::test::png_bytes(4, 3, 2));
  EXPECT_THAT(failure([&] { open(options); }), HasSubstr("b.png: lies in no class folder"));
}

TEST(Labels, OfTensorsComeFromWhereTheOptionsSay) {
  const TempFolder folder;
  Options options =
      options_of("npy", folder.write("x.npy", data::test::npy_bytes("'|u1'", "(3, 1)", "abc")));
  EXPECT_FALSE(has_labels(options, {}));
  EXPECT_THAT(failure([&] { open(options); }), StartsWith("2: data.labels: needed"));
  options.labels = folder.write(
      "y.npy", data::test::npy_bytes("'<i8'", "(3,)", bytes_of<std::int64_t>({2, 0, 1})));
  EXPECT_TRUE(has_labels(options, {}));
  const Labels labels = open(options);
  EXPECT_THAT(labels.values, ElementsAre(2, 0, 1));
  EXPECT_EQ(labels.classes, 3);

  Options hdf5 = options_of("hdf5", folder.path("x.h5"));
  hdf5.labels = "/labels";
  io::File file = io::File::create(hdf5.path);
  file.root().write("images", std::vector<float>(6), {3, 2});
  file.root().write("labels", std::vector<std::uint8_t>{1, 1, 4});
  file.close();
  EXPECT_THAT(open(hdf5).values, ElementsAre(1, 1, 4));
  EXPECT_EQ(open(hdf5).classes, 5);
}

TEST(Labels, OfTensorsThatDoNotFitAreRefused) {
  const TempFolder folder;
  Options options =
      options_of("npy", folder.write("x.npy", data::test::npy_bytes("'|u1'", "(3, 1)", "abc")));
  const auto with = [&](const std::string& descr, const std::string& shape,
                        const std::string& data) {
    options.labels = folder.write("y.npy", data::test::npy_bytes(descr, shape, data));
    return failure([&] { open(options); });
  };
  EXPECT_THAT(with("'|u1'", "(2,)", "ab"), HasSubstr("2 labels for 3 samples"));
  EXPECT_THAT(with("'|u1'", "(4,)", "abcd"), HasSubstr("4 labels for only 3 samples"));
  EXPECT_THAT(with("'|u1'", "(3, 1)", "abc"), HasSubstr("expected one whole number a sample"));
  EXPECT_THAT(with("'<f4'", "(3,)", "abcdabcdabcd"),
              HasSubstr("expected one whole number a sample"));
  EXPECT_THAT(with("'<i4'", "(3,)", bytes_of<std::int32_t>({1, -1, 0})),
              HasSubstr("sample 1: label -1; expected 0 to 1"));
}

TEST(Labels, JoinBySampleId) {
  Options options;
  options.samples = 50;
  const data::Synthetic set(options);
  const Labels labels = open(options);
  const auto map = by_id(set, labels);
  ASSERT_EQ(map.size(), 50U);
  for (std::int64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(map.at(set.id(i)), data::synthetic_class(options, i));
  }
  EXPECT_THAT(labels.at({3, 1}), ElementsAre(labels.values[3], labels.values[1]));
}

}  // namespace
}  // namespace cachectl::labels
