#include "artifact/medial_writer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "io/positioned_file.h"
#include "support/bytes.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "support/tiny_medial.h"

namespace cachectl::artifact {
namespace {

CommonOptions plain_options() {
  CommonOptions common;
  common.tool = "cachectl-test";
  common.no_provenance = true;
  return common;
}

// A plan of float32 layers, whose activations need no conversion.
struct Job {
  TinyMedial tiny;
  CommonOptions common = plain_options();
  Job() {
    tiny.draw();
    tiny.plan.settings = "seed: 1\nbackbone: b\n";
    tiny.plan.expected_bytes = 1 << 20;
  }
  MedialBlock block(std::int64_t number) const {
    const std::int64_t rows = tiny.plan.blocks.at(std::size_t(number));
    MedialBlock made{tiny.pd.narrow(0, number * tiny.rows_per_block, rows), {}, {}};
    for (const auto& layer : tiny.activations) {
      made.activations.push_back(layer.narrow(0, number * tiny.rows_per_block, rows));
    }
    return made;
  }
  // Writes blocks up to this number, and leaves the file as a kill would.
  void write(const std::string& path, std::int64_t until) const {
    MedialWriter writer(path, tiny.plan, common, {});
    while (writer.blocks_done() < until) writer.write_block(block(writer.blocks_done()));
    if (until == std::int64_t(tiny.plan.blocks.size())) writer.commit();
  }
};

class EveryLayout : public testing::TestWithParam<int> {};

TEST_P(EveryLayout, GoesOnToTheSameBytesFromAnyPoint) {
  const Scratch scratch;
  Job job;
  job.tiny.plan.deflate = GetParam();
  job.write(scratch.path("whole.h5"), 4);
  for (std::int64_t killed_at = 0; killed_at < 4; ++killed_at) {
    const auto path = scratch.path("cut.h5");
    job.common.resume = false;
    job.common.force = true;
    job.write(path, killed_at);
    job.common.resume = true;
    job.write(path, 4);
    EXPECT_EQ(bytes_of(path), bytes_of(scratch.path("whole.h5"))) << killed_at;
    EXPECT_FALSE(std::filesystem::exists(io::partial_path(path)));
  }
  // Beside the two files nothing is left.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.folder()), {}), 2);
}

TEST_P(EveryLayout, MakesAgainWhatDidNotReachTheDisk) {
  const Scratch scratch;
  Job job;
  job.tiny.plan.deflate = GetParam();
  job.write(scratch.path("whole.h5"), 4);
  const auto path = scratch.path("cut.h5");
  job.write(path, 3);
  // As after a power cut: the journal knows of block 1, but its bytes are others.
  const auto holder = GetParam() > 0 ? path + ".partial.chunks" : io::partial_path(path).string();
  {
    io::PositionedFile file = io::PositionedFile::open_to_write(holder);
    const std::vector<char> zeros(64, 0);
    file.write_at(file.size() / 2, zeros.data(), zeros.size());
  }
  job.common.resume = true;
  MedialWriter writer(path, job.tiny.plan, job.common, {});
  EXPECT_LT(writer.blocks_done(), 3);
  while (writer.blocks_done() < 4) writer.write_block(job.block(writer.blocks_done()));
  writer.commit();
  EXPECT_EQ(bytes_of(path), bytes_of(scratch.path("whole.h5")));
}

TEST_P(EveryLayout, SurvivesAKillBetweenTwoStatesOfTheFile) {
  const Scratch scratch;
  Job job;
  job.tiny.plan.deflate = GetParam();
  job.write(scratch.path("whole.h5"), 4);
  const auto path = scratch.path("cut.h5");
  job.write(path, 3);
  // A kill while the file was being completed: HDF5's own blocks half-written.
  {
    io::PositionedFile file = io::PositionedFile::open_to_write(io::partial_path(path));
    const std::string rubbish(700, 'x');
    file.write_at(100, rubbish.data(), rubbish.size());
    file.write_at(file.size() + 5000, rubbish.data(), rubbish.size());
  }
  // And a journal whose last record is cut short.
  {
    io::PositionedFile file = io::PositionedFile::open_to_write(path + ".partial.journal");
    file.truncate(file.size() - 10);
  }
  job.common.resume = true;
  job.write(path, 4);
  EXPECT_EQ(bytes_of(path), bytes_of(scratch.path("whole.h5")));
}

INSTANTIATE_TEST_SUITE_P(MedialWriter, EveryLayout, testing::Values(0, 3));

TEST(MedialWriter, RefusesToGoOnWithOtherSettingsAndNamesThem) {
  const Scratch scratch;
  Job job;
  job.write(scratch.path("m.h5"), 2);
  job.common.resume = true;
  job.tiny.plan.settings = "seed: 2\nbackbone: b\n";
  expect_error([&] { job.write(scratch.path("m.h5"), 4); }, ExitCode::kIncompatible,
               "it was begun with [seed: 1], this run has [seed: 2]");
  job.tiny.plan.settings = "seed: 1\nbackbone: b\n";
  job.tiny.plan.rows.ids[3] = 7;
  expect_error([&] { job.write(scratch.path("m.h5"), 4); }, ExitCode::kIncompatible, "rows: 200");
  // Unless it may begin anew.
  job.common.force = true;
  job.write(scratch.path("m.h5"), 4);
  job.common.resume = false;
  job.write(scratch.path("whole.h5"), 4);
  EXPECT_EQ(bytes_of(scratch.path("m.h5")), bytes_of(scratch.path("whole.h5")));
}

TEST(MedialWriter, AsksBeforeItDropsAPartialFile) {
  const Scratch scratch;
  Job job;
  job.write(scratch.path("m.h5"), 2);
  expect_error([&] { job.write(scratch.path("m.h5"), 4); }, ExitCode::kCannotOpen,
               "go on from it with --resume, or begin anew with --force");
  job.common.force = true;
  EXPECT_NO_THROW(job.write(scratch.path("m.h5"), 4));
}

TEST(MedialWriter, RefusesASecondOneAtWork) {
  const Scratch scratch;
  Job job;
  const MedialWriter first(scratch.path("m.h5"), job.tiny.plan, job.common, {});
  job.common.resume = true;
  expect_error([&] { MedialWriter(scratch.path("m.h5"), job.tiny.plan, job.common, {}); },
               ExitCode::kCannotOpen, "another process is at work on it");
}

TEST(MedialWriter, RefusesWithTheFiguresWhatTheDiskCanNotHold) {
  const Scratch scratch;
  Job job;
  job.tiny.plan.layers[0].shape = {1 << 20, 1 << 20};
  expect_error([&] { MedialWriter(scratch.path("m.h5"), job.tiny.plan, job.common, {}); },
               ExitCode::kCannotOpen, "needs 800.0 TiB for 200 rows of 3 layers, the disk has");
  EXPECT_TRUE(std::filesystem::is_empty(scratch.folder()));
}

// Lets the process write no file beyond this size, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_P(EveryLayout, LeavesNothingWhenTheDiskIsFullInTheMiddle) {
  const Scratch scratch;
  Job job;
  job.tiny.plan.deflate = GetParam();
  bool was_full = false;
  for (const rlim_t room : {3000, 30000, 100000, 200000, 300000}) {
    const FileSizeLimit limit(room);
    try {
      job.write(scratch.path("m.h5"), 4);
      std::filesystem::remove(scratch.path("m.h5"));
    } catch (const Error& error) {
      was_full = true;
      EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(ExitCode::kCannotOpen));
      EXPECT_THAT(error.what(), testing::HasSubstr("nothing was left behind"));
      EXPECT_TRUE(std::filesystem::is_empty(scratch.folder())) << room;
    }
  }
  EXPECT_TRUE(was_full);
}

}  // namespace
}  // namespace cachectl::artifact
