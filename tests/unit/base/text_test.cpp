#include "base/text.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/table.h"

namespace cachectl {
namespace {

TEST(Text, WritesQuantitiesAsPeopleDo) {
  EXPECT_EQ(text::bytes(1536), "1.5 KiB");
  EXPECT_EQ(text::count(125.5e6), "125.50 M");
  EXPECT_EQ(text::duration(0.31), "310 ms");
  EXPECT_EQ(text::duration(4320), "1 h 12 min");
  EXPECT_EQ(text::shape({16, 32, 32}), "16x32x32");
  EXPECT_EQ(text::significant(0.01234, 3), "0.0123");
}

TEST(Text, FindsTheNearestWordOnlyWhenItIsNear) {
  EXPECT_EQ(text::nearest("epocs", {"epochs", "batch", "seed"}), "epochs");
  EXPECT_EQ(text::nearest("zzzzzz", {"epochs", "batch", "seed"}), "");
}

TEST(Table, PutsNumbersToTheRightAndWordsToTheLeft) {
  Table table({"name", "share"});
  table.add({"layer2.1", "5"});
  table.add({"a", "100"});
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(), "name      share\nlayer2.1      5\na           100\n");
}

}  // namespace
}  // namespace cachectl
