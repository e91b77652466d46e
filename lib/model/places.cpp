#include "model/places.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "model/counting.h"
#include "model/program.h"
#include "model/scopes.h"
#include "model/settle.h"
#include "model/trial.h"

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

at::Tensor reversed(const at::Tensor& rows) {
  return rows.flip({0}).contiguous();
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

// A batch that is turned around at a cut must come out turned around: else the cut's
// rows are not samples.
void drop_mixing_rows(Places& found, const Dependencies& dependencies, const Tensors& example,
                      const BackboneOptions& options) {
  const Tensors batch = with_rows(example, kTrialRows);
  const double tolerance = row_tolerance(options);
  const at::Tensor expected = Program(dependencies.graph()).run(batch);
  const auto holds = [&](const std::vector<const Cut*>& at_cuts) {
    try {
      Tensors live = batch;
      const Cut* from = nullptr;
      bool turned = false;
      for (const Cut* to : at_cuts) {
        live = {reversed(Program(extract(dependencies, from, to)).run(live))};
        turned = !turned;
        from = to;
      }
      const at::Tensor output = Program(extract(dependencies, from, nullptr)).run(live);
      return distance(turned ? reversed(output) : output, expected) <= tolerance;
    } catch (const std::exception& error) {
      log::debug("a cut does not run: {}", first_line(error));
      return false;
    }
  };
  std::vector<const Cut*> all;
  for (const Place& place : found.places) all.push_back(&found.cuts[place.cut]);
  if (holds(all)) return;
  const auto mixes = [&](const Place& place) {
    if (holds({&found.cuts[place.cut]})) return false;
    log::info("{}: {} is no candidate: its rows are not the samples", options.path,
              place.candidate.name);
    return true;
  };
  auto& places = found.places;
  places.erase(std::remove_if(places.begin(), places.end(), mixes), places.end());
}

// The cost of each part; drops places with too little behind them.
void count(Places& found, const Dependencies& dependencies, const Tensors& example,
           const BackboneOptions& options) {
  auto& [cuts, places, costs] = found;
  Tensors live = with_rows(example, 1);
  std::vector<SegmentCost> parts;
  std::set<const void*> weights_seen;
  for (std::size_t i = 0; i <= places.size(); ++i) {
    const Cut* from = i == 0 ? nullptr : &cuts[places[i - 1].cut];
    const Cut* to = i == places.size() ? nullptr : &cuts[places[i].cut];
    const GraphPtr graph = extract(dependencies, from, to);
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
}

}  // namespace

Places find_places(std::unique_ptr<Dependencies>& dependencies, const Tensors& example,
                   const BackboneOptions& options) {
  const auto look = [&] {
    std::vector<Observation> seen;
    for (const std::int64_t rows : {2, 3, 5, 1}) {  // one alone may take a branch of its own
      seen.push_back(observe(*dependencies, with_rows(example, rows)));
    }
    return seen;
  };
  std::vector<Observation> seen = look();
  constexpr int kMostRounds = 12;  // each opens one more level of nested branches
  for (int round = 0; round < kMostRounds && has_control_flow(dependencies->graph()); ++round) {
    const bool opened = settle(dependencies->graph(), seen);
    dependencies = std::make_unique<Dependencies>(dependencies->graph());
    seen = look();
    if (!opened) break;
  }
  const Observation& one = seen[0];
  Places found;
  found.cuts = find_cuts(*dependencies, seen);
  for (const NamedCut& named : name_cuts(*dependencies, found.cuts, options.names == "all")) {
    const auto& entry = one.entries.at(found.cuts[named.cut].value);
    Place place;
    place.cut = named.cut;
    place.candidate.name = named.name;
    place.candidate.shape.assign(entry.numbers.begin() + 1, entry.numbers.end());
    place.candidate.dtype = entry.dtype;
    place.candidate.position = static_cast<std::int64_t>(found.cuts[named.cut].node);
    place.candidate.bytes_per_sample = static_cast<std::int64_t>(at::elementSize(entry.dtype));
    for (const std::int64_t size : place.candidate.shape) place.candidate.bytes_per_sample *= size;
    found.places.push_back(std::move(place));
  }
  drop_mixing_rows(found, *dependencies, example, options);
  count(found, *dependencies, example, options);
  return found;
}

}  // namespace cachectl::model
