#include "labels/labels_file.h"

#include <gtest/gtest.h>

#include "data/dataset.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace cachectl::labels {
namespace {

io::Provenance made_of() {
  return io::outside_input("data", "d", "some");
}

TEST(LabelsFile, HoldsTheTruthOfADataSetById) {
  const Scratch scratch;
  Options options;
  options.common.no_provenance = true;
  options.data.samples = 30;
  options.data.image_size = 16;
  options.out = scratch.path("labels.h5");
  testing::internal::CaptureStdout();
  run(options);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), testing::HasSubstr("30 samples of 10"));
  const LabelsFile file = read_labels(options.out);
  EXPECT_EQ(file.ids, data::open_dataset(options.data, options.common)->ids());
  EXPECT_EQ(file.labels.values, open_labels(options.data, options.common).values);
}

TEST(LabelsFile, RefusesWhatCanNotBeTrue) {
  const Scratch scratch;
  LabelsFile file;
  file.ids = {1, 2, 3};
  file.labels.values = {0, kUnknown, 5};
  file.labels.classes = 5;
  write_labels(scratch.path("a.h5"), file, {}, made_of());
  expect_error([&] { read_labels(scratch.path("a.h5")); }, ExitCode::kCorrupt,
               "has class 5, expected -1 to 4");
  file.labels.values[2] = 4;
  file.ids[2] = 1;
  write_labels(scratch.path("b.h5"), file, {}, made_of());
  expect_error([&] { read_labels(scratch.path("b.h5")); }, ExitCode::kCorrupt,
               "3 samples, but 2 different ids");
}

}  // namespace
}  // namespace cachectl::labels
