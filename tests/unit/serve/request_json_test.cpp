#include "serve/request_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/serve/refused.h"

namespace cachectl::serve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

JsonLimits limits() {
  JsonLimits limits;
  limits.max_depth = 8;
  limits.max_values = 50;
  limits.max_numbers = 6;
  return limits;
}
RequestJson parse(const std::string& text) {
  return parse_request_json(text, limits());
}
std::string data(const std::string& values) {
  return R"({"inputs": [{"name": "x", "data": )" + values + "}]}";
}

TEST(RequestJson, KeepsTensorsApartFromTheRest) {
  const RequestJson request =
      parse(R"({"id": "a", "inputs": [{"data": [1, 2.5, -3e-1], "name": "x"}], "n": 4})");
  EXPECT_EQ(request.head["id"], "a");
  EXPECT_EQ(request.head["inputs"][0]["name"], "x");
  EXPECT_FALSE(request.head["inputs"][0].contains("data"));
  ASSERT_EQ(request.data.size(), 1U);
  EXPECT_THAT(request.data[0].numbers, ElementsAre(1.0F, 2.5F, -0.3F));
  EXPECT_THAT(request.data[0].nesting, ElementsAre(3));
}

TEST(RequestJson, FlattensNestedArraysAndTellsTheirShape) {
  const RequestJson request = parse(data("[[1, 2], [3, 4], [5, 6]]"));
  EXPECT_THAT(request.data[0].numbers, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(request.data[0].nesting, ElementsAre(3, 2));
}

TEST(RequestJson, KeysNamedDataElsewhereAreOrdinary) {
  const RequestJson request = parse(R"({"parameters": {"data": [true, [1]]}, "data": [2]})");
  EXPECT_EQ(request.head["data"][0], 2);
  EXPECT_EQ(request.head["parameters"]["data"][1][0], 1);
  EXPECT_TRUE(request.data.empty());
}

TEST(RequestJson, RefusesRaggedAndMixedTensors) {
  EXPECT_THAT(refused([] { parse(data("[[1, 2], [3]]")); }, 400), HasSubstr("differ in length"));
  EXPECT_THAT(refused([] { parse(data("[1, [2]]")); }, 400), HasSubstr("different levels"));
  EXPECT_THAT(refused([] { parse(data("[1, null]")); }, 400), HasSubstr("neither"));
  EXPECT_THAT(refused([] { parse(data("[{}]")); }, 400), HasSubstr("object"));
  EXPECT_THAT(refused([] { parse(R"({"inputs": [{"data": [1], "data": [2]}]})"); }, 400),
              HasSubstr("twice"));
}

TEST(RequestJson, RefusesWhatIsBeyondItsLimits) {
  EXPECT_THAT(refused([] { parse(data("[1, 2, 3, 4, 5, 6, 7]")); }, 413), HasSubstr("6 numbers"));
  EXPECT_THAT(refused([] { parse(std::string(100'000, '[')); }, 400), HasSubstr("object"));
  EXPECT_THAT(refused([] { parse("{\"a\": " + std::string(100'000, '[')); }, 413),
              HasSubstr("deeper than 8"));
  EXPECT_THAT(refused([] { parse(data(std::string(100'000, '['))); }, 413), HasSubstr("deeper"));
  std::string many = "{\"a\": [0";
  for (int i = 0; i < 60; ++i) many += ",0";
  EXPECT_THAT(refused([&] { parse(many + "]}"); }, 413), HasSubstr("too many values"));
}

TEST(RequestJson, RefusesWhatIsNoJsonObject) {
  for (const char* text : {"", " ", "{", "[1]", "1", "nul", "{\"a\": 1,}", "{\"a\": 1} x",
                           "{\"a\": 1e999}", "{\"a\": \"\xff\"}", "\"\\ud800\"", "{\"a\" 1}"}) {
    refused([&] { parse(text); }, 400);
  }
  EXPECT_THAT(refused([] { parse(R"({"a": 1, "a": 2})"); }, 400), HasSubstr("twice"));
}

}  // namespace
}  // namespace cachectl::serve
