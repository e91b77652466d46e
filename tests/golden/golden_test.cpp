#include <gtest/gtest.h>

#include <filesystem>

#include "artifact/caches.h"
#include "artifact/medial.h"
#include "artifact/plan.h"
#include "artifact/profile.h"
#include "artifact/report.h"
#include "artifact/study.h"
#include "format/kinds.h"
#include "io/artifact.h"
#include "labels/labels_file.h"

// Files of released versions, read by the present code. make_golden.cpp has written them.
namespace cachectl::format_test {
namespace {

namespace fs = std::filesystem;

std::string golden(const std::string& name) {
  return (fs::path(GOLDEN_DIR) / (name + ".h5")).string();
}

class Golden : public testing::TestWithParam<Kind> {};

TEST_P(Golden, FilesOfEveryVersionAreRead) {
  const io::Format& format = io::format_of(GetParam().magic);
  for (auto version = format.oldest; version <= format.latest; ++version) {
    const auto path = golden(GetParam().name + "-" + std::to_string(version));
    ASSERT_TRUE(fs::exists(path)) << path << ": run make_golden tests/golden";
    EXPECT_NO_THROW(GetParam().read(path)) << path;
    const io::ArtifactReader reader(path, GetParam().magic);
    EXPECT_EQ(reader.provenance().format_version, version);
    EXPECT_NO_THROW(io::verify_contents(reader.root(), reader.provenance().content_hash));
  }
}

TEST_P(Golden, FilesFromBeforeThereWereSealsAreRead) {
  const auto path = golden(GetParam().name + "-1-unsealed");
  ASSERT_TRUE(fs::exists(path)) << path;
  EXPECT_NO_THROW(GetParam().read(path));
}

INSTANTIATE_TEST_SUITE_P(Format, Golden, testing::ValuesIn(all_kinds()),
                         [](const auto& info) { return info.param.name; });

// What is in them, by the numbers that went in.
class GoldenContents : public testing::TestWithParam<std::string> {
 protected:
  static std::string file(const std::string& kind) { return golden(kind + GetParam()); }
};

TEST_P(GoldenContents, ComeBackAsTheyWereWritten) {
  const auto profile = artifact::read_profile(file("profile"));
  ASSERT_EQ(profile.candidates.size(), 3U);
  EXPECT_EQ(profile.candidate("middle").shape, (std::vector<std::int64_t>{8, 4, 4}));
  EXPECT_EQ(profile.candidate("middle").flops_before, 2e7);

  const artifact::MedialReader medial(file("medial"));
  EXPECT_EQ(medial.rows().size(), 30);  // 20 samples, and a view of each training sample
  EXPECT_EQ(medial.rows().ids[7], 1007U);
  EXPECT_EQ(medial.layer("late").values(), 8);

  const auto truth = labels::read_labels(file("labels"));
  EXPECT_EQ(truth.labels.values, (std::vector<std::int64_t>{0, labels::kUnknown, 4}));

  const auto study = artifact::read_study(file("study"));
  EXPECT_EQ(artifact::choose(study).at(0).trial->architecture, "conv3x3/2-8, pool2");

  EXPECT_FALSE(artifact::read_caches(file("caches")).caches.at(0).calibrated);
  const auto caches = artifact::read_caches(file("calibrated"));
  EXPECT_EQ(caches.caches.at(0).calibration.temperature, 1.5);
  EXPECT_EQ(caches.validation_ids, (std::vector<std::uint64_t>{3, 9, 27}));

  const auto plan = artifact::read_plan(file("plan"));
  ASSERT_EQ(plan.plans.size(), 2U);
  ASSERT_TRUE(plan.plans[0].certificate);
  EXPECT_EQ(plan.plans[0].certificate->p_value, 0.04);
  EXPECT_EQ(plan.validation_ids.at(1), ~std::uint64_t{0});

  const auto report = artifact::read_report(file("report"));
  EXPECT_EQ(report.samples, 3000);
  EXPECT_EQ(report.examples.at(0).id, 9'007'199'254'740'993U);
}

INSTANTIATE_TEST_SUITE_P(Format, GoldenContents, testing::Values("-1", "-1-unsealed"),
                         [](const auto& info) {
                           return info.param == "-1" ? "Sealed" : "Unsealed";
                         });

}  // namespace
}  // namespace cachectl::format_test
