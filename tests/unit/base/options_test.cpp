#include "base/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace cachectl {
namespace {

using testing::HasSubstr;

struct Settings {
  std::int64_t epochs = 10;
  double rate = 0.5;
  std::string strategy = "asha";
  std::vector<std::int64_t> batches = {1, 8};
  std::map<std::string, std::string> heads;
};

OptionTable table_of(Settings& settings) {
  OptionTable table;
  table.section("train");
  table.value("epochs", &settings.epochs, "passes").range(1, 1000);
  table.value("learning_rate", &settings.rate, "step").range(0, 1);
  table.value("strategy", &settings.strategy, "how").choices({"asha", "random"});
  table.value("batch", &settings.batches, "sizes").range(1, 512);
  table.value("heads", &settings.heads, "by hand");
  return table;
}

std::string message_of(Option& option, const std::vector<std::string>& words) {
  try {
    option.assign(words, "a.yaml:3");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(Options, TakeTheirFlagAndKeyFromOneName) {
  Settings settings;
  OptionTable table = table_of(settings);
  EXPECT_EQ(table.options()[1].flag, "--learning-rate");
  EXPECT_NE(table.find_key("train.learning_rate"), nullptr);
}

TEST(Options, ParseListsByCommaAndMapsByName) {
  Settings settings;
  OptionTable table = table_of(settings);
  table.find_key("train.batch")->assign({"1,32", "128"}, "--batch");
  EXPECT_THAT(settings.batches, testing::ElementsAre(1, 32, 128));
  table.find_key("train.heads")->assign({"layer1= conv3x3/2-64, fc128"}, "--heads");
  EXPECT_EQ(settings.heads.at("layer1"), "conv3x3/2-64, fc128");
}

TEST(Options, RefuseWithOriginKeyValueAndExpectation) {
  Settings settings;
  OptionTable table = table_of(settings);
  EXPECT_THAT(message_of(*table.find_key("train.epochs"), {"0"}),
              HasSubstr("a.yaml:3: train.epochs: '0': expected a number from 1 to 1000"));
  EXPECT_THAT(message_of(*table.find_key("train.epochs"), {"12x"}), HasSubstr("a whole number"));
  EXPECT_THAT(message_of(*table.find_key("train.learning_rate"), {"nan"}), HasSubstr("expected"));
  EXPECT_THAT(message_of(*table.find_key("train.strategy"), {"ahsa"}),
              HasSubstr("did you mean 'asha'?"));
  EXPECT_THAT(message_of(*table.find_key("train.heads"), {"layer1=pool2", "layer1=fc8"}),
              HasSubstr("each name once"));
  EXPECT_EQ(settings.epochs, 10);
  EXPECT_TRUE(settings.heads.empty());
}

TEST(Options, RecordTheirEffectiveValuesSorted) {
  Settings settings;
  OptionTable table = table_of(settings);
  EXPECT_EQ(table.effective(),
            "train.batch: [1, 8]\ntrain.epochs: 10\ntrain.heads: []\n"
            "train.learning_rate: 0.5\ntrain.strategy: asha\n");
}

}  // namespace
}  // namespace cachectl
