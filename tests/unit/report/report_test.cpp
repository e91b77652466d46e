#include "report/report.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <png.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "io/hdf5.h"
#include "report/image.h"
#include "report/page_data.h"
#include "support/expect_error.h"
#include "support/reseal.h"
#include "support/sample_report.h"
#include "support/scratch.h"

namespace cachectl::report {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

// The data as a browser would find it: from the element's start tag to the first "</script".
json embedded(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const std::size_t start = page.find(open) + open.size();
  return json::parse(page.substr(start, page.find("</script", start) - start));
}

std::vector<unsigned char> base64_decoded(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<unsigned char> bytes;
  unsigned group = 0;
  int bits = 0;
  for (char c : text) {
    if (c == '=') break;
    group = group << 6 | static_cast<unsigned>(digits.find(c));
    bits += 6;
    if (bits >= 8) bytes.push_back(static_cast<unsigned char>(group >> (bits -= 8)));
  }
  return bytes;
}

// [C, H, W] of a data URI, decoded by libpng.
at::Tensor decoded(const std::string& uri, int channels) {
  const std::string prefix = "data:image/png;base64,";
  EXPECT_EQ(uri.substr(0, prefix.size()), prefix);
  const auto bytes = base64_decoded(uri.substr(prefix.size()));
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()));
  image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  at::Tensor pixels = at::empty({image.height, image.width, channels}, at::kByte);
  EXPECT_TRUE(png_image_finish_read(&image, nullptr, pixels.data_ptr(), 0, nullptr));
  return pixels.permute({2, 0, 1}).contiguous();
}

TEST(Page, HoldsTheReportsFiguresAsData) {
  const auto report = sample_report();
  const json data = embedded(html(report));
  EXPECT_EQ(data["title"], report.title);
  EXPECT_EQ(data["plans"].size(), 2u);
  EXPECT_EQ(data["plans"][0]["exits"].size(), 4u);
  EXPECT_EQ(data["plans"][0]["exits"][1]["hits"], report.plans[0].exits[1].hits);
  EXPECT_NEAR(data["plans"][0]["flops_cached"].get<double>(), report.plans[0].flops_cached,
              1e-5 * report.plans[0].flops_cached);
  EXPECT_EQ(data["latency"][2]["batch"], 32);
  EXPECT_EQ(data["latency"][2]["plain_ms"].size(), 100u);
  EXPECT_EQ(data["verdicts"][2], "backbone right, cache wrong");
  EXPECT_EQ(data["examples"][1]["id"], "9007199254740994");
  EXPECT_EQ(data["provenance"]["inputs"]["plan"]["inputs"]["medial"]["inputs"]["data"]["command"],
            report.provenance.inputs.at("plan").inputs.at("medial").inputs.at("data").command);
}

TEST(Page, RefersToNothingOutsideItself) {
  const std::string page = html(sample_report());
  for (const char* reference : {" src=", "<link", "@import", "url(http", "import(", "fetch("}) {
    EXPECT_EQ(page.find(reference), std::string::npos) << reference;
  }
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
}

TEST(Page, KeepsTheTextOfAReportOutOfItsMarkup) {
  auto report = bare_report();
  const std::size_t elements = occurrences(html(report), "<script");
  report.title = "a</title><script>alert(1)</script>{{data}}";
  report.class_names = {"</script><script>alert(1)</script>", "<!--<script>", "&amp;"};
  report.data_name = "line\xe2\x80\xa8separator, and no UTF-8: \xff";
  const std::string page = html(report);
  EXPECT_EQ(occurrences(page, "<script"), elements);
  EXPECT_THAT(page, HasSubstr("<title>a&lt;/title&gt;&lt;script&gt;"));
  const json data = embedded(page);
  EXPECT_EQ(data["class_names"], json(report.class_names));
  EXPECT_EQ(data["title"], report.title);
  EXPECT_THAT(data["data_name"].get<std::string>(), HasSubstr("no UTF-8: \xef\xbf\xbd"));
}

