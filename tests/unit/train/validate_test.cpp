#include "train/validate.h"

#include <gtest/gtest.h>

#include "artifact/medial.h"
#include "learn/medial_source.h"
#include "support/tiny_chain.h"

namespace cachectl::train {
namespace {

// A student that no longer learns agrees in every epoch as in the first.
class Validate : public testing::TestWithParam<bool> {};

TEST_P(Validate, KeepsTheLatestOfEqualEpochsAndCountsPatienceFromTheGain) {
  const TinyChain chain(1000);
  const artifact::MedialReader medial(chain.medial_path);
  learn::MedialSource source(medial, {"late"}, false, 1e9, 1);
  model::Workers workers(1);
  const learn::Student student(
      model::CacheModel(model::Architecture::parse("linear"), {16}, medial.classes(), 1), 0,
      learn::Recipe{}, 1);
  std::vector<learn::Student> students = {student};
  std::vector<Course> courses;
  courses.push_back({"late", student, {}, -1, 0, 0, {}, false});
  Keeping keeping;
  keeping.cascade = GetParam();
  keeping.patience = 2;
  keeping.validate_every = 5;
  for (const std::int64_t epoch : {5, 10}) {
    validate(source, courses, students, epoch, keeping, workers);
    EXPECT_EQ(courses[0].best_epoch, epoch);
    EXPECT_EQ(courses[0].gain_epoch, 5);
    EXPECT_FALSE(courses[0].stopped);
  }
  validate(source, courses, students, 15, keeping, workers);
  EXPECT_TRUE(courses[0].stopped);
  EXPECT_FALSE(students[0].active());
}

INSTANTIATE_TEST_SUITE_P(EachAndTogether, Validate, testing::Bool());

}  // namespace
}  // namespace cachectl::train
