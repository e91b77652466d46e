#include "model/trial.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "model/program.h"

namespace cachectl::model {
namespace {

struct Trial {
  at::Tensor output;
  std::string error;
};

Trial attempt(const std::function<at::Tensor()>& run, std::int64_t rows) {
  try {
    at::Tensor output = run();
    if (output.dim() == 0 || output.size(0) != rows) {
      return {{},
              "the output has shape " + text::shape(output.sizes().vec()) + " for " +
                  std::to_string(rows) + " samples"};
    }
    return {output, ""};
  } catch (const std::exception& error) {
    return {{}, first_line(error)};
  }
}

Trial attempt(const Program& program, const Tensors& inputs, std::int64_t rows) {
  return attempt([&] { return program.run(with_rows(inputs, rows)); }, rows);
}

constexpr std::array<std::int64_t, 2> kSameFor = {kTrialRows, 1};

// Folded weights round otherwise than the layers that the file has.
double file_tolerance(const BackboneOptions& options) {
  return options.precision == "float32" ? 1e-3 : 0.25;
}

}  // namespace

Tensors with_rows(const Tensors& inputs, std::int64_t rows) {
  Tensors result;
  for (const at::Tensor& input : inputs) {
    const std::int64_t given = input.size(0);
    const at::Tensor index = at::arange(rows, at::kLong).remainder(given).to(input.device());
    at::Tensor batch = input.index_select(0, index);
    if (at::isFloatingType(batch.scalar_type())) {
      for (std::int64_t row = given; row < rows; ++row) {
        const std::int64_t rounds = row / given;
        batch.select(0, row).mul_(1 - 0.125 * static_cast<double>(rounds));
      }
    }
    result.push_back(batch);
  }
  return result;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  const double scale = std::max(1.0, b.to(at::kDouble).abs().max().item<double>());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>() / scale;
}

double row_tolerance(const BackboneOptions& options) {
  return options.precision == "float32" ? 1e-3 : 0.1;
}

void require_classifier(const GraphPtr& graph, const Tensors& example,
                        const BackboneOptions& options) {
  const Program program(graph);
  const Trial three = attempt(program, example, kTrialRows), two = attempt(program, example, 2);
  if (!three.error.empty() || !two.error.empty()) {
    for (const std::int64_t rows : {1, 2, 3, 4, 8, 16, 32, 64}) {
      if (!attempt(program, example, rows).error.empty()) continue;
      fail(ExitCode::kIncompatible,
           "{}: works on batches of {} samples only: tracing has baked the batch size in ({}); "
           "export it again with torch.jit.script, or trace code that takes sizes from x.shape",
           options.path, rows, three.error.empty() ? two.error : three.error);
    }
    fail(
        ExitCode::kIncompatible, "{}: forward fails on these inputs ({} each): {}", options.path,
        [&] {
          std::vector<std::string> shapes;
          for (const auto& input : example) {
            shapes.push_back(text::shape(input.sizes().slice(1).vec()));
          }
          return text::join(shapes, ", ");
        }(),
        three.error);
  }
  const at::Tensor& output = three.output;
  if (output.dim() != 2 || output.size(1) < 2 || !at::isFloatingType(output.scalar_type())) {
    fail(ExitCode::kIncompatible,
         "{}: not a classifier: the output has shape {} for {} samples; expected [samples, "
         "classes] of floating point; where forward returns several, name the one by "
         "backbone.output",
         options.path, text::shape(output.sizes().vec()), kTrialRows);
  }
  if (!at::isfinite(output).all().item<bool>()) {
    fail(ExitCode::kIncompatible, "{}: the output is not finite on the example inputs",
         options.path);
  }
  const Trial one = attempt(program, example, 1);
  const double tolerance = row_tolerance(options);
  // So written that a distance which is no number is none that will do.
  const auto differ = [&](const at::Tensor& a, const at::Tensor& b) {
    return !(distance(a, b) <= tolerance);
  };
  if (!one.error.empty() || differ(one.output, output.slice(0, 0, 1)) ||
      differ(two.output, output.slice(0, 0, 2))) {
    fail(ExitCode::kIncompatible,
         "{}: a sample's output depends on the other samples in its batch{}; was the model "
         "exported in training mode, or with a batch size baked in by tracing?",
         options.path, one.error.empty() ? "" : " (" + one.error + ")");
  }
}

std::vector<Tensors> answers_of(const Frozen& frozen, const Tensors& example,
                                const BackboneOptions& options) {
  std::vector<Tensors> answers;
  for (const std::int64_t rows : kSameFor) {
    try {
      answers.push_back(frozen.original(with_rows(example, rows)));
    } catch (const std::exception& error) {
      fail(ExitCode::kIncompatible, "{}: forward fails on {} samples: {}", options.path, rows,
           first_line(error));
    }
  }
  return answers;
}

void require_same(const std::vector<Tensors>& original, const SegmentChain& chain,
                  const Tensors& example, const BackboneOptions& options) {
  for (std::size_t i = 0; i < original.size(); ++i) {
    const Tensors batch = with_rows(example, kSameFor[i]);
    const Trial found = attempt([&] { return chain.run(batch); }, kSameFor[i]);
    const auto is_answer = [&](const at::Tensor& of_file) {
      return distance(found.output, of_file) <= file_tolerance(options);
    };
    if (found.error.empty() && std::any_of(original[i].begin(), original[i].end(), is_answer)) {
      continue;
    }
    fail(ExitCode::kIncompatible,
         "{}: taken apart, it does not answer {} samples as its own forward does{}; this kind of "
         "program can't be cut: please report it",
         options.path, kSameFor[i], found.error.empty() ? "" : " (" + found.error + ")");
  }
}

}  // namespace cachectl::model
