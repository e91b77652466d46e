#include "train/validate.h"

#include <algorithm>
#include <optional>

namespace cachectl::train {
namespace {

using Figures = std::vector<std::optional<learn::Figures>>;  // nothing: no more, or no numbers

void keep(Course& course, const learn::Student& student, std::int64_t epoch, double agreement) {
  course.best_agreement = agreement;
  course.best_epoch = epoch;
  course.best = student.model().state();
}

bool is_patient(const Course& course, std::int64_t epoch, const Keeping& keeping) {
  return keeping.patience == 0 ||
         epoch - course.gain_epoch < keeping.patience * keeping.validate_every;
}

void stop(Course& course, learn::Student& student) {
  course.stopped = true;
  student.stop();
}

void keep_each(std::vector<Course>& courses, std::vector<learn::Student>& students,
               const Figures& figures, std::int64_t epoch, const Keeping& keeping) {
  for (std::size_t i = 0; i < courses.size(); ++i) {
    if (!figures[i]) continue;
    const double now = figures[i]->agreement, best = courses[i].best_agreement;
    if (now >= best) keep(courses[i], students[i], epoch, now);
    if (now > best) courses[i].gain_epoch = epoch;
    if (!is_patient(courses[i], epoch, keeping)) stop(courses[i], students[i]);
  }
}

void keep_together(std::vector<Course>& courses, std::vector<learn::Student>& students,
                   const Figures& figures, std::int64_t epoch, const Keeping& keeping) {
  double now = 0, best = 0;  // sums over the same layers
  bool is_whole = true;
  for (std::size_t i = 0; i < courses.size(); ++i) {
    if (!figures[i]) {
      if (students[i].active()) students[i].give_up();
      is_whole = false;
      continue;
    }
    now += figures[i]->agreement;
    best += courses[i].best_agreement;
  }
  if (!is_whole) return;
  for (std::size_t i = 0; i < courses.size(); ++i) {
    if (now >= best) keep(courses[i], students[i], epoch, figures[i]->agreement);
    if (now > best) courses[i].gain_epoch = epoch;
    if (!is_patient(courses[i], epoch, keeping)) stop(courses[i], students[i]);
  }
}

}  // namespace

void validate(learn::Source& source, std::vector<Course>& courses,
              std::vector<learn::Student>& students, std::int64_t epoch, const Keeping& keeping,
              model::Workers& workers) {
  const auto answers = learn::examine(source, students, workers);
  Figures figures(courses.size());
  for (std::size_t i = 0; i < courses.size(); ++i) {
    if (answers[i].predictions.empty() || !answers[i].all_finite()) continue;
    figures[i] = learn::judge(answers[i], 1, 0, 0);
    courses[i].curve.push_back(
        {epoch, students[i].mean_loss(), figures[i]->divergence, figures[i]->agreement});
  }
  const auto keep_best = keeping.cascade ? keep_together : keep_each;
  keep_best(courses, students, figures, epoch, keeping);
}

}  // namespace cachectl::train
