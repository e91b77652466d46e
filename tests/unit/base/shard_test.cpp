#include "base/shard.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace cachectl {
namespace {

TEST(Shard, IsReadAsPartOfAWhole) {
  EXPECT_EQ(parse_shard("2/5")->number, 2);
  EXPECT_EQ(parse_shard("2/5")->of, 5);
  EXPECT_EQ(parse_shard("01/10")->number, 1);  // as seq -w writes it
  EXPECT_EQ(shard_of_flag("").of, 1);
  for (const char* text : {"", "2", "3/2", "0/2", "-1/2", "1/2/3", "1/2x", " 1/2", "1/", "/2",
                           "1/99999999999999999999"}) {
    EXPECT_FALSE(parse_shard(text)) << text;
  }
  expect_error([] { shard_of_flag("3/2"); }, ExitCode::kUsage, "expected i/n");
}

}  // namespace
}  // namespace cachectl
