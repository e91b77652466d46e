// Broken data sets: each is refused with the right code and a message that names the file,
// what is wrong and where.
#include <gmock/gmock.h>

#include <filesystem>
#include <functional>

#include "data/dataset.h"
#include "data/loader.h"
#include "files.h"
#include "io/hdf5.h"

namespace cachectl::data {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::TempFolder;

struct Malformed {
  const char* name;
  const char* kind;
  const char* file;  // below the test's folder; the path that is opened
  std::function<void(const TempFolder&)> make;
  ExitCode code;
  std::vector<std::string> says;
  std::function<void(Options&)> adjust = [](Options&) {};
};

std::function<void(const TempFolder&)> holding(const std::string& file, const std::string& bytes) {
  return [=](const TempFolder& folder) { folder.write(file, bytes); };
}

std::string cut(std::string bytes, std::size_t length) {
  bytes.resize(length);
  return bytes;
}

std::string changed(std::string bytes, std::size_t at, char to) {
  bytes.at(at) = to;
  return bytes;
}

std::function<void(const TempFolder&)> hdf5(const std::function<void(io::Group&)>& fill) {
  return [=](const TempFolder& folder) {
    io::File file = io::File::create(folder.path("x.h5"));
    fill(file.root());
    file.close();
  };
}

std::function<void(const TempFolder&)> npy(const std::string& descr, const std::string& shape,
                                           const std::string& data,
                                           const std::string& order = "False") {
  return holding("x.npy", test::npy_bytes(descr, shape, data, order));
}

const std::vector<Malformed>& malformed_sets() {
  const auto nothing = [](const TempFolder&) {};
  const std::string png = test::png_bytes(20, 20);
  static const std::vector<Malformed> sets = {
      {"MissingFile",
       "cifar10",
       "none.bin",
       nothing,
       ExitCode::kCannotOpen,
       {"none.bin", "no such file"}},
      {"EmptyCifar",
       "cifar10",
       "x.bin",
       holding("x.bin", ""),
       ExitCode::kCorrupt,
       {"x.bin", "empty", "3073"}},
      {"CutCifarRecord",
       "cifar10",
       "x.bin",
       holding("x.bin", cut(test::cifar10_bytes(3), 9000)),
       ExitCode::kCorrupt,
       {"x.bin", "record 2 is cut", "2854 bytes of 3073", "--skip-bad"}},
      {"LessThanARecord",
       "cifar10",
       "x.bin",
       holding("x.bin", cut(test::cifar10_bytes(1), 99)),
       ExitCode::kCorrupt,
       {"record 0 is cut", "99 bytes of 3073"}},
      {"LessThanARecordSkipped",
       "cifar10",
       "x.bin",
       holding("x.bin", cut(test::cifar10_bytes(1), 99)),
       ExitCode::kCorrupt,
       {"record 0 is cut"},
       [](Options& options) { options.skip_bad = true; }},
      {"HundredClassesAsTen",
       "cifar10",
       "x.bin",
       holding("x.bin", test::cifar100_bytes(3)),
       ExitCode::kIncompatible,
       {"3 records of 3074", "data.kind", "cifar100"}},
      {"TenClassesAsHundred",
       "cifar100",
       "x.bin",
       holding("x.bin", test::cifar10_bytes(3)),
       ExitCode::kIncompatible,
       {"3 records of 3073", "cifar10"},
       [](Options& options) { options.skip_bad = true; }},
      {"PackedCifar",
       "cifar10",
       "x.tar.gz",
       holding("x.tar.gz", "\x1f\x8b\x08 packed"),
       ExitCode::kCorrupt,
       {"x.tar.gz", "gzip", "unpack"}},
      {"CifarFolderWithoutFiles",
       "cifar10",
       "",
       holding("readme.html", "hello"),
       ExitCode::kCannotOpen,
       {"holds none of test_batch.bin", "inference"}},
      {"CifarFolderWithoutTrainFiles",
       "cifar100",
       "",
       holding("test.bin", test::cifar100_bytes(1)),
       ExitCode::kCannotOpen,
       {"holds none of train.bin"},
       [](Options& options) { options.part = "train"; }},
      {"CifarFileIsAFolder",
       "cifar10",
       "",
       [](const TempFolder& folder) { fs::create_directories(folder.path("test_batch.bin")); },
       ExitCode::kCannotOpen,
       {"test_batch.bin", "not a regular file"}},

      {"MissingFolder",
       "folder",
       "none",
       nothing,
       ExitCode::kCannotOpen,
       {"none", "no such folder"}},
      {"FolderIsAFile",
       "folder",
       "x.png",
       holding("x.png", png),
       ExitCode::kCannotOpen,
       {"x.png", "is no folder"}},
      {"FolderWithoutImages",
       "folder",
       "",
       holding("notes.txt", "x"),
       ExitCode::kNothingProcessed,
       {"holds no sample"}},
      {"EmptyImage",
       "folder",
       "",
       holding("cat/x.png", ""),
       ExitCode::kCorrupt,
       {"cat/x.png", "empty"}},
      {"TextNamedAsImage",
       "folder",
       "",
       holding("x.jpg", "GIF89a..."),
       ExitCode::kCorrupt,
       {"x.jpg", "neither PNG nor JPEG", "47 49 46 38"}},
      {"CutPng",
       "folder",
       "",
       holding("x.png", cut(png, png.size() / 2)),
       ExitCode::kCorrupt,
       {"x.png", "corrupt PNG"}},
      {"PngHeaderOnly",
       "folder",
       "",
       holding("x.png", cut(png, 8)),
       ExitCode::kCorrupt,
       {"x.png", "ends too early"}},
      {"PngOfBadChecksum",
       "folder",
       "",
       holding("x.png", changed(png, 30, '\x55')),
       ExitCode::kCorrupt,
       {"x.png", "corrupt PNG", "CRC"}},
      {"PngOfNoWidth",
       "folder",
       "",
       holding("x.png", changed(png, 19, 0)),
       ExitCode::kCorrupt,
       {"x.png", "corrupt PNG"}},
      {"CutJpeg",
       "folder",
       "",
       holding("x.jpg", "\xff\xd8\xff\xe0"),
       ExitCode::kCorrupt,
       {"x.jpg", "corrupt JPEG"}},
      {"GarbledJpeg",
       "folder",
       "",
       holding("x.jpg", "\xff\xd8\xff" + std::string(500, 'z')),
       ExitCode::kCorrupt,
       {"x.jpg", "corrupt JPEG"}},
      {"DanglingLink",
       "folder",
       "",
       [](const TempFolder& folder) { fs::create_symlink("nowhere.png", folder.path("x.png")); },
       ExitCode::kCannotOpen,
       {"x.png", "cannot open"}},
      {"LinkInACircle",
       "folder",
       "",
       [](const TempFolder& folder) {
         fs::create_directories(folder.path("a"));
         fs::create_directory_symlink("..", folder.path("a/up"));
       },
       ExitCode::kUsage,
       {"more than 16 deep", "link"}},
      {"ImagesOfDifferentSizes",
       "folder",
       "",
       [](const TempFolder& folder) {
         folder.write("a.png", test::png_bytes(4, 4));
         folder.write("b.png", test::png_bytes(5, 4));
       },
       ExitCode::kUsage,
       {"b.png is 3x4x5", "3x4x4", "center_crop"}},

      {"ShortNpy",
       "npy",
       "x.npy",
       holding("x.npy", "\x93NUMPY"),
       ExitCode::kCorrupt,
       {"x.npy", "too short"}},
      {"NotNumpy",
       "npy",
       "x.npy",
       holding("x.npy", "label,pixel,pixel\n1,2,3\n"),
       ExitCode::kCorrupt,
       {"x.npy", "is no NumPy file"}},
      {"PackedNumpy",
       "npy",
       "x.npy",
       holding("x.npy", "PK\x03\x04 and so on"),
       ExitCode::kCorrupt,
       {".npz", "unpack"}},
      {"NpyOfTheFuture",
       "npy",
       "x.npy",
       holding("x.npy", changed(test::npy_bytes("'|u1'", "(1, 1)", "a"), 6, 9)),
       ExitCode::kIncompatible,
       {"NumPy format 9.0"}},
      {"NpyHeaderBeyondTheFile",
       "npy",
       "x.npy",
       holding("x.npy", changed(test::npy_bytes("'|u1'", "(1, 1)", "a"), 9, 0x70)),
       ExitCode::kCorrupt,
       {"header claims"}},
      {"NpyWithoutDescr",
       "npy",
       "x.npy",
       [](const TempFolder& folder) {
         std::string bytes = test::npy_bytes("'|u1'", "(1, 1)", "a");
         bytes.replace(bytes.find("descr"), 5, "discr");
         folder.write("x.npy", bytes);
       },
       ExitCode::kCorrupt,
       {"has no 'descr'"}},
      {"NpyHeaderBreaksOff",
       "npy",
       "x.npy",
       npy("'|u1'", "(1, 1", "a"),
       ExitCode::kCorrupt,
       {"x.npy", "shape"}},
      {"BigEndianNpy",
       "npy",
       "x.npy",
       npy("'>f4'", "(1, 1)", "abcd"),
       ExitCode::kIncompatible,
       {"'>f4'", "astype"}},
      {"PickledNpy",
       "npy",
       "x.npy",
       npy("'|O'", "(1, 1)", "abcd"),
       ExitCode::kIncompatible,
       {"'|O'"}},
      {"StructuredNpy",
       "npy",
       "x.npy",
       npy("[('a', '<f4')]", "(1, 1)", "abcd"),
       ExitCode::kIncompatible,
       {"dtype"}},
      {"FortranNpy",
       "npy",
       "x.npy",
       npy("'|u1'", "(2, 2)", "abcd", "True"),
       ExitCode::kIncompatible,
       {"Fortran", "ascontiguousarray"}},
      {"OrderUnknownNpy",
       "npy",
       "x.npy",
       npy("'|u1'", "(2, 2)", "abcd", "Maybe"),
       ExitCode::kCorrupt,
       {"fortran_order", "Maybe"}},
      {"NegativeShapeNpy",
       "npy",
       "x.npy",
       npy("'|u1'", "(2, -2)", "abcd"),
       ExitCode::kCorrupt,
       {"'-2' is no size"}},
      {"OverflowingShapeNpy",
       "npy",
       "x.npy",
       npy("'<f8'", "(4, 4294967296, 4294967296, 4294967296)", "abcd"),
       ExitCode::kCorrupt,
       {"is cut"}},
      {"ShapeBeyondNumbersNpy",
       "npy",
       "x.npy",
       npy("'|u1'", "(2, 99999999999999999999)", "abcd"),
       ExitCode::kCorrupt,
       {"is no size"}},
      {"CutNpy",
       "npy",
       "x.npy",
       npy("'<f4'", "(3, 2)", std::string(20, 'a')),
       ExitCode::kCorrupt,
       {"sample 2 of 3 is cut", "20 bytes"}},
      {"OverlongNpy",
       "npy",
       "x.npy",
       npy("'|u1'", "(2, 2)", "abcdef"),
       ExitCode::kCorrupt,
       {"6 bytes of data", "2x2 takes only 4"}},
      {"FlatNpy",
       "npy",
       "x.npy",
       npy("'|u1'", "(4,)", "abcd"),
       ExitCode::kIncompatible,
       {"samples first"}},
      {"ScalarNpy", "npy", "x.npy", npy("'|u1'", "()", "a"), ExitCode::kIncompatible, {"rank 0"}},
      {"DeepNpy",
       "npy",
       "x.npy",
       npy("'|u1'", "(1, 1, 1, 1, 1, 1, 1, 1, 1)", "a"),
       ExitCode::kIncompatible,
       {"rank 9"}},
      {"EmptyNpy",
       "npy",
       "x.npy",
       npy("'|u1'", "(0, 4)", ""),
       ExitCode::kNothingProcessed,
       {"holds no sample"}},
      {"HollowNpy",
       "npy",
       "x.npy",
       npy("'|u1'", "(4, 0)", ""),
       ExitCode::kNothingProcessed,
       {"hold nothing"}},
      {"NpyWithNan",
       "npy",
       "x.npy",
       npy("'<f4'", "(2, 1)", bytes_of<float>({1, std::numeric_limits<float>::quiet_NaN()})),
       ExitCode::kCorrupt,
       {"x.npy", "sample 1", "NaN"}},
      {"NpyIsAFolder", "npy", "", nothing, ExitCode::kCannotOpen, {"not a regular file"}},

      {"MissingHdf5", "hdf5", "x.h5", nothing, ExitCode::kCannotOpen, {"x.h5"}},
      {"NotHdf5", "hdf5", "x.h5", holding("x.h5", "hello"), ExitCode::kCorrupt, {"x.h5"}},
      {"CutHdf5",
       "hdf5",
       "x.h5",
       [](const TempFolder& folder) {
         io::File file = io::File::create(folder.path("x.h5"));
         file.root().write("images", std::vector<float>(1000, 1.0F), {10, 100});
         file.close();
         fs::resize_file(folder.path("x.h5"), fs::file_size(folder.path("x.h5")) / 2);
       },
       ExitCode::kCorrupt,
       {"x.h5"}},
      {"Hdf5WithoutTheObject",
       "hdf5",
       "x.h5",
       hdf5([](io::Group& root) {
         root.write("others", std::vector<float>(4), {2, 2});
       }),
       ExitCode::kCorrupt,
       {"x.h5", "images"}},
      {"Hdf5ObjectIsAGroup",
       "hdf5",
       "x.h5",
       hdf5([](io::Group& root) { root.create_group("images"); }),
       ExitCode::kCorrupt,
       {"x.h5", "images"}},
      {"FlatHdf5",
       "hdf5",
       "x.h5",
       hdf5([](io::Group& root) { root.write("images", std::vector<float>(4)); }),
       ExitCode::kIncompatible,
       {"images", "samples first"}},
      {"TextHdf5",
       "hdf5",
       "x.h5",
       hdf5(
           [](io::Group& root) {
             root.write_texts("images", {"a", "b"});
           }),
       ExitCode::kIncompatible,
       {"images", "text"}},
      {"UnsignedHdf5",
       "hdf5",
       "x.h5",
       hdf5(
           [](io::Group& root) {
             root.write("images", std::vector<std::uint64_t>(4), {2, 2});
           }),
       ExitCode::kIncompatible,
       {"images", "uint64"}},
      {"EmptyHdf5",
       "hdf5",
       "x.h5",
       hdf5(
           [](io::Group& root) {
             root.write("images", std::vector<float>(), {0, 2});
           }),
       ExitCode::kNothingProcessed,
       {"holds no sample"}},
      {"Hdf5WithInfinity",
       "hdf5",
       "x.h5",
       hdf5(
           [](io::Group& root) {
             root.write("images",
                        std::vector<float>{1, 2, std::numeric_limits<float>::infinity(), 4},
                        {2, 2});
           }),
       ExitCode::kCorrupt,
       {"images", "sample 1", "infinity"}},
  };
  return sets;
}

class MalformedSet : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedSet, IsRefusedWithItsReason) {
  const Malformed& set = GetParam();
  const TempFolder folder;
  set.make(folder);
  Options options = test::options_of(set.kind, folder.path(set.file));
  set.adjust(options);
  try {
    const auto dataset = open_dataset(options, {});
    const Transform transform;
    LoaderOptions loading;
    loading.threads = 2;
    BatchLoader loader(*dataset, transform, all_indices(*dataset), loading);
    while (loader.next()) {
    }
    FAIL() << "read without an error";
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(set.code)) << error.what();
    for (const auto& part : set.says) EXPECT_THAT(error.what(), testing::HasSubstr(part));
    EXPECT_THAT(error.what(), testing::HasSubstr(folder.path()));
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, MalformedSet, testing::ValuesIn(malformed_sets()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(DataOptions, ThatContradictThemselvesAreRefused) {
  EXPECT_THAT(test::failure([] { open_dataset(test::options_of("synthetic", "a.bin"), {}); }),
              testing::StartsWith("2: data.path is 'a.bin', but data.kind is synthetic"));
  EXPECT_THAT(test::failure([] { open_dataset(test::options_of("cifar10", ""), {}); }),
              testing::StartsWith("2: data.path: needed"));
  EXPECT_THAT(test::failure([] { open_dataset(test::options_of("mnist", "a"), {}); }),
              testing::StartsWith("2: data.kind: 'mnist'"));
}

TEST(DataOptions, HaveKeysAndFlagsOfTheirSection) {
  OptionTable table;
  Options data, other;
  SplitOptions split;
  AugmentOptions augment;
  describe(table, data);
  describe(table, other, "train_data");
  describe(table, split);
  describe(table, augment);
  ASSERT_NE(table.find_key("data.kind"), nullptr);
  EXPECT_EQ(table.find_key("data.max_samples")->flag, "--data-max-samples");
  EXPECT_EQ(table.find_key("train_data.kind")->flag, "--train-data-kind");
  EXPECT_EQ(table.find_key("data.skip_bad")->flag, "--skip-bad");
  EXPECT_EQ(table.find_key("train_data.skip_bad")->flag, "--train-data-skip-bad");
  EXPECT_EQ(table.find_key("split.certify")->flag, "--split-certify");
  table.find_key("data.transform")->assign({"resize 256", "center_crop 224"}, "test");
  EXPECT_EQ(data.transform, (std::vector<std::string>{"resize 256", "center_crop 224"}));
  EXPECT_THAT(test::failure([&] { table.find_key("data.kind")->assign({"cifar"}, "a.yaml:3"); }),
              testing::HasSubstr("did you mean 'cifar10'"));
  EXPECT_THAT(test::failure([&] { table.find_key("data.std")->assign({"0"}, "a.yaml:3"); }),
              testing::StartsWith("2: a.yaml:3: data.std"));
}

}  // namespace
}  // namespace cachectl::data