TEST(Page, LeavesNothingOutsideAsciiInTheData) {
  const std::string text = script_safe(json{{"name", "caf\xc3\xa9 <b> & \xe2\x80\xa9"}});
  for (char c : text) {
    EXPECT_GE(c, ' ');
    EXPECT_LT(c, 127);
  }
  EXPECT_EQ(text.find_first_of("<>&"), std::string::npos);
  EXPECT_EQ(json::parse(text)["name"], "caf\xc3\xa9 <b> & \xe2\x80\xa9");
}

TEST(Page, WritesWhatLabelsWouldHaveGivenAsNull) {
  const json data = embedded(html(bare_report()));
  EXPECT_TRUE(data["plans"][0]["accuracy_plain"]["value"].is_null());
  EXPECT_TRUE(data["plans"][0]["exits"][0]["effect"]["value"].is_null());
  EXPECT_TRUE(data["plans"][0]["certificate"].is_null());
  EXPECT_TRUE(data["latency"].empty());
  EXPECT_EQ(data["labelled"], 0);
}

TEST(Page, SaysWhyAPlanIsEmpty) {
  EXPECT_TRUE(page_data(sample_report())["plans"][0]["empty"].is_null());
  EXPECT_EQ(page_data(bare_report())["plans"][0]["empty"], "nothing pays");
  auto report = uncertified_report();
  json plan = page_data(report)["plans"][0];
  EXPECT_EQ(plan["empty"], "nothing certified");
  EXPECT_EQ(plan["certificate"]["list_size"], 12);
  EXPECT_EQ(plan["certificate"]["list_certified"], 0);
  report.plans[0].certificate.certificate.list_certified = 3;
  plan = page_data(report)["plans"][0];
  EXPECT_EQ(plan["empty"], "no certified plan pays");
  EXPECT_EQ(plan["certificate"]["list_certified"], 3);
}

TEST(Page, KnowsWhatACertificateWasTestedOn) {
  auto report = sample_report();
  json certificate = page_data(report)["plans"][0]["certificate"];
  EXPECT_EQ(certificate["tested_at"], "float32");
  EXPECT_EQ(certificate["storage"], "float16");
  EXPECT_EQ(certificate["outside"], "");
  report.cache_precision = "bfloat16";
  certificate = page_data(report)["plans"][0]["certificate"];
  EXPECT_THAT(certificate["outside"].get<std::string>(),
              HasSubstr("certified at float32 on float16 activations"));
}

TEST(Page, HasThePredictionBesideTheTimeOfThePlansOwnBatch) {
  auto report = sample_report();
  EXPECT_TRUE(page_data(report)["latency"][0]["predicted_saving"].is_null());
  report.cost_kind = "latency";
  const json data = page_data(report);  // the second plan is for batch 1, the first for any
  EXPECT_NEAR(data["latency"][0]["predicted_saving"].get<double>(),
              report.plans[1].predicted_saving, 1e-5);
  EXPECT_TRUE(data["latency"][1]["predicted_saving"].is_null());
}

// The fields that came later are missing in files from before.
TEST(ReportFile, OfAnOlderVersionIsRead) {
  Scratch scratch;
  const std::string path = scratch.path("report.h5");
  CommonOptions common;
  common.no_provenance = true;
  artifact::write_report(path, small_report(), common, {});
  const artifact::Report written = artifact::read_report(path);
  EXPECT_EQ(written.plans[0].exits[0].effect.high, small_report().plans[0].exits[0].effect.high);
  EXPECT_EQ(written.plans[0].certificate.certificate.list_tested, 12);
  {
    io::File file = io::File::open_to_write(path);
    io::Group plan = file.root().group("plans").group("000");
    for (const char* name :
         {"precision", "storage", "list_size", "list_tested", "list_certified"}) {
      plan.group("certificate").remove_attribute(name);
    }
    for (const std::string& exit : plan.group("exits").children()) {
      plan.group("exits").group(exit).remove_attribute("hit_rate_interval");
      plan.group("exits").group(exit).remove_attribute("effect_interval");
    }
    file.root().group("memory").remove("plan");
  }
  reseal(path);
  const artifact::Report older = artifact::read_report(path);
  const artifact::ExitOutcome &was = written.plans[0].exits[0], &is = older.plans[0].exits[0];
  EXPECT_EQ(is.hit_rate.value, was.hit_rate.value);
  EXPECT_EQ(is.effect.value, was.effect.value);
  EXPECT_TRUE(std::isnan(is.hit_rate.low) && std::isnan(is.effect.high));
  EXPECT_EQ(older.plans[0].certificate.certificate.precision, "float32");
  EXPECT_EQ(older.plans[0].certificate.certificate.storage, "");
  EXPECT_EQ(older.memory[0].plan, 0u);
}

