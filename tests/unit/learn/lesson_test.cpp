#include "learn/lesson.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <stdexcept>

#include "support/expect_error.h"
#include "unit/learn/synthetic.h"

namespace cachectl::learn {
namespace {

Recipe quick(std::int64_t epochs) {
  Recipe recipe;
  recipe.epochs = epochs;
  recipe.batch_size = 32;
  recipe.learning_rate = 1e-2;
  return recipe;
}

Student student_on(Source& source, std::size_t layer, const char* text, const Recipe& recipe,
                   std::uint64_t seed = 1, bool takes_prior = false) {
  return {model::CacheModel(model::Architecture::parse(text), source.layers()[layer].shape,
                            source.classes(), seed, takes_prior),
          layer, recipe, steps_of(recipe, source.samples())};
}

TEST(Lesson, TeachesSeveralArchitecturesOnSeveralLayersInOnePass) {
  auto source = synthetic_source();
  const auto recipe = quick(8);
  std::vector<Student> students;
  students.push_back(student_on(source, 0, "conv3x3/2-8, pool2", recipe));
  students.push_back(student_on(source, 1, "fc16", recipe));
  students.push_back(student_on(source, 0, "linear", recipe));
  model::Workers workers(2);
  teach(source, students, recipe, source.samples(), 0, recipe.epochs, workers);
  for (const auto& answers : examine(source, students, workers)) {
    EXPECT_GT(judge(answers, 1, 0, 0.01).agreement, 0.75);  // chance: 0.25
  }
}

TEST(Lesson, TeachesAStudentTheSameAloneAndWithOthersAndOnAnyWorkers) {
  auto source = synthetic_source();
  const auto recipe = quick(3);
  const auto learn = [&](std::size_t threads, bool company) {
    std::vector<Student> students;
    if (company) students.push_back(student_on(source, 0, "fc32", recipe, 4));
    students.push_back(student_on(source, 0, "conv3x3/2-8, pool2", recipe));
    if (company) students.push_back(student_on(source, 1, "fc8", recipe, 5));
    model::Workers workers(threads);
    teach(source, students, recipe, source.samples(), 0, recipe.epochs, workers);
    return students[company ? 1 : 0].state();
  };
  const auto alone = learn(1, false), together = learn(3, true);
  for (const auto& [name, value] : alone) EXPECT_TRUE(at::equal(value, together.at(name))) << name;
}

TEST(Lesson, GoesOnFromARestoredStateAsIfItHadNotStopped) {
  auto source = synthetic_source();
  const auto recipe = quick(4);
  model::Workers workers(1);
  std::vector<Student> whole, half, rest;
  whole.push_back(student_on(source, 0, "conv3x3/2-8, pool2", recipe));
  teach(source, whole, recipe, source.samples(), 0, 4, workers);
  half.push_back(student_on(source, 0, "conv3x3/2-8, pool2", recipe));
  teach(source, half, recipe, source.samples(), 0, 2, workers);
  rest.push_back(student_on(source, 0, "conv3x3/2-8, pool2", recipe, 77));
  rest[0].restore(half[0].state(), "partial");
  teach(source, rest, recipe, source.samples(), 2, 4, workers);
  const auto expected = whole[0].state();
  for (const auto& [name, value] : rest[0].state()) {
    EXPECT_TRUE(at::equal(value, expected.at(name))) << name;
  }
}

TEST(Lesson, ALossThatIsNoNumberEndsThatStudentOnly) {
  auto source = synthetic_source();
  auto recipe = quick(2);
  auto wild = recipe;
  wild.learning_rate = 1e30;
  std::vector<Student> students;
  students.push_back(student_on(source, 0, "fc16", wild));
  students.push_back(student_on(source, 0, "fc16", recipe));
  model::Workers workers(2);
  teach(source, students, recipe, source.samples(), 0, recipe.epochs, workers);
  EXPECT_TRUE(students[0].failed());
  EXPECT_FALSE(students[1].failed());
  // A checkpoint holds numbers only, and knows.
  for (const auto& [name, values] : students[0].state()) {
    EXPECT_TRUE(at::isfinite(values).all().item<bool>()) << name;
  }
  auto restored = student_on(source, 0, "fc16", wild);
  restored.restore(students[0].state(), "partial");
  EXPECT_TRUE(restored.failed());
  const auto answers = examine(source, students, workers);
  EXPECT_TRUE(answers[0].predictions.empty());
  EXPECT_GT(judge(answers[1], 1, 0, 0.01).agreement, 0.5);
}

std::vector<Student> cascade_on(Source& source, const Recipe& recipe) {
  std::vector<Student> students;
  students.push_back(student_on(source, 0, "linear", recipe, 3));
  // The middle one is by far the dearest: were it taken first, the others' logits would miss.
  students.push_back(student_on(source, 0, "conv3x3-32, conv3x3-32", recipe, 4, true));
  students.push_back(student_on(source, 1, "fc8", recipe, 5, true));
  students.push_back(student_on(source, 1, "linear", recipe, 6, true));
  return students;
}

// One student after the other on each batch, written out.
TEST(Lesson, TeachesACascadeOnAnyWorkersAsOneAfterTheOther) {
  auto source = synthetic_source();
  auto recipe = quick(3);
  recipe.precision = "float32";  // as the twins below compute
  auto expected = cascade_on(source, recipe);
  // On a worker too: sums may differ in their last bits where several threads share them.
  model::Workers alone(1);
  for (std::int64_t epoch = 0; epoch < recipe.epochs; ++epoch) {
    source.epoch(epoch, source.samples(), recipe.batch_size, {0, 1}, [&](const Batch& batch) {
      at::Tensor logits;
      alone.run(expected.size(), [&](std::size_t i) {
        Student& student = expected[i];
        const at::Tensor& activations = batch.activations[student.layer()];
        // A copy's forward pass: the step below is the one that moves its statistics.
        const auto twin = model::CacheModel::from_state(
            student.model().architecture(), student.model().input_shape(), source.classes(),
            student.model().state(), "twin", student.model().takes_prior());
        const at::Tensor own = twin.forward(activations, logits, true).detach();
        student.step(activations, batch.pd, logits);
        logits = own;
      });
    });
  }
  for (const std::size_t threads : {1, 2, 3}) {
    auto students = cascade_on(source, recipe);
    model::Workers workers(threads);
    teach(source, students, recipe, source.samples(), 0, recipe.epochs, workers);
    for (std::size_t i = 0; i < students.size(); ++i) {
      const auto state = expected[i].state();
      for (const auto& [name, value] : students[i].state()) {
        EXPECT_TRUE(at::equal(value, state.at(name))) << i << " " << name;
      }
    }
    const auto answers = examine(source, students, workers);
    const auto pd = source.validation_pd();
    at::Tensor logits;
    for (std::size_t i = 0; i < students.size(); ++i) {
      logits = students[i]
                   .model()
                   .forward(source.validation(students[i].layer(), 0, pd.size(0)), logits, false)
                   .detach();
      std::int64_t alike = 0;
      for (std::size_t k = 0; k < answers[i].predictions.size(); ++k) {
        alike += answers[i].predictions[k] ==
                 logits.argmax(1)[static_cast<std::int64_t>(k)].item<std::int64_t>();
      }
      EXPECT_EQ(alike, pd.size(0)) << i;
    }
  }
}

TEST(Lesson, ACascadeBehindAFailureStandsStill) {
  auto source = synthetic_source();
  const auto recipe = quick(2);
  auto wild = recipe;
  wild.learning_rate = 1e30;
  std::vector<Student> students;
  students.push_back(student_on(source, 0, "fc16", recipe));
  students.push_back(student_on(source, 0, "fc16", wild, 2, true));
  students.push_back(student_on(source, 1, "fc16", recipe, 3, true));
  model::Workers workers(2);
  teach(source, students, recipe, source.samples(), 0, recipe.epochs, workers);
  EXPECT_FALSE(students[0].failed());
  EXPECT_TRUE(students[1].failed());
  const auto steps = steps_of(recipe, source.samples());
  EXPECT_EQ(students[0].steps_done(), steps);
  EXPECT_LT(students[2].steps_done(), steps);
  const auto answers = examine(source, students, workers);
  EXPECT_FALSE(answers[0].predictions.empty());
  EXPECT_TRUE(answers[1].predictions.empty());
  EXPECT_TRUE(answers[2].predictions.empty());
}

TEST(Lesson, EndsWhenTheCallerHasSeenEnough) {
  auto source = synthetic_source();
  const auto recipe = quick(5);
  std::vector<Student> students;
  students.push_back(student_on(source, 1, "linear", recipe));
  model::Workers workers(1);
  std::int64_t epochs = 0;
  teach(source, students, recipe, source.samples(), 0, 5, workers, [&](std::int64_t done) {
    epochs = done;
    return done < 2;
  });
  EXPECT_EQ(epochs, 2);
}

TEST(OneCycle, RisesToItsTopAndFallsToNearNothing) {
  Recipe recipe;
  recipe.learning_rate = 0.5;
  double highest = 0;
  for (std::int64_t step = 0; step < 1000; ++step) {
    highest = std::max(highest, one_cycle(recipe, step, 1000));
  }
  EXPECT_NEAR(highest, 0.5, 1e-3);
  EXPECT_LT(one_cycle(recipe, 0, 1000), 0.5 / 20);
  EXPECT_LT(one_cycle(recipe, 999, 1000), 0.5 / 1000);
}

TEST(Student, RefusesAStateOfAnotherArchitecture) {
  auto source = synthetic_source();
  const auto recipe = quick(1);
  auto a = student_on(source, 0, "fc16", recipe);
  auto b = student_on(source, 0, "fc17", recipe);
  expect_error([&] { a.restore(b.state(), "caches.h5.partial"); }, ExitCode::kCorrupt,
               "'optimiser.mean'");
}

}  // namespace
}  // namespace cachectl::learn
