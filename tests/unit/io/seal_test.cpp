#include "io/seal.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "io/artifact.h"
#include "support/bytes.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace cachectl::io {
namespace {

// The stretches that the seal leaves out, as the file's first lines tell.
std::vector<std::string> apart(const std::string& bytes) {
  std::istringstream lines(bytes.substr(0, kSealBytes));
  std::vector<std::string> found;
  std::string word;
  while (lines >> word) {
    std::size_t first = 0, size = 0;
    if (word == "apart" && lines >> first >> size) found.push_back(bytes.substr(first, size));
  }
  return found;
}

class Sealed : public testing::Test {
 protected:
  void write() {
    CommonOptions common;
    common.tool = "cachectl-test";
    ArtifactWriter writer(path_, "profile", common);
    writer.root().write<float>("x", {1, 2});
    writer.root().set("figure", 3.0);
    writer.commit();
  }
  Scratch scratch_;
  std::string path_ = scratch_.path("a.h5");
};

TEST_F(Sealed, EveryByteCounts) {
  write();
  const std::string valid = bytes_of(path_);
  EXPECT_NO_THROW(require_seal(path_));
  for (std::size_t at = 0; at < valid.size(); at += at < 256 ? 1 : 5) {
    std::string broken = valid;
    broken[at] = static_cast<char>(broken[at] ^ 0x10);
    write_bytes(path_, broken);
    EXPECT_THROW(require_seal(path_), Error) << "byte " << at;
  }
}

TEST_F(Sealed, NothingMayBeMissingOrFollow) {
  write();
  const std::string valid = bytes_of(path_);
  for (const std::size_t kept : {std::size_t{0}, std::size_t{1}, std::size_t{20},
                                 std::size_t{kSealBytes}, valid.size() - 1}) {
    write_bytes(path_, valid.substr(0, kept));
    expect_error([&] { require_seal(path_); }, ExitCode::kCorrupt, path_);
  }
  expect_error([&] { require_seal(path_); }, ExitCode::kCorrupt, "it was cut short");
  write_bytes(path_, valid + "x");
  expect_error([&] { require_seal(path_); }, ExitCode::kCorrupt, "damaged, or edited");
}

TEST_F(Sealed, FilesFromBeforeThereWereSealsAreRead) {
  write();
  // HDF5 finds its bytes wherever a block ahead of them ends.
  write_bytes(path_, bytes_of(path_).substr(kSealBytes));
  EXPECT_EQ(ArtifactReader(path_, "profile").root().read<float>("x"), (std::vector<float>{1, 2}));
}

TEST_F(Sealed, ValuesWithADigestAreLeftOut) {
  constexpr std::int64_t kRows = 5000, kPerChunk = 1000;
  std::vector<std::int64_t> values(kRows);
  for (std::int64_t i = 0; i < kRows; ++i) values[std::size_t(i)] = 7 * i;
  const std::string raw(reinterpret_cast<const char*>(values.data()), sizeof(values[0]) * kRows);
  {
    File file = File::create(path_);
    Layout placed, chunked;
    placed.placed_early = true;
    chunked.rows_per_chunk = kPerChunk;
    for (const auto& [name, layout] : {std::pair{"placed", placed}, {"chunked", chunked}}) {
      Dataset data = file.root().create_dataset(name, DType::kInt64, {kRows}, layout);
      data.write_rows(0, kRows, values.data());
      data.set("digest", "of these values");
    }
    file.root().write("others", values);
    file.close();
  }
  seal(path_);
  EXPECT_NO_THROW(require_seal(path_));
  const std::string bytes = bytes_of(path_);
  std::string left_out;
  for (const auto& stretch : apart(bytes)) left_out += stretch;
  EXPECT_EQ(left_out, raw + raw);
}

}  // namespace
}  // namespace cachectl::io
