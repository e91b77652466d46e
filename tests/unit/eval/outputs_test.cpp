#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "eval/eval.h"
#include "eval/report_json.h"
#include "eval/tables.h"
#include "made_report.h"
#include "support/quietly.h"

namespace cachectl::eval {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string csv(const artifact::Report& report, const std::string& name) {
  for (const Sheet& sheet : sheets_of(report)) {
    for (const auto& row : sheet.rows) EXPECT_EQ(row.size(), sheet.header.size()) << sheet.name;
    if (sheet.name == name) return csv_of(sheet);
  }
  return "no such table";
}

TEST(Json, HoldsWhatTheFileHolds) {
  artifact::Report report = made_report();
  report.plans[1] = made_empty_plan(8);
  report.plans[1].certificate.certificate.list_certified = 0;
  report.plans[1].certificate.certificate.samples_needed = 1234;
  report.data_hash = "d";
  report.layers = {{"layer1", {8, 4, 4}, 0.25}};
  const nlohmann::json json = json_of(report);
  EXPECT_EQ(json["data"]["hash"], "d");
  EXPECT_EQ(json["layers"][0]["flops_before"], 0.25);
  EXPECT_EQ(json["alone"][0]["hit_rate"], nlohmann::json({0.1, 0.4, 1.0}));
  EXPECT_EQ(json["reliability"][0]["ece_after"], 0.0123);
  EXPECT_EQ(json["plans"][0]["classes"][1]["differing"], 3);
  EXPECT_EQ(json["plans"][0]["exits"][0]["hit_rate"]["low"], 0.37);
  EXPECT_EQ(json["plans"][0]["exits"][0]["effect"]["high"], 0.001);
  EXPECT_EQ(json["plans"][0]["exits"][0]["feeds_next"], false);
  EXPECT_FALSE(json["plans"][0].contains("empty"));
  EXPECT_EQ(json["plans"][0]["certificate"]["storage"], "float16");
  EXPECT_EQ(json["plans"][1]["empty"], "nothing certified");
  EXPECT_EQ(json["plans"][1]["certificate"]["samples_needed"], 1234);
  EXPECT_EQ(json["plans"][1]["certificate"]["list_tested"], 8);
  // The prediction is for the plan's own batch size.
  EXPECT_EQ(json["latency"][1]["predicted_saving"], 0.123);
  EXPECT_EQ(json["latency"][2]["plan"], 1);
  EXPECT_THAT(json.dump(), HasSubstr("\"predicted_saving\":null"));
}

TEST(Csv, HasClassesAndCertificates) {
  artifact::Report report = made_report();
  report.trade = {{"ours", 0, 32, {}, 0.75, artifact::kUnknown}};
  EXPECT_THAT(csv(report, "classes"), HasSubstr("8,1,dog,500,150,3\n"));
  EXPECT_THAT(csv(report, "classes"), HasSubstr("1,0,\"cat, small\",500,250,1\n"));
  EXPECT_THAT(
      csv(report, "certificates"),
      AllOf(HasSubstr("storage"), HasSubstr("1,,1,0.01,0.05,900,2,0.006,0,30,8,7,float32,")));
  EXPECT_THAT(csv(report, "exits"), AllOf(HasSubstr("hit_rate_low"), HasSubstr("effect_high")));
  EXPECT_THAT(csv(report, "latency"), HasSubstr("0.12,0.123,0.2\n"));
  EXPECT_THAT(csv(report, "plans"),
              AllOf(HasSubstr("collected_agreement"), HasSubstr("8,1,0.01,0.996,")));
  EXPECT_THAT(csv(report, "areas"), HasSubstr("ours,1,32,0.75,\n"));
  EXPECT_THAT(csv(report, "memory"), HasSubstr("32,8,32000,38400\n"));
}

TEST(Json, IsPrintedWhateverTheNamesAre) {
  artifact::Report report = made_report();
  report.class_names = {"caf\xe9"};  // no UTF-8
  const std::string printed = output_of([&] { print_report(report, true); });
  EXPECT_EQ(nlohmann::json::parse(printed)["samples"], 1000);
}

TEST(Terminal, ShowsIntervalsCacheModelsAloneAndPredictions) {
  artifact::Report report = made_report();
  const auto shown = [&] { return output_of([&] { print_report(report, false); }); };
  EXPECT_THAT(shown(), HasSubstr("Each cache model alone"));
  EXPECT_THAT(shown(), HasSubstr("hit rate at drop 1.00 %"));
  // The most hits within the tolerance; calibration before and after.
  EXPECT_THAT(shown(), testing::ContainsRegex("40\\.0 % +0\\.9000 +5\\.12 % +1\\.23 %"));
  EXPECT_THAT(shown(), HasSubstr("40.00 % [37.00, 43.00]"));
  EXPECT_THAT(shown(), HasSubstr("99.00 % [97.50, 99.70]"));
  EXPECT_THAT(shown(), HasSubstr("95.00 % [92.00, 97.00]"));
  EXPECT_THAT(shown(), HasSubstr("-0.20 [-0.60, +0.10]"));
  EXPECT_THAT(shown(), testing::ContainsRegex("8\\.0, 12\\.0. +12\\.3 %"));
  EXPECT_THAT(shown(), Not(HasSubstr("predicted)")));
  report.cost_kind = "flops";
  EXPECT_THAT(shown(), HasSubstr("(20.0 % saved; 12.3 % predicted)"));
  EXPECT_THAT(shown(), Not(testing::ContainsRegex("8\\.0, 12\\.0. +12\\.3 %")));
}

}  // namespace
}  // namespace cachectl::eval
