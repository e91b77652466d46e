#include "learn/lesson.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cassert>
#include <numeric>

#include "base/cancel.h"
#include "learn/relay.h"

namespace cachectl::learn {
namespace {

constexpr std::int64_t kExamRows = 256;
constexpr double kExamBytes = 256.0 * 1024 * 1024;  // of their activations, all layers together

// Layers in use, and where each is among them.
struct LayerUse {
  std::vector<std::size_t> layers, place;
  explicit LayerUse(const std::vector<Student>& students, std::size_t known) : place(known, 0) {
    std::vector<char> used(known, 0);
    for (const auto& student : students) {
      if (student.active()) used[student.layer()] = 1;
    }
    for (std::size_t layer = 0; layer < known; ++layer) {
      place[layer] = layers.size();
      if (used[layer]) layers.push_back(layer);
    }
  }
};

std::int64_t exam_rows(const Source& source, const LayerUse& use) {
  const double fit = kExamBytes / std::max(1.0, sample_bytes(source.layers(), use.layers));
  return std::clamp(static_cast<std::int64_t>(fit), std::int64_t{1}, kExamRows);
}

// The dearest first, so that the workers end together. In a cascade as they stand: who waits
// for another's logits then waits for one that has begun.
std::vector<std::size_t> turns(const std::vector<Student>& students) {
  std::vector<std::size_t> order(students.size());
  std::iota(order.begin(), order.end(), 0);
  const bool cascade = std::any_of(students.begin(), students.end(), [](const Student& student) {
    return student.model().takes_prior();
  });
  if (cascade) return order;
  std::vector<double> macs;
  macs.reserve(students.size());
  for (const auto& student : students) macs.push_back(student.model().cost().macs);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return macs[a] > macs[b]; });
  return order;
}

// Calls task(student, its prior, pass_on) for all that are active and have their prior. A
// student's task waits for the logits of the one in front, not for the end of its task.
using Task = std::function<void(std::size_t, const at::Tensor&, const Student::PassOn&)>;
void in_turn(const std::vector<Student>& students, const std::vector<std::size_t>& order,
             model::Workers& workers, const Task& task) {
  Relay relay(students.size());
  workers.run(students.size(), [&](std::size_t turn) {
    const std::size_t i = order[turn];
    // Whatever happens here, nobody waits for ever.
    struct Farewell {
      Relay& relay;
      std::size_t student;
      ~Farewell() { relay.hand_over(student, {}); }
    } farewell{relay, i};
    if (!students[i].active()) return;
    at::Tensor prior;
    if (students[i].model().takes_prior()) {
      assert(i > 0);
      prior = relay.take_from(i - 1);
      if (!prior.defined()) return;
    }
    task(i, prior, [&](const at::Tensor& logits) { relay.hand_over(i, logits); });
  });
}

}  // namespace

std::int64_t steps_of(const Recipe& recipe, std::int64_t count) {
  return recipe.epochs * batches_in(count, recipe.batch_size);
}

void teach(Source& source, std::vector<Student>& students, const Recipe& recipe, std::int64_t count,
           std::int64_t first, std::int64_t last, model::Workers& workers,
           const std::function<bool(std::int64_t)>& after_epoch) {
  const auto order = turns(students);
  for (std::int64_t epoch = first; epoch < last; ++epoch) {
    const LayerUse use(students, source.layers().size());
    if (use.layers.empty()) return;
    for (auto& student : students) student.reset_mean();
    source.epoch(epoch, count, recipe.batch_size, use.layers, [&](const Batch& batch) {
      cancel::throw_if_requested();
      in_turn(students, order, workers,
              [&](std::size_t i, const at::Tensor& prior, const Student::PassOn& pass_on) {
                Student& student = students[i];
                student.step(batch.activations[use.place[student.layer()]], batch.pd, prior,
                             pass_on);
              });
    });
    if (after_epoch && !after_epoch(epoch + 1)) return;
  }
}

std::vector<Answers> examine(Source& source, const std::vector<Student>& students,
                             model::Workers& workers) {
  const LayerUse use(students, source.layers().size());
  const auto order = turns(students);
  const at::Tensor pd = source.validation_pd();
  std::vector<Answers> answers(students.size());
  const std::int64_t rows = exam_rows(source, use);
  for (std::int64_t first = 0; first < pd.size(0); first += rows) {
    cancel::throw_if_requested();
    const std::int64_t count = std::min(rows, pd.size(0) - first);
    std::vector<at::Tensor> activations;
    for (const auto layer : use.layers) {
      activations.push_back(source.validation(layer, first, count));
    }
    in_turn(students, order, workers,
            [&](std::size_t i, const at::Tensor& prior, const Student::PassOn& pass_on) {
              const c10::NoGradGuard no_grad;
              const Student& student = students[i];
              const at::Tensor logits =
                  student.model().forward(activations[use.place[student.layer()]], prior, false);
              pass_on(logits);
              answers[i].add(logits, pd.narrow(0, first, count));
            });
  }
  return answers;
}

}  // namespace cachectl::learn
