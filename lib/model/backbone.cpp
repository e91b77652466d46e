#include "model/backbone.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "model/chain_state.h"
#include "model/counting.h"
#include "model/cuts.h"
#include "model/program.h"
#include "model/scopes.h"
#include "model/settle.h"

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

constexpr std::int64_t kTrialRows = 3;  // rows of the trial runs at load; 2 is the other size

struct Place {
  Candidate candidate;
  std::size_t cut = 0;
};

// `rows` rows made of the given ones; repeated ones are scaled so that rows differ.
Tensors with_rows(const Tensors& inputs, std::int64_t rows) {
  Tensors result;
  for (const at::Tensor& input : inputs) {
    const std::int64_t given = input.size(0);
    const at::Tensor index = at::arange(rows, at::kLong).remainder(given).to(input.device());
    at::Tensor batch = input.index_select(0, index);
    if (at::isFloatingType(batch.scalar_type())) {
      for (std::int64_t row = given; row < rows; ++row) {
        batch.select(0, row).mul_(1 - 0.125 * static_cast<double>(row / given));
      }
    }
    result.push_back(batch);
  }
  return result;
}

at::Tensor reversed(const at::Tensor& rows) {
  return rows.flip({0}).contiguous();
}

// Largest difference in units of the larger tensor's scale.
double distance(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  const double scale = std::max(1.0, b.to(at::kDouble).abs().max().item<double>());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>() / scale;
}

struct Trial {
  at::Tensor output;
  std::string error;
};

