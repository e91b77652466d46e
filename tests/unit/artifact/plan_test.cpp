#include "artifact/plan.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "io/hdf5.h"
#include "support/artifacts.h"
#include "support/reseal.h"

namespace cachectl::artifact {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using test::cache_of;
using test::two_plans;

class PlanFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() /
        ("plan_test." + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    path_ = (folder_ / "plan.h5").string();
    common_.tool = "plan_test";
    common_.no_provenance = true;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string refusal() const {
    try {
      read_plan(path_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kCorrupt);
      return error.what();
    }
    return "";
  }

  std::filesystem::path folder_;
  std::string path_;
  CommonOptions common_;
};

TEST_F(PlanFiles, ComeBackAsTheyWereWritten) {
  const PlanFile written = two_plans();
  write_plan(path_, written, common_, {});
  const PlanFile read = read_plan(path_);
  EXPECT_EQ(read.backbone_hash, "abc");
  EXPECT_EQ(read.budget, "joint");
  EXPECT_EQ(read.validation_ids, written.validation_ids);
  EXPECT_EQ(read.class_names, written.class_names);
  EXPECT_TRUE(at::equal(read.self_test_inputs, written.self_test_inputs));
  ASSERT_EQ(read.caches.size(), 2u);
  const TrainedCache& cache = read.caches[1];
  EXPECT_EQ(cache.layer, "layer2");
  EXPECT_EQ(cache.calibration.temperature, 1.5);
  EXPECT_TRUE(at::equal(cache.weights.at("classifier.weight"),
                        written.caches[1].weights.at("classifier.weight")));
  EXPECT_TRUE(at::equal(cache.sample_logits, written.caches[1].sample_logits));
  ASSERT_EQ(read.plans.size(), 2u);
  const Plan& plan = read.plans[0];
  EXPECT_EQ(plan.exits[1].threshold, 0.5);
  EXPECT_THAT(plan.reach, ElementsAre(3, 2));
  EXPECT_EQ(plan.classes[1].label, 3);
  EXPECT_THAT(plan.runners_up.at(0).layers, ElementsAre("layer2"));
  EXPECT_THAT(plan.self_test_labels, ElementsAre(4, 1));
  ASSERT_TRUE(plan.certificate);
  EXPECT_EQ(plan.certificate->differing, 12);
  EXPECT_TRUE(plan.certificate->holds);
  EXPECT_EQ(plan.certificate->list_certified, 5);
  EXPECT_TRUE(read.plans[1].exits.empty());
  EXPECT_FALSE(read.plans[1].certificate);
}

TEST_F(PlanFiles, HaveThePlanNearestInRatioToABatch) {
  const PlanFile file = two_plans();
  EXPECT_EQ(file.plan_for(1).batch, 1);
  EXPECT_EQ(file.plan_for(5).batch, 1);
  EXPECT_EQ(file.plan_for(6).batch, 32);
  EXPECT_EQ(file.plan_for(500).batch, 32);
}

TEST_F(PlanFiles, AreRefusedWhenAnExitNamesNoCacheModel) {
  PlanFile file = two_plans();
  write_plan(path_, file, common_, {});
  {
    io::File open = io::File::open_to_write(path_);
    const std::int64_t wrong[] = {0, 7};
    open.root().group("plans").group("0000").dataset("exits").write_rows(0, 2, wrong);
  }
  reseal(path_);
  EXPECT_THAT(refusal(), HasSubstr("/plans/0000/exits: cache model 7"));
}

TEST_F(PlanFiles, AreRefusedWhenAnExitLacksTheOneWhoseLogitsItTakes) {
  PlanFile file = two_plans();
  TrainedCache& cache = file.caches[1];
  const model::CacheModel trained(model::Architecture::parse(cache.architecture), cache.input_shape,
                                  5, 1, true);
  cache.prior = "layer1";
  cache.flops = trained.cost().flops();
  cache.parameters = trained.cost().parameters;
  cache.weights = trained.state();
  cache.sample_prior = file.caches[0].sample_logits;
  cache.sample_logits = trained.freeze()->logits(cache.sample_inputs, cache.sample_prior);
  write_plan(path_, file, common_, {});
  EXPECT_EQ(read_plan(path_).caches[1].prior, "layer1");
  file.plans[0].exits.erase(file.plans[0].exits.begin());
  file.plans[0].reach = file.plans[0].hits = {1};
  common_.force = true;
  write_plan(path_, file, common_, {});
  EXPECT_THAT(refusal(), HasSubstr("layer2 takes the logits of 'layer1'"));
}

TEST_F(PlanFiles, AreRefusedWhenACertificateContradictsItself) {
  PlanFile file = two_plans();
  file.plans[0].certificate->p_value = 0.2;
  write_plan(path_, file, common_, {});
  EXPECT_THAT(refusal(), HasSubstr("its figures contradict each other"));
}

TEST_F(PlanFiles, SayWhatTheirCertificatesWereTestedOn) {
  PlanFile file = two_plans();
  file.plans[0].certificate->precision = "bfloat16";
  file.plans[0].certificate->storage = "float16, int8";
  write_plan(path_, file, common_, {});
  const PlanFile read = read_plan(path_);
  EXPECT_EQ(read.plans[0].certificate->precision, "bfloat16");
  EXPECT_EQ(read.plans[0].certificate->storage, "float16, int8");
  {  // as files were before it was recorded
    io::File open = io::File::open_to_write(path_);
    io::Group certificate = open.root().group("plans").group("0000").group("certificate");
    certificate.remove_attribute("precision");
    certificate.remove_attribute("storage");
    certificate.remove_attribute("backbone_precision");
  }
  reseal(path_);
  const PlanFile older = read_plan(path_);
  EXPECT_EQ(older.plans[0].certificate->precision, "float32");
  EXPECT_EQ(older.plans[0].certificate->storage, "");
  EXPECT_EQ(older.plans[0].certificate->backbone_precision, "float32");
}

TEST(Certificates, HoldAtTheirPrecisionOnly) {
  Certificate certificate;
  EXPECT_EQ(outside_of(certificate, "float32", "float32"), "");
  EXPECT_EQ(outside_of(certificate, "bfloat16", "float32"),
            "certified at float32; this run is at bfloat16 (backbone) and float32 (cache models), "
            "outside it");
  certificate.storage = "float16";
  EXPECT_THAT(outside_of(certificate, "float32", "bfloat16"),
              HasSubstr("certified at float32 on float16 activations; this run is at float32"));

  certificate.backbone_precision = "bfloat16";
  EXPECT_EQ(outside_of(certificate, "bfloat16", "float32"), "");
  EXPECT_THAT(outside_of(certificate, "float32", "float32"),
              HasSubstr("certified at bfloat16 (backbone) and float32 (cache models) on float16"));
}

TEST(EmptyPlans, SayWhyTheyAreEmpty) {
  EXPECT_EQ(emptiness_of(nullptr), Emptiness::kNothingPays);
  Certificate certificate;
  EXPECT_EQ(emptiness_of(&certificate), Emptiness::kNothingPays);
  certificate.list_size = 5;
  EXPECT_EQ(emptiness_of(&certificate), Emptiness::kNothingCertified);
  certificate.list_certified = 2;
  EXPECT_EQ(emptiness_of(&certificate), Emptiness::kNoCertifiedPays);
}

TEST_F(PlanFiles, AreRefusedWhenATemperatureCannotBe) {
  PlanFile file = two_plans();
  file.caches[0].calibration.temperature = 0;
  write_plan(path_, file, common_, {});
  EXPECT_THAT(refusal(), HasSubstr("temperature 0: expected a number above 0"));
}

TEST_F(PlanFiles, AreRefusedWhenTheirSelfTestCannotBe) {
  for (const std::int32_t exit : {-1, 3}) {
    PlanFile file = two_plans();
    file.plans[0].self_test_exits = {0, exit};
    write_plan(path_, file, common_, {});
    EXPECT_THAT(refusal(), HasSubstr("sample 1: class 1 of 5 at exit " + std::to_string(exit)));
  }
  PlanFile file = two_plans();
  file.plans[0].self_test_labels = {4, 5};
  write_plan(path_, file, common_, {});
  EXPECT_THAT(refusal(), HasSubstr("sample 1: class 5 of 5"));
}

TEST_F(PlanFiles, HaveEqualBytesForEqualPlans) {
  write_plan(path_, two_plans(), common_, {});
  PlanFile again = read_plan(path_);
  const auto second = (folder_ / "again.h5").string();
  write_plan(second, again, common_, {});
  EXPECT_EQ(read_plan(second).provenance.content_hash, again.provenance.content_hash);
}

TEST_F(PlanFiles, CachesComeBackWithTheirCalibration) {
  Caches caches;
  caches.classes = 5;
  caches.caches = {cache_of("layer1")};
  caches.validation_ids = {7, 8, 9};
  caches.backbone_classes = {0, 4, 1};
  caches.train_ids_hash = "t";
  caches.validation_ids_hash = "v";
  write_caches(path_, caches, common_, {});
  const Caches read = read_caches(path_);
  EXPECT_EQ(read.validation_ids, caches.validation_ids);
  EXPECT_EQ(read.train_ids_hash, "t");
  const Calibration& calibration = read.caches.at(0).calibration;
  EXPECT_THAT(calibration.predictions, ElementsAre(0, 4, 2));
  EXPECT_THAT(calibration.thresholds.drop, ElementsAre(0, 0.3));
  EXPECT_THAT(calibration.after.samples, ElementsAre(1, 2));
  EXPECT_EQ(read.caches[0].curve.at(1).validation_agreement, 0.8);

  caches.caches[0].calibrated = false;
  write_caches(path_, caches, common_, {});
  EXPECT_FALSE(read_caches(path_).caches.at(0).calibrated);
}

TEST_F(PlanFiles, CachesWithPredictionsForOtherSamplesAreRefused) {
  Caches caches;
  caches.classes = 5;
  caches.caches = {cache_of("layer1")};
  caches.validation_ids = {7, 8};
  caches.backbone_classes = {0, 4};
  write_caches(path_, caches, common_, {});
  try {
    read_caches(path_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("layer1: 3 predictions for 2 validation samples"));
  }
}

}  // namespace
}  // namespace cachectl::artifact
