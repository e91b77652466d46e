#include "select/self_test.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/dataset.h"

namespace cachectl::select {
namespace {

// In front of an exit that needs it, or required: its answers don't count, however near its
// threshold they would be.
TEST(SelfTest, TakesSamplesBehindAnExitThatNeverHits) {
  Options options;
  options.common.log_level = "quiet";
  options.data.kind = "synthetic";
  options.data.samples = 12;
  options.data.image_size = 8;
  options.self_test = 5;
  Problem problem;
  problem.caches.validation_ids = data::open_dataset(options.data, options.common)->ids();
  const std::size_t samples = problem.caches.validation_ids.size();
  problem.validation.backbone.assign(samples, 3);
  for (const float confidence : {1.0f, 0.9f}) {
    problem.validation.exits.push_back(
        {std::vector<std::int32_t>(samples, 3), std::vector<float>(samples, confidence)});
  }
  artifact::PlanFile file;
  file.plans.resize(1);
  add_self_test(options, problem, {{{0, decision::kNeverHits}, {1, 0.5f}}}, file);
  EXPECT_EQ(file.self_test_inputs.size(0), 5);
  EXPECT_THAT(file.plans[0].self_test_labels, testing::ElementsAre(3, 3, 3, 3, 3));
  EXPECT_THAT(file.plans[0].self_test_exits, testing::Each(1));
}

}  // namespace
}  // namespace cachectl::select
