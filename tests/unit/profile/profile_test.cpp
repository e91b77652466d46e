#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "artifact/profile.h"
#include "base/error.h"
#include "profile/timing.h"

namespace cachectl::profile {
namespace {

using artifact::Profile;
using artifact::Timing;

std::string temporary_path() {
  return (std::filesystem::temp_directory_path() /
          ("cachectl-profile-" + std::to_string(::getpid()) + ".h5"))
      .string();
}

Profile example(std::size_t candidates) {
  Profile profile;
  profile.backbone_hash = std::string(64, 'a');
  profile.classes = 10;
  profile.output_kind = "logits";
  profile.input_shape = {3, 32, 32};
  profile.inputs = {"3x32x32 float32"};
  profile.flops = 82e6;
  profile.parameters = 270000;
  profile.weight_bytes = 1080000;
  profile.device = "cpu";
  profile.precision = "float32";
  profile.memory_format = "auto";
  profile.threads = 2;
  profile.uncounted_operators = {"aten::odd"};
  profile.plain = {{1, 0.5, 0.4, 0.6}, {32, 9, 8, 11}};
  profile.chain = {{1, 0.51, 0.4, 0.6}, {32, 9.1, 8, 11}};
  for (std::size_t i = 0; i < candidates; ++i) {
    const double before = 1e6 * static_cast<double>(i + 1);
    std::vector<std::int64_t> shape = {16, 8, 8};
    if (i == 1) shape = {64};
    profile.candidates.push_back({"layer" + std::to_string(i), shape, "float32", 4096, before,
                                  82e6 - before, profile.plain, profile.chain});
  }
  for (std::size_t i = 0; i <= candidates; ++i) {
    profile.segments.push_back({2e6, 1e6, 5e4, 100, 400, 65536, profile.plain});
  }
  return profile;
}

CommonOptions common() {
  CommonOptions options;
  options.tool = "cachectl-profile";
  options.force = options.no_provenance = true;
  return options;
}

void write(const Profile& profile) {
  artifact::write_profile(temporary_path(), profile, common(),
                          io::outside_input("backbone", profile.backbone_hash, "a.pt"));
}

TEST(ProfileFile, IsReadAsItWasWritten) {
  for (const std::size_t candidates : {0u, 1u, 3u}) {
    const Profile written = example(candidates);
    write(written);
    const Profile read = artifact::read_profile(temporary_path());
    EXPECT_EQ(read.backbone_hash, written.backbone_hash);
    EXPECT_EQ(read.classes, 10);
    EXPECT_EQ(read.inputs, written.inputs);
    EXPECT_EQ(read.uncounted_operators, written.uncounted_operators);
    ASSERT_EQ(read.candidates.size(), candidates);
    ASSERT_EQ(read.segments.size(), candidates + 1);
    for (std::size_t i = 0; i < candidates; ++i) {
      EXPECT_EQ(read.candidates[i].name, written.candidates[i].name);
      EXPECT_EQ(read.candidates[i].shape, written.candidates[i].shape);
      EXPECT_EQ(read.candidates[i].flops_after, written.candidates[i].flops_after);
      EXPECT_EQ(read.candidates[i].after[1].median_ms, 9.1);
    }
    EXPECT_EQ(read.segments[0].macs, 1e6);
    EXPECT_EQ(read.segments[0].peak_live_bytes, 65536);
    EXPECT_EQ(read.plain[1].batch, 32);
    EXPECT_EQ(read.plain[1].p90_ms, 11);
    EXPECT_NE(read.provenance.find("backbone"), nullptr);
  }
  std::filesystem::remove(temporary_path());
}

TEST(ProfileFile, IsRefusedWhenItsPartsDoNotFit) {
  const auto expect_corrupt = [](const std::string& words) {
    try {
      (void)artifact::read_profile(temporary_path());
      FAIL() << "accepted; expected: " << words;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kCorrupt) << error.what();
      EXPECT_THAT(error.what(), testing::HasSubstr(words));
    }
  };
  Profile profile = example(2);
  profile.segments.pop_back();
  write(profile);
  expect_corrupt("/segments");
  profile = example(2);
  profile.candidates[1].flops_after = std::numeric_limits<double>::quiet_NaN();
  write(profile);
  expect_corrupt("flops_after");
  profile = example(2);
  profile.classes = 1;
  write(profile);
  expect_corrupt("1 classes");
  std::filesystem::remove(temporary_path());
}

TEST(Timings, AreMedianAndPercentiles) {
  const Timing timing = summarise(8, {5, 1, 3, 2, 4});
  EXPECT_EQ(timing.batch, 8);
  EXPECT_DOUBLE_EQ(timing.median_ms, 3);
  EXPECT_DOUBLE_EQ(timing.p10_ms, 1.4);
  EXPECT_DOUBLE_EQ(timing.p90_ms, 4.6);
  EXPECT_DOUBLE_EQ(summarise(1, {7}).p90_ms, 7);
}

}  // namespace
}  // namespace cachectl::profile
