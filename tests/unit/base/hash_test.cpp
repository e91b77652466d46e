#include "base/hash.h"

#include <gtest/gtest.h>

namespace cachectl {
namespace {

TEST(Sha256, AgreesWithThePublishedVectors) {  // FIPS 180-4 examples
  EXPECT_EQ(Sha256().update("abc", 3).hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, FramesStringsByTheirLength) {
  const auto hash = [](std::string_view a, std::string_view b) {
    return Sha256().update(a).update(b).hex();
  };
  EXPECT_NE(hash("ab", "c"), hash("a", "bc"));
}

}  // namespace
}  // namespace cachectl
