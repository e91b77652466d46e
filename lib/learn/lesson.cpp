#include "learn/lesson.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/cancel.h"

namespace cachectl::learn {
namespace {

constexpr std::int64_t kExamBatch = 256;

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

// The dearest first, so that the workers end together.
std::vector<std::size_t> by_cost(const std::vector<Student>& students) {
  std::vector<std::size_t> order(students.size());
  std::iota(order.begin(), order.end(), 0);
  std::vector<double> macs;
  macs.reserve(students.size());
  for (const auto& student : students) macs.push_back(student.model().cost().macs);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return macs[a] > macs[b]; });
  return order;
}

}  // namespace

std::int64_t steps_of(const Recipe& recipe, std::int64_t count) {
  return recipe.epochs * batches_in(count, recipe.batch_size);
}

void teach(Source& source, std::vector<Student>& students, const Recipe& recipe, std::int64_t count,
           std::int64_t first, std::int64_t last, Workers& workers,
           const std::function<bool(std::int64_t)>& after_epoch) {
  const auto order = by_cost(students);
  for (std::int64_t epoch = first; epoch < last; ++epoch) {
    const LayerUse use(students, source.layers().size());
    if (use.layers.empty()) return;
    for (auto& student : students) student.reset_mean();
    source.epoch(epoch, count, recipe.batch_size, use.layers, [&](const Batch& batch) {
      cancel::throw_if_requested();
      workers.run(students.size(), [&](std::size_t i) {
        Student& student = students[order[i]];
        if (!student.active()) return;
        student.step(batch.activations[use.place[student.layer()]], batch.pd);
      });
    });
    if (after_epoch && !after_epoch(epoch + 1)) return;
  }
}

std::vector<Answers> examine(Source& source, const std::vector<Student>& students,
                             Workers& workers) {
  const LayerUse use(students, source.layers().size());
  const auto order = by_cost(students);
  const at::Tensor pd = source.validation_pd();
  std::vector<Answers> answers(students.size());
  for (std::int64_t first = 0; first < pd.size(0); first += kExamBatch) {
    cancel::throw_if_requested();
    const std::int64_t count = std::min(kExamBatch, pd.size(0) - first);
    std::vector<at::Tensor> activations;
    for (const auto layer : use.layers) {
      activations.push_back(source.validation(layer, first, count));
    }
    workers.run(students.size(), [&](std::size_t i) {
      const Student& student = students[order[i]];
      if (!student.active()) return;
      const at::NoGradGuard no_grad;
      answers[order[i]].add(student.model().forward(activations[use.place[student.layer()]], false),
                            pd.narrow(0, first, count));
    });
  }
  return answers;
}

}  // namespace cachectl::learn
