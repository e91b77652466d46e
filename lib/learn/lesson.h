#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "learn/figures.h"
#include "learn/source.h"
#include "learn/student.h"
#include "model/workers.h"

namespace cachectl::learn {

// Trains all students in one pass over the data: each batch is read and converted once, and
// every student steps on it. Epochs first..last-1, on `count` samples each. What a student
// learns depends neither on the others nor on the number of workers. One whose model takes a
// prior (a cascade) depends on the student in front of it in the list alone: it gets the logits
// of that one's forward pass on the same batch, and stands still where there are none because
// that one has failed or was stopped.
// after_epoch(epochs done): false ends the lesson. Throws cancel::Cancelled after a signal.
void teach(Source& source, std::vector<Student>& students, const Recipe& recipe, std::int64_t count,
           std::int64_t first, std::int64_t last, model::Workers& workers,
           const std::function<bool(std::int64_t)>& after_epoch = {});

// Each student's answers on the validation part; one that failed or was stopped has none, nor
// has one that stands still.
std::vector<Answers> examine(Source& source, const std::vector<Student>& students,
                             model::Workers& workers);

// The steps of a whole cycle.
std::int64_t steps_of(const Recipe& recipe, std::int64_t count);

}  // namespace cachectl::learn