Trial attempt(const Program& program, const Tensors& inputs, std::int64_t rows) {
  try {
    at::Tensor output = program.run(with_rows(inputs, rows));
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

void weigh(const jit::Block& block, std::set<const void*>& seen, SegmentCost& cost) {
  for (const jit::Node* node : block.nodes()) {
    for (const jit::Block* inner : node->blocks()) weigh(*inner, seen, cost);
    if (node->kind() != jit::prim::Constant) continue;
    const auto value = jit::toIValue(node->output());
    if (!value || !value->isTensor() || !value->toTensor().defined()) continue;
    const at::Tensor& tensor = value->toTensor();
    if (!at::isFloatingType(tensor.scalar_type()) || tensor.dim() == 0) continue;
    if (!seen.insert(tensor.unsafeGetTensorImpl()).second) continue;
    cost.parameters += tensor.numel();
    cost.weight_bytes += static_cast<std::int64_t>(tensor.nbytes());
  }
}

std::int64_t bytes_of(const Tensors& tensors) {
  std::int64_t sum = 0;
  for (const at::Tensor& tensor : tensors) sum += static_cast<std::int64_t>(tensor.nbytes());
  return sum;
}

}  // namespace

void describe(OptionTable& table, BackboneOptions& options) {
  table.section("backbone");
  table.value("path", &options.path, "TorchScript file of the backbone")
      .named("--backbone")
      .names_input()
      .required();
  table
      .value("output_kind", &options.output_kind,
             "what forward gives; auto: probabilities when rows are >= 0 and sum to 1")
      .choices({"auto", "logits", "probabilities"});
  table.value("output", &options.output,
              "which tensor of a tuple (index or name) or dict (key) is the classifier's output");
  table.value("precision", &options.precision, "precision to run the backbone in")
      .choices({"float32", "bfloat16"});
  table.value("memory_format", &options.memory_format, "layout of image tensors")
      .choices({"auto", "contiguous", "channels_last"});
  table
      .value("names", &options.names,
             "candidates: the outputs of modules and blocks, or every cut of the graph")
      .choices({"blocks", "all"})
      .named("--candidates");
  table
      .value("min_share_left", &options.min_share_left,
             "drop candidates with a smaller share of the FLOPs behind them")
      .range(0, 0.99);
}

const char* name_of(OutputKind kind) {
  return kind == OutputKind::kLogits ? "logits" : "probabilities";
}

OutputKind output_kind_from_name(const std::string& name) {
  if (name == "logits") return OutputKind::kLogits;
  if (name == "probabilities") return OutputKind::kProbabilities;
  fail(ExitCode::kUsage, "backbone.output_kind: '{}': expected logits or probabilities", name);
}

struct Backbone::State {
  BackboneOptions options;
  std::string hash;
  OutputKind output_kind = OutputKind::kLogits;
  std::int64_t num_classes = 0;
  ChainInputs inputs;
  std::shared_ptr<const void> functions;  // see Frozen; outlives the graph
  std::unique_ptr<Dependencies> dependencies;
  std::vector<Cut> cuts;
  std::vector<Place> places;
  std::vector<Candidate> candidates;
  std::vector<SegmentCost> costs;
  std::shared_ptr<const SegmentChain::State> whole;

  const std::string& path() const { return options.path; }
  Kernels kernels() const {
    const bool plain = options.memory_format == "contiguous" || options.device != "cpu";
    return plain ? Kernels::kLibTorch : Kernels::kFused;
  }
  void check_batches(const Tensors& example);
  void detect_output(const at::Tensor& output);
  void find_candidates(const Tensors& example);
  void drop_mixing_rows(const Tensors& example);
  void count(const Tensors& example);
  std::shared_ptr<const SegmentChain::State> build(const std::vector<std::size_t>& places_in) const;
};

// Two batch sizes must work, and a row's answer must be its own.
void Backbone::State::check_batches(const Tensors& example) {
  const Program program(dependencies->graph());
  const Trial three = attempt(program, example, kTrialRows), two = attempt(program, example, 2);
  if (!three.error.empty() || !two.error.empty()) {
    for (const std::int64_t rows : {1, 2, 3, 4, 8, 16, 32, 64}) {
      if (!attempt(program, example, rows).error.empty()) continue;
      fail(ExitCode::kIncompatible,
           "{}: works on batches of {} samples only: tracing has baked the batch size in ({}); "
           "export it again with torch.jit.script, or trace code that takes sizes from x.shape",
           path(), rows, three.error.empty() ? two.error : three.error);
    }
    fail(
        ExitCode::kIncompatible, "{}: forward fails on these inputs ({} each): {}", path(),
        [&] {
          std::vector<std::string> shapes;
          for (const auto& shape : inputs.shapes) shapes.push_back(text::shape(shape));
          return text::join(shapes, ", ");
        }(),
        three.error);
  }
  const at::Tensor& output = three.output;
  if (output.dim() != 2 || output.size(1) < 2 || !at::isFloatingType(output.scalar_type())) {
    fail(ExitCode::kIncompatible,
         "{}: not a classifier: the output has shape {} for {} samples; expected [samples, "
         "classes] of floating point",
         path(), text::shape(output.sizes().vec()), kTrialRows);
  }
  if (!at::isfinite(output).all().item<bool>()) {
    fail(ExitCode::kIncompatible, "{}: the output is not finite on the example inputs", path());
  }
  const Trial one = attempt(program, example, 1);
  const double tolerance = options.precision == "float32" ? 1e-3 : 0.1;
  if (!one.error.empty() || distance(one.output, output.slice(0, 0, 1)) > tolerance ||
      distance(two.output, output.slice(0, 0, 2)) > tolerance) {
    fail(ExitCode::kIncompatible,
         "{}: a sample's output depends on the other samples in its batch{}; was the model "
         "exported in training mode, or with a batch size baked in by tracing?",
         path(), one.error.empty() ? "" : " (" + one.error + ")");
  }
}

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

void Backbone::State::find_candidates(const Tensors& example) {
  const auto look = [&] {
    std::vector<Observation> seen;
    for (const std::int64_t rows : {2, 3, 5}) {
      seen.push_back(observe(*dependencies, with_rows(example, rows)));
    }
    return seen;
  };
  std::vector<Observation> seen = look();
  constexpr int kMostRounds = 6;  // each opens one more level of nested branches
  for (int round = 0; round < kMostRounds && has_control_flow(dependencies->graph()); ++round) {
    const bool opened = settle(dependencies->graph(), seen);
    dependencies = std::make_unique<Dependencies>(dependencies->graph());
    seen = look();
    if (!opened) break;
  }
  const Observation& one = seen[0];
  cuts = find_cuts(*dependencies, seen);
  for (const NamedCut& named : name_cuts(*dependencies, cuts, options.names == "all")) {
    const auto& entry = one.entries.at(cuts[named.cut].value);
    Place place;
    place.cut = named.cut;
    place.candidate.name = named.name;
    place.candidate.shape.assign(entry.numbers.begin() + 1, entry.numbers.end());
    place.candidate.dtype = entry.dtype;
    place.candidate.position = static_cast<std::int64_t>(cuts[named.cut].node);
    place.candidate.bytes_per_sample = static_cast<std::int64_t>(at::elementSize(entry.dtype));
    for (const std::int64_t size : place.candidate.shape) place.candidate.bytes_per_sample *= size;
    places.push_back(std::move(place));
  }
  drop_mixing_rows(example);
}

// A batch that is turned around at a cut must come out turned around: else the cut's
// rows are not samples.
void Backbone::State::drop_mixing_rows(const Tensors& example) {
  const Tensors batch = with_rows(example, kTrialRows);
  const double tolerance = options.precision == "float32" ? 1e-3 : 0.1;
  const at::Tensor expected = Program(dependencies->graph()).run(batch);
  const auto holds = [&](const std::vector<const Cut*>& at_cuts) {
    try {
      Tensors live = batch;
      const Cut* from = nullptr;
      bool turned = false;
      for (const Cut* to : at_cuts) {
        live = {reversed(Program(extract(*dependencies, from, to)).run(live))};
        turned = !turned;
        from = to;
      }
      const at::Tensor output = Program(extract(*dependencies, from, nullptr)).run(live);
      return distance(turned ? reversed(output) : output, expected) <= tolerance;
    } catch (const std::exception& error) {
      log::debug("a cut does not run: {}", first_line(error));
      return false;
    }
  };
  std::vector<const Cut*> all;
  for (const Place& place : places) all.push_back(&cuts[place.cut]);
  if (holds(all)) return;
  const auto mixes = [&](const Place& place) {
    if (holds({&cuts[place.cut]})) return false;
    log::info("{}: {} is no candidate: its rows are not the samples", path(), place.candidate.name);
    return true;
  };
  places.erase(std::remove_if(places.begin(), places.end(), mixes), places.end());
}

void Backbone::State::count(const Tensors& example) {
  Tensors live = with_rows(example, 1);
  std::vector<SegmentCost> parts;
  std::set<const void*> weights_seen;
  for (std::size_t i = 0; i <= places.size(); ++i) {
    const Cut* from = i == 0 ? nullptr : &cuts[places[i - 1].cut];
    const Cut* to = i == places.size() ? nullptr : &cuts[places[i].cut];
    const GraphPtr graph = extract(*dependencies, from, to);
    const Program program(graph);
    at::Tensor output;
    parts.push_back(count_work([&] { output = program.run(live); }, bytes_of(live)));
    weigh(*graph->block(), weights_seen, parts.back());
    live = {output};
  }
  double total = 0;
  for (const SegmentCost& part : parts) total += part.flops();
  // Places with too little behind them go; their parts join what follows.
  SegmentCost pending;
  double before = 0;
  std::vector<Place> kept;
  costs.clear();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    pending += parts[i];
    before += parts[i].flops();
    if (i == places.size()) break;
    Place& place = places[i];
    place.candidate.flops_before = before;
    place.candidate.flops_after = std::max(0.0, total - before);
    if (total <= 0 || place.candidate.share_left() < options.min_share_left) continue;
    kept.push_back(place);
    costs.push_back(std::exchange(pending, {}));
  }
  costs.push_back(pending);
  places = std::move(kept);
  for (const Place& place : places) candidates.push_back(place.candidate);
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
      to = &cuts[places[places_in[i]].cut];
      chain->names.push_back(places[places_in[i]].candidate.name);
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
  const auto prepare = [&] {
    const Frozen frozen = load_frozen(freeze, example, options.output);
    state->dependencies.reset();
    state->functions = frozen.functions;
    state->dependencies = std::make_unique<Dependencies>(frozen.graph);
    state->check_batches(example);
  };
  try {
    prepare();
  } catch (const Error&) {
    // Data sets give floats; a model of tokens takes whole numbers.
    if (!state->inputs.take_whole_numbers(example)) throw;
    prepare();
  }
  state->hash = sha256_of_file(options.path);
  state->find_candidates(example);
  state->count(example);
  state->whole = state->build({});
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
  return state_->costs;
}

std::vector<std::string> Backbone::uncounted_ops() const {
  std::set<std::string> names;
  for (const SegmentCost& cost : state_->costs) {
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
  const at::NoGradGuard no_grad;
  const at::Tensor values = raw.to(at::kFloat);
  if (state_->output_kind == OutputKind::kLogits) return at::log_softmax(values, 1);
  // Probabilities that were rounded to zero stay finite.
  return values.clamp_min(std::numeric_limits<float>::min()).log();
}

at::Tensor Backbone::probabilities(const at::Tensor& raw) const {
  const at::NoGradGuard no_grad;
  const at::Tensor values = raw.to(at::kFloat);
  return state_->output_kind == OutputKind::kLogits ? at::softmax(values, 1) : values;
}

}  // namespace cachectl::model
