#include <gtest/gtest.h>

#include "base/error.h"
#include "format/corruption.h"
#include "format/kinds.h"
#include "support/expect_error.h"
#include "support/reseal.h"
#include "support/scratch.h"

namespace cachectl::format_test {
namespace {

class EveryKind : public testing::TestWithParam<Kind> {};

TEST_P(EveryKind, IsRefusedByNameWhenDamaged) {
  EXPECT_GE(expect_all_refused(GetParam()), 60);
}

TEST_P(EveryKind, IsNotReadAsAnother) {
  const Scratch scratch;
  const std::string path = scratch.path("one.h5");
  GetParam().build(path);
  for (const auto& other : all_kinds()) {
    if (other.magic == GetParam().magic) continue;
    expect_error([&] { other.read(path); }, ExitCode::kIncompatible,
                 path + ": is a " + GetParam().magic + " file");
    expect_error([&] { other.read(path); }, ExitCode::kIncompatible,
                 "expected a " + other.magic + " file");
  }
}

TEST_P(EveryKind, OfAVersionThatIsNotKnownIsRefused) {
  const Scratch scratch;
  const std::string path = scratch.path("one.h5");
  GetParam().build(path);
  const auto with_version = [&](std::int64_t version) {
    io::File file = io::File::open_to_write(path);
    file.root().set("format_version", version);
    file.close();
    reseal(path);
    return [&] { GetParam().read(path); };
  };
  const std::int64_t latest = io::format_of(GetParam().magic).latest;
  expect_error(with_version(latest + 1), ExitCode::kIncompatible,
               "use the cachectl that made it, or a newer one");
  expect_error(with_version(0), ExitCode::kIncompatible, "make it anew");
}

INSTANTIATE_TEST_SUITE_P(Format, EveryKind, testing::ValuesIn(all_kinds()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cachectl::format_test
