#include "serve/infer_request.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "files.h"
#include "serve/messages.h"
#include "unit/serve/refused.h"
#include "unit/serve/served.h"

namespace cachectl::serve {
namespace {

using test::Served;
using testing::HasSubstr;
using testing::Not;

class InferRequestTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = Served().load(); }
  static void TearDownTestSuite() { model_.reset(); }

  static std::string request(const std::string& shape, const std::string& rest,
                             const std::string& top = "") {
    return "{" + top + R"("inputs": [{"name": "input", "datatype": "FP32", "shape": )" + shape +
           ", " + rest + "}]}";
  }
  static std::string numbers(std::int64_t count) {
    std::string text = "\"data\": [";
    for (std::int64_t i = 0; i < count; ++i) text += (i > 0 ? "," : "") + std::to_string(i % 7);
    return text + "]";
  }
  static std::string raw(const std::vector<float>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
  }
  static std::string raw_size(std::size_t bytes) {
    return R"("parameters": {"binary_data_size": )" + std::to_string(bytes) + "}";
  }
  static InferRequest read(const std::string& json, const std::string& tail = "") {
    RequestLimits limits;
    limits.max_items = 4;
    return read_infer_request(json, tail, *model_, limits);
  }

  static std::shared_ptr<const ServedModel> model_;
};
std::shared_ptr<const ServedModel> InferRequestTest::model_;

TEST_F(InferRequestTest, TakesNumbersFromJson) {
  const InferRequest got =
      read(request("[2, 3, 16, 16]", numbers(2 * Served::kValues),
                   R"("id": "q7", "parameters": {"deadline_ms": 12.5, "probabilities": true}, )"));
  EXPECT_EQ(got.id, "q7");
  EXPECT_EQ(*got.deadline_ms, 12.5);
  EXPECT_TRUE(got.probabilities);
  EXPECT_EQ(got.outputs.size(), 4U);
  EXPECT_EQ(got.inputs.sizes(), (std::vector<std::int64_t>{2, 3, 16, 16}));
  EXPECT_EQ(got.inputs.flatten()[800].item<float>(), 800 % 7);
}

TEST_F(InferRequestTest, TakesRawTensorsBehindTheJson) {
  std::vector<float> values(Served::kValues);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.25F * static_cast<float>(i);
  const InferRequest got =
      read(request("[1, 3, 16, 16]", raw_size(values.size() * 4)), raw(values));
  EXPECT_TRUE(got.inputs.flatten().equal(at::tensor(values)));
}

TEST_F(InferRequestTest, SizesMustFit) {
  const std::string shape = "[1, 3, 16, 16]";
  const std::string tensor(Served::kValues * 4, '\0');
  EXPECT_THAT(refused([&] { read(request(shape, numbers(5))); }, 400), HasSubstr("5 numbers"));
  EXPECT_THAT(refused([&] { read(request(shape, raw_size(8)), "12345678"); }, 400),
              HasSubstr("8 bytes"));
  EXPECT_THAT(refused([&] { read(request(shape, raw_size(tensor.size())), tensor + "x"); }, 400),
              HasSubstr("binary_data_size"));
  EXPECT_THAT(refused([&] { read(request(shape, numbers(Served::kValues)), "x"); }, 400),
              HasSubstr("no input claims"));
  EXPECT_THAT(refused([&] { read(request("[1, 3, 16]", numbers(768))); }, 400),
              HasSubstr("1x3x16x16"));
  EXPECT_THAT(refused([&] { read(request("[5, 3, 16, 16]", "\"data\": []")); }, 413),
              HasSubstr("5 items"));
  EXPECT_THAT(refused([&] { read(request("[0, 3, 16, 16]", "\"data\": []")); }, 400),
              HasSubstr("no items"));
  EXPECT_THAT(refused([&] { read(request("[768]", numbers(768))); }, 413), HasSubstr("768 items"));
  refused([&] { read(request("[-1, 3, 16, 16]", numbers(768))); }, 400);
  refused([&] { read(request("[1.5, 3, 16, 16]", numbers(768))); }, 400);
  refused([&] { read(request("[9223372036854775807, 3, 16, 16]", numbers(1))); }, 400);
}

TEST_F(InferRequestTest, NestingMustFollowTheShape) {
  EXPECT_THAT(refused([&] { read(request("[1, 3, 16, 16]", "\"data\": [[1, 2], [3, 4]]")); }, 400),
              HasSubstr("nested as 2x2"));
}

TEST_F(InferRequestTest, NumbersMustBeFinite) {
  std::vector<float> values(Served::kValues, 1);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    values[100] = bad;
    EXPECT_THAT(
        refused([&] { read(request("[1, 3, 16, 16]", raw_size(values.size() * 4)), raw(values)); },
                400),
        HasSubstr("not finite"));
  }
}

TEST_F(InferRequestTest, StringsAreNoNumbers) {
  const std::string text =
      request("[1, 3, 16, 16]", R"("data": ["7", )" + numbers(Served::kValues).substr(9));
  EXPECT_THAT(refused([&] { read(text); }, 400), HasSubstr("strings among the numbers"));
}

