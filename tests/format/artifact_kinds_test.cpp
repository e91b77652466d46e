#include <gtest/gtest.h>

#include "artifact/caches.h"
#include "artifact/plan.h"
#include "format/corruption.h"
#include "support/artifacts.h"

namespace cachectl::format_test {
namespace {

using artifact::test::options;

std::map<std::string, io::Provenance> inputs() {
  return {{"backbone", io::outside_input("backbone", "abc", "resnet.pt")}};
}

Kind plan_kind() {
  return {"plan",
          [](const std::string& path) {
            artifact::write_plan(path, artifact::test::two_plans(), options(), inputs());
          },
          [](const std::string& path) { artifact::read_plan(path); }};
}

class Damaged : public testing::TestWithParam<Kind> {};

TEST_P(Damaged, FileIsRefusedByName) {
  EXPECT_GE(expect_all_refused(GetParam()), 60);
}

INSTANTIATE_TEST_SUITE_P(Artifacts, Damaged, testing::Values(plan_kind()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace cachectl::format_test