TEST(Page, ThinsLongCurvesAndKeepsTheirEnds) {
  const auto report = sample_report();
  ASSERT_GT(report.alone[0].threshold.size(), kCurvePoints);
  const json curve = page_data(report)["alone"][0];
  ASSERT_EQ(curve["threshold"].size(), kCurvePoints);
  ASSERT_EQ(curve["effect"].size(), kCurvePoints);
  EXPECT_EQ(curve["points"], report.alone[0].threshold.size());
  EXPECT_NEAR(curve["threshold"].front().get<double>(), report.alone[0].threshold.front(), 1e-5);
  EXPECT_NEAR(curve["hit_rate"].back().get<double>(), 1, 1e-5);
  // Evenly in hit rate: no step is much longer than the others.
  for (std::size_t i = 1; i < kCurvePoints; ++i) {
    const double step = curve["hit_rate"][i].get<double>() - curve["hit_rate"][i - 1].get<double>();
    EXPECT_GT(step, 0);
    EXPECT_LT(step, 2.0 / kCurvePoints);
  }
}

TEST(Page, LeavesOutTheCurvesThatNeedLabels) {
  auto report = sample_report();
  report.alone[0].gt_accuracy.clear();
  const json curve = page_data(report)["alone"][0];
  EXPECT_TRUE(curve["gt_accuracy"].empty());
  EXPECT_EQ(curve["drop"].size(), kCurvePoints);
}

TEST(Image, SurvivesThePngUnchanged) {
  for (int channels : {1, 3}) {
    const at::Tensor image =
        at::arange(channels * 5 * 7).mul(2).to(at::kByte).view({channels, 5, 7});
    EXPECT_TRUE(at::equal(decoded(png_data_uri(image, 192), channels), image));
  }
}

TEST(Image, AveragesBlocksWhenItIsTooLarge) {
  const at::Tensor image = at::arange(3 * 8 * 12).to(at::kByte).view({3, 8, 12});
  const at::Tensor small = decoded(png_data_uri(image, 6), 3);
  ASSERT_EQ(small.sizes(), (at::IntArrayRef{3, 4, 6}));
  const at::Tensor expected = at::avg_pool2d(image.to(at::kFloat), {2, 2});
  EXPECT_LE((small.to(at::kFloat) - expected).abs().max().item<float>(), 0.5);
}

TEST(Image, IsEmptyWithoutATensor) {
  EXPECT_EQ(png_data_uri({}, 192), "");
}

TEST(File, IsThePage) {
  Scratch scratch;
  const std::string path = scratch.path("report.html");
  write_html(path, bare_report());
  write_html(path, sample_report());  // replaces
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), html(sample_report()));
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST(File, SaysWhichPathCannotBeWritten) {
  Scratch scratch;
  const std::string path = scratch.path("missing/report.html");
  expect_error([&] { write_html(path, bare_report()); }, ExitCode::kCannotOpen, path);
  // A folder in the way: nothing is left beside it.
  std::filesystem::create_directory(scratch.path("folder"));
  expect_error([&] { write_html(scratch.path("folder"), bare_report()); }, ExitCode::kCannotOpen,
               "folder");
  EXPECT_FALSE(std::filesystem::exists(scratch.path("folder.tmp")));
}

}  // namespace
}  // namespace cachectl::report