TEST_F(InferRequestTest, NamesAndTypesMustBeTheModels) {
  const std::string good = request("[1, 3, 16, 16]", numbers(768));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  EXPECT_THAT(refused([&] { read(with("\"input\"", "\"other\"")); }, 400), HasSubstr("\"input\""));
  EXPECT_THAT(refused([&] { read(with("FP32", "INT8")); }, 400), HasSubstr("FP32"));
  EXPECT_THAT(refused([&] { read(with("\"inputs\"", "\"input\"")); }, 400), HasSubstr("inputs"));
  refused([&] { read(R"({"inputs": []})"); }, 400);
  refused([&] { read(R"({"inputs": {"name": "input"}})"); }, 400);
  refused([&] { read(R"({"inputs": [7]})"); }, 400);
  refused([&] { read(with("{\"inputs\"", "{\"id\": 5, \"inputs\"")); }, 400);
  const std::string long_id(257, 'x');
  EXPECT_THAT(
      refused([&] { read(with("{\"inputs\"", "{\"id\": \"" + long_id + "\", \"inputs\"")); }, 400),
      HasSubstr("256 bytes"));
  refused([&] { read(with("{\"inputs\"", "{\"outputs\": [{\"name\": \"x\"}], \"inputs\"")); }, 400);
  refused([&] { read(with("{\"inputs\"", "{\"parameters\": 1, \"inputs\"")); }, 400);
  refused([&] { read(with("{\"inputs\"", "{\"parameters\": {\"deadline_ms\": -1}, \"inputs\"")); },
          400);
}

TEST_F(InferRequestTest, ImagesAreRefusedWhereTheTransformIsUnknown) {
  const std::string text =
      R"({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
          "parameters": {"binary_data_size": 4}}]})";
  EXPECT_THAT(refused([&] { read(text, std::string(4, '\0')); }, 400), HasSubstr("no images"));
}

TEST_F(InferRequestTest, ThePixelsOfAllImagesTogetherAreBounded) {
  const auto model = Served({0.6, 0.6, 0.6}, "resize 16 16, mean 0.5, std 0.25").load();
  const std::string image = data::test::png_bytes(3, 2);
  const std::int64_t pixels = 3 * 2;
  const std::string element =
      std::string(1, static_cast<char>(image.size())) + std::string(3, '\0') + image;
  const std::string tail = element + element;
  const std::string text = R"({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], )" +
                           raw_size(tail.size()) + "}]}";
  RequestLimits limits;
  limits.max_image_pixels = pixels;
  limits.max_request_pixels = 2 * pixels;
  const InferRequest got = read_infer_request(text, tail, *model, limits);
  EXPECT_EQ(got.inputs.sizes(), (std::vector<std::int64_t>{2, 3, 16, 16}));
  limits.max_request_pixels = 2 * pixels - 1;
  EXPECT_THAT(refused([&] { read_infer_request(text, tail, *model, limits); }, 413),
              HasSubstr("too large together"));
  limits.max_image_pixels = pixels - 1;
  EXPECT_THAT(refused([&] { read_infer_request(text, tail, *model, limits); }, 413),
              Not(HasSubstr("together")));
}

TEST_F(InferRequestTest, TheResponseHoldsWhatWasAskedForInItsOrder) {
  InferRequest asked;
  asked.id = "a\"b";
  asked.outputs = {{"exit", true}, {"label", false}, {"probabilities", true}};
  std::vector<ItemAnswer> items(2);
  for (std::int32_t i = 0; i < 2; ++i) {
    items[static_cast<std::size_t>(i)].label = i + 3;
    items[static_cast<std::size_t>(i)].confidence = 0.9F;
    items[static_cast<std::size_t>(i)].exit = i == 0 ? "layer1" : "backbone";
    items[static_cast<std::size_t>(i)].probabilities.assign(7, 0.5F);
  }
  const Body body = infer_response(*model_, asked, items);
  const Json said = Json::parse(body.bytes.substr(0, body.json_bytes));
  EXPECT_EQ(said["id"], "a\"b");
  EXPECT_EQ(said["model_name"], "m");
  EXPECT_EQ(said["parameters"]["exits"], "layer1,backbone");
  EXPECT_EQ(said["parameters"]["confidences"], "0.9,0.9");
  EXPECT_EQ(said["outputs"][1]["data"], Json({3, 4}));
  EXPECT_EQ(said["outputs"][0]["parameters"]["binary_data_size"], 4 + 6 + 4 + 8);
  EXPECT_EQ(said["outputs"][2]["shape"], Json({2, 7}));
  EXPECT_EQ(body.bytes.substr(body.json_bytes, 10), std::string("\6\0\0\0layer1", 10));
  EXPECT_EQ(body.bytes.size(), body.json_bytes + 22 + 2 * 7 * 4);
}

}  // namespace
}  // namespace cachectl::serve
