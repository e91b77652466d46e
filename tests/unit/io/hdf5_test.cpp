#include "io/hdf5.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "support/expect_error.h"
#include "support/scratch.h"

namespace cachectl::io {
namespace {

TEST(Hdf5, GivesBackWhatWasWritten) {
  const Scratch scratch;
  const auto path = scratch.path("a.h5");
  {
    File file = File::create(path);
    file.root().write<float>("deep/values", {1, 2, 3, 4, 5, 6}, {3, 2});
    file.root().write_texts("names", {"layer1", "", "layer2.10"});
    file.root().set("tolerance", 0.01);
    file.root().set("classes", std::int64_t{10});
    file.root().set("empty", "");
    file.root().set("batches", std::vector<std::int64_t>{1, 8});
    file.close();
  }
  const File file = File::open(path);
  EXPECT_EQ(file.root().read<float>("deep/values", {3, 2}), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(file.root().read_texts("names"), (std::vector<std::string>{"layer1", "", "layer2.10"}));
  EXPECT_EQ(file.root().real("tolerance"), 0.01);
  EXPECT_EQ(file.root().integer("classes"), 10);
  EXPECT_EQ(file.root().text("empty"), "");
  EXPECT_EQ(file.root().integers("batches"), (std::vector<std::int64_t>{1, 8}));
  EXPECT_TRUE(file.root().has("deep/values"));
  EXPECT_FALSE(file.root().has("deep/other"));
  EXPECT_EQ(file.root().children(), (std::vector<std::string>{"deep", "names"}));
}

TEST(Hdf5, ReadsAndWritesRowsInPlace) {
  const Scratch scratch;
  File file = File::create(scratch.path("a.h5"));
  Dataset data = file.root().create_dataset("x", DType::kInt64, {4, 3}, {2, 1, true});
  const std::vector<std::int64_t> row = {7, 8, 9};
  data.write_rows(2, 1, row.data());
  data.resize_rows(6);
  data.write_rows(5, 1, row.data());
  std::vector<std::int64_t> back(6, -1);
  data.read_rows(1, 2, back.data());
  EXPECT_EQ(back, (std::vector<std::int64_t>{0, 0, 0, 7, 8, 9}));
  EXPECT_EQ(data.rows(), 6);
}

TEST(Hdf5, KeepsHalfPrecisionTypesApart) {
  const Scratch scratch;
  File file = File::create(scratch.path("a.h5"));
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    const Dataset data = file.root().create_dataset(name_of(dtype), dtype, {2});
    EXPECT_EQ(data.dtype(), dtype);
  }
}

TEST(Hdf5, NamesFileObjectFoundAndExpected) {
  const Scratch scratch;
  const auto path = scratch.path("a.h5");
  File file = File::create(path);
  file.root().create_group("layers").write<float>("x", {1, 2});
  expect_error([&] { file.root().read<double>("layers/x"); }, ExitCode::kCorrupt,
               path + ": /layers/x: holds float32, expected float64");
  expect_error([&] { file.root().read<float>("layers/x", {3}); }, ExitCode::kCorrupt,
               "/layers/x: its shape is 2, expected 3");
  expect_error([&] { file.root().read<float>("layers/y"); }, ExitCode::kCorrupt,
               "/layers/y: is missing");
  expect_error([&] { file.root().integer("seed"); }, ExitCode::kCorrupt,
               "attribute 'seed' is missing");
  expect_error(
      [&] {
        require_finite(std::vector<float>{1, NAN}, "a.h5: /x");
      },
      ExitCode::kCorrupt, "value 1 is nan");
}

TEST(Hdf5, RefusesWhatIsNoHdf5File) {
  const Scratch scratch;
  const auto path = scratch.path("a.txt");
  std::ofstream(path) << "hello";
  expect_error([&] { File::open(path); }, ExitCode::kCorrupt, "is no HDF5 file");
  expect_error([&] { File::open(scratch.path("b")); }, ExitCode::kCannotOpen, "no such file");
  expect_error([&] { File::open(scratch.folder()); }, ExitCode::kCannotOpen, "is a folder");
  expect_error([&] { File::create(scratch.path("no/such/a.h5")); }, ExitCode::kCannotOpen,
               "cannot create");
}

}  // namespace
}  // namespace cachectl::io
