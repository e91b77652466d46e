#include "model/backbone.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <new>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "model/chain_state.h"
#include "model/cuts.h"
#include "model/places.h"
#include "model/program.h"
#include "model/trial.h"

namespace cachectl::model {

struct Backbone::State {
  BackboneOptions options;
  std::string hash;
  OutputKind output_kind = OutputKind::kLogits;
  std::int64_t num_classes = 0;
  ChainInputs inputs;
  std::shared_ptr<const void> functions;  // see Frozen; outlives the graph
  std::unique_ptr<Dependencies> dependencies;
  Places found;
  std::vector<Candidate> candidates;  // of found.places
  std::shared_ptr<const SegmentChain::State> whole;

  const std::string& path() const { return options.path; }
  Kernels kernels() const {
    const bool plain = options.memory_format == "contiguous" || options.device != "cpu";
    return plain ? Kernels::kLibTorch : Kernels::kFused;
  }
  void detect_output(const at::Tensor& output);
  std::shared_ptr<const SegmentChain::State> build(const std::vector<std::size_t>& places_in) const;
};

void Backbone::State::detect_output(const at::Tensor& output) {
  num_classes = output.size(1);
  if (options.output_kind != "auto") {
    output_kind = output_kind_from_name(options.output_kind);
    return;
  }
  const double slack = options.precision == "float32" ? 1e-4 : 2e-2;
  const at::Tensor values = output.to(at::kDouble);
  const bool sums_to_one = (values.sum(1) - 1).abs().max().item<double>() < slack;
  output_kind = sums_to_one && values.min().item<double>() >= 0 ? OutputKind::kProbabilities
                                                                : OutputKind::kLogits;
}

std::shared_ptr<const SegmentChain::State> Backbone::State::build(
    const std::vector<std::size_t>& places_in) const {
  auto chain = std::make_shared<SegmentChain::State>();
  chain->functions = functions;
  chain->path = options.path;
  chain->inputs = inputs;
  const Cut* from = nullptr;
  for (std::size_t i = 0; i <= places_in.size(); ++i) {
    const Cut* to = nullptr;
    if (i < places_in.size()) {
      to = &found.cuts[found.places[places_in[i]].cut];
      chain->names.push_back(found.places[places_in[i]].candidate.name);
    }
    chain->programs.emplace_back(extract(*dependencies, from, to), kernels());
    from = to;
  }
  return chain;
}

Backbone::Backbone(std::unique_ptr<State> state) : state_(std::move(state)) {}
Backbone::~Backbone() = default;

std::shared_ptr<const Backbone> Backbone::load(const BackboneOptions& options,
                                               const Tensors& inputs) {
  auto state = std::make_unique<State>();
  state->options = options;
  TORCH_CHECK(!inputs.empty(), "a backbone is loaded with an example of its inputs");
  const bool bfloat16 = options.precision == "bfloat16";
  // float32 is float32: by itself LibTorch rounds the factors of a GPU's convolutions to ten bits.
  if (options.device != "cpu") at::globalContext().setAllowTF32CuDNN(false);
  for (const at::Tensor& input : inputs) {
    if (input.dim() == 0 || input.size(0) == 0) {
      fail(ExitCode::kNothingProcessed, "{}: the data set gives no sample to try it on",
           options.path);
    }
    state->inputs.shapes.push_back(input.sizes().slice(1).vec());
    const bool cast = bfloat16 && at::isFloatingType(input.scalar_type());
    state->inputs.dtypes.push_back(cast ? at::kBFloat16 : input.scalar_type());
  }
  state->inputs.device = options.device;
  state->inputs.path = options.path;
  const FreezeOptions freeze{options.path, options.device, bfloat16};
  // Example inputs only: a few rows, as the segments will get them.
  Tensors example;
  for (const at::Tensor& input : inputs) {
    example.push_back(input.slice(0, 0, std::min<std::int64_t>(input.size(0), kTrialRows)));
  }
  example = state->inputs.prepare(example);
  std::vector<Tensors> answers;
  const auto prepare = [&] {
    const Frozen frozen = load_frozen(freeze, example, options.output);
    state->dependencies.reset();
    state->functions = frozen.functions;
    state->dependencies = std::make_unique<Dependencies>(frozen.graph);
    require_classifier(frozen.graph, example, options);
    answers = answers_of(frozen, example, options);
  };
  try {
    prepare();
  } catch (const Error& of_floats) {
    // Data sets give floats; a model of tokens takes whole numbers.
    if (!state->inputs.take_whole_numbers(example)) throw;
    try {
      prepare();
    } catch (const Error& of_numbers) {
      fail(of_floats.code(), "{}; and taken as whole numbers: {}", of_floats.what(),
           of_numbers.what());
    }
  }
  state->hash = sha256_of_file(options.path);
  try {
    state->found = find_places(state->dependencies, example, options);
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    fail(ExitCode::kIncompatible, "{}: cannot be looked at with other numbers of samples: {}",
         options.path, first_line(error));
  }
  for (const Place& place : state->found.places) state->candidates.push_back(place.candidate);
  state->whole = state->build({});
  require_same(answers, SegmentChain(state->whole), example, options);
  state->detect_output(SegmentChain(state->whole).run(example));
  return std::shared_ptr<const Backbone>(new Backbone(std::move(state)));
}

const BackboneOptions& Backbone::options() const {
  return state_->options;
}
const std::string& Backbone::hash() const {
  return state_->hash;
}
OutputKind Backbone::output_kind() const {
  return state_->output_kind;
}
Tensors Backbone::prepare(const Tensors& inputs) const {
  return state_->inputs.prepare(inputs);
}
std::int64_t Backbone::num_classes() const {
  return state_->num_classes;
}
std::vector<std::vector<std::int64_t>> Backbone::input_shapes() const {
  return state_->inputs.shapes;
}
const std::vector<Candidate>& Backbone::candidates() const {
  return state_->candidates;
}
const std::vector<SegmentCost>& Backbone::costs() const {
  return state_->found.costs;
}

std::vector<std::string> Backbone::uncounted_ops() const {
  std::set<std::string> names;
  for (const SegmentCost& cost : state_->found.costs) {
    for (const auto& [name, count] : cost.uncounted) names.insert(name);
  }
  return {names.begin(), names.end()};
}

const Candidate& Backbone::candidate(const std::string& name) const {
  std::vector<std::string> known;
  for (const Candidate& candidate : state_->candidates) {
    if (candidate.name == name) return candidate;
    known.push_back(candidate.name);
  }
  const std::string near = text::nearest(name, known);
  fail(ExitCode::kIncompatible, "{}: has no candidate '{}'{}; it has {}", state_->path(), name,
       near.empty() ? "" : " (did you mean '" + near + "'?)",
       known.empty() ? "none" : text::join(known, ", "));
}

SegmentChain Backbone::cut(const std::vector<std::string>& names) const {
  std::set<std::size_t> chosen;
  for (const std::string& name : names) {
    const Candidate* found = &candidate(name);
    chosen.insert(static_cast<std::size_t>(found - state_->candidates.data()));
  }
  if (chosen.empty()) return SegmentChain(state_->whole);
  return SegmentChain(state_->build({chosen.begin(), chosen.end()}));
}

at::Tensor Backbone::run(const Tensors& inputs) const {
  return SegmentChain(state_->whole).run(inputs);
}

at::Tensor Backbone::log_probabilities(const at::Tensor& raw) const {
  const c10::NoGradGuard no_grad;
  if (state_->output_kind == OutputKind::kLogits) return at::log_softmax(raw.to(at::kFloat), 1);
  // Probabilities that were rounded to zero stay finite.
  return probabilities(raw).clamp_min(std::numeric_limits<float>::min()).log();
}

at::Tensor Backbone::probabilities(const at::Tensor& raw) const {
  const c10::NoGradGuard no_grad;
  const at::Tensor values = raw.to(at::kFloat);
  if (state_->output_kind == OutputKind::kLogits) return at::softmax(values, 1);
  // Rounded to bfloat16, their sum is off by as much as a certain answer is.
  return state_->options.precision == "float32" ? values : values / values.sum(1, true);
}

}  // namespace cachectl::model
