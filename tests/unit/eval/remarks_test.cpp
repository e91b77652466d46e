#include "eval/remarks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "made_report.h"

namespace cachectl::eval {
namespace {

using artifact::Tone;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> texts_on(const artifact::Report& report) {
  std::vector<std::string> texts;
  for (const artifact::Remark& remark : remarks_on(report)) texts.push_back(remark.text);
  return texts;
}

artifact::Report with(artifact::PlanOutcome plan) {
  artifact::Report report = made_report();
  report.plans = {std::move(plan)};
  report.memory.clear();
  report.latency.clear();
  return report;
}

TEST(Remarks, OfAnEmptyPlanSayThatNothingPays) {
  artifact::PlanOutcome plan = made_empty_plan(8);
  plan.has_certificate = false;
  EXPECT_THAT(texts_on(with(plan)), testing::ElementsAre(HasSubstr("no set of cache models pays")));
  plan.has_certificate = true;  // nothing that pays was there to be certified
  plan.certificate.certificate.list_size = plan.certificate.certificate.list_certified = 0;
  EXPECT_THAT(texts_on(with(plan)), testing::ElementsAre(HasSubstr("no set of cache models pays")));
}

TEST(Remarks, OfAnEmptyPlanSayThatNothingCouldBeCertified) {
  artifact::PlanOutcome plan = made_empty_plan(8);
  plan.certificate.certificate.list_certified = 0;
  plan.certificate.certificate.samples_needed = 1234;
  EXPECT_THAT(texts_on(with(plan)),
              testing::ElementsAre(AllOf(HasSubstr("nothing could be certified at 1.00 % with 900"),
                                         HasSubstr("it would take 1234"), Not(HasSubstr("pays")))));
  plan.certificate.certificate.samples_needed = 0;
  EXPECT_THAT(texts_on(with(plan)),
              testing::ElementsAre(AllOf(HasSubstr("no number of samples would help"),
                                         Not(HasSubstr("would take")))));
}

TEST(Remarks, OfAnEmptyPlanSayThatWhatIsCertifiedDoesNotPay) {
  EXPECT_THAT(texts_on(with(made_empty_plan(8))),
              testing::ElementsAre(AllOf(HasSubstr("7 are certified"),
                                         HasSubstr("none of them costs less than the backbone"),
                                         Not(HasSubstr("would take")))));
}

TEST(Remarks, NameThePlanWhereThereAreSeveral) {
  artifact::Report report = made_report();
  for (const bool empty : {false, true}) {
    if (empty) report.plans[0] = made_empty_plan(1);
    const auto texts = texts_on(report);
    EXPECT_GE(texts.size(), 8u);
    for (const std::string& text : texts) {
      if (text.rfind("A certificate speaks", 0) == 0) continue;
      EXPECT_THAT(text, HasSubstr("plan for batch "));
    }
  }
  EXPECT_THAT(texts_on(report), Contains(StartsWith("At batch 32, under the plan for batch 8,")));
  EXPECT_THAT(texts_on(with(made_plan(8))), Each(Not(HasSubstr("plan for batch"))));
}

TEST(Remarks, BlameABrokenToleranceOnEstimatesOnlyWhereNothingIsCertified) {
  artifact::PlanOutcome plan = made_plan(8);
  plan.agreement = {0.95, 0.94, 0.96};
  plan.certificate.consistent = false;
  EXPECT_THAT(texts_on(with(plan)),
              AllOf(Contains(HasSubstr("The tolerance is broken.")),
                    Contains(HasSubstr("contradicts it")), Each(Not(HasSubstr("estimated")))));
  plan.has_certificate = false;
  EXPECT_THAT(texts_on(with(plan)), Contains(HasSubstr("thresholds that are only estimated")));
}

TEST(Remarks, TakeAsManyAsTheToleranceAllowsForWithin) {
  artifact::Report report = with(made_plan(8));
  report.samples = 3000;
  report.tolerance = 0.02;
  report.plans[0].agreement = {1 - 60.0 / 3000, 0.97, 0.99};
  EXPECT_THAT(texts_on(report), Each(Not(HasSubstr("That is more"))));
  report.plans[0].agreement.value = 1 - 61.0 / 3000;
  EXPECT_THAT(texts_on(report), Contains(HasSubstr("That is more")));
}

TEST(Remarks, HoldAgainstAToleranceOfNothing) {
  artifact::Report report = with(made_plan(8));
  report.tolerance = 0;
  report.plans[0].agreement = {0.99, 0.985, 0.994};
  EXPECT_THAT(texts_on(report), Contains(HasSubstr("The tolerance is broken")));
}

TEST(Remarks, TellAnExitThatNeverAnswersByWhatItCosts) {
  artifact::Report report = with(made_plan(8));
  artifact::ExitOutcome& exit = report.plans[0].exits[0];
  exit.hits = 0;
  EXPECT_THAT(texts_on(report), Contains(HasSubstr("look-ups were paid for nothing")));
  exit.feeds_next = true;
  EXPECT_THAT(texts_on(report), AllOf(Contains(HasSubstr("asked for its logits")),
                                      Each(Not(HasSubstr("for nothing")))));
  exit.reach = 0;
  EXPECT_THAT(texts_on(report), AllOf(Contains(HasSubstr("no sample reached the exit at layer1")),
                                      Each(Not(HasSubstr("for nothing")))));
}

TEST(Remarks, HoldALowerPrecisionAgainstTheBackboneAtFloat32) {
  artifact::Report report = with(made_plan(8));
  EXPECT_THAT(texts_on(report), Each(Not(HasSubstr("at float32 ["))));
  report.precision = "bfloat16";
  report.plans[0].collected_agreement = {0.992, 0.98, 0.998};
  EXPECT_THAT(texts_on(report),
              Contains(HasSubstr("answers 0.80 % of the samples otherwise than the backbone at "
                                 "float32 [0.20, 2.00].")));
  report.plans[0].collected_agreement = {0.98, 0.97, 0.985};
  EXPECT_THAT(texts_on(report), Contains(HasSubstr("[1.50, 3.00]. The tolerance is broken.")));
}

TEST(Remarks, SayWhenTheRunIsOutsideTheCertificate) {
  artifact::Report report = with(made_plan(8));
  EXPECT_THAT(texts_on(report), Each(Not(HasSubstr("this run is at"))));
  report.precision = "bfloat16";
  const std::string outside =
      "The plan is certified at float32 on float16 activations; this run is at bfloat16 "
      "(backbone) and float32 (cache models), outside it.";
  EXPECT_THAT(texts_on(report), Contains(outside));
  for (const artifact::Remark& remark : remarks_on(report)) {
    if (remark.text == outside) {
      EXPECT_EQ(remark.tone, Tone::kBad);
    }
  }
  report.plans[0].has_certificate = false;
  EXPECT_THAT(texts_on(report), Each(Not(HasSubstr("this run is at"))));
}

}  // namespace
}  // namespace cachectl::eval
