#include "select/joint.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "decision/outcome.h"

namespace cachectl::select {

using decision::Curve;
using decision::Exits;

JointSearch::JointSearch(const decision::Records& records, const std::vector<Curve>& curves,
                         const decision::CostModel& cost, const Limits& limits)
    : JointSearch(records, curves, cost, limits, counted_losses(records)) {}

JointSearch::JointSearch(const decision::Records& records, const std::vector<Curve>& curves,
                         const decision::CostModel& cost, const Limits& limits, Losses losses)
    : records_(records),
      curves_(curves),
      cost_(cost),
      limits_(limits),
      samples_(records.samples()),
      candidates_(records.candidates()),
      losses_(std::move(losses)),
      leaves_(records.samples()) {
  assert(curves.size() == candidates_ && cost.candidates() == candidates_);
  assert(cost.samples() == samples_);
  for (std::size_t d = 0; d < candidates_; ++d) {
    const auto& loss = losses_.of[d];
    std::vector<std::int64_t> lost;
    std::int64_t total = 0;
    std::size_t done = 0;
    for (const auto hits : curves[d].hits) {
      for (; done < static_cast<std::size_t>(hits); ++done) {
        total += loss[static_cast<std::size_t>(curves[d].order[done])];
      }
      lost.push_back(total);
    }
    lost_.push_back(std::move(lost));
  }
}

bool JointSearch::Goal::prefers(double cost, std::int64_t lost, double other_cost,
                                std::int64_t other_lost) const {
  if (price >= 0) {
    return cost + price * static_cast<double>(lost) <
           other_cost + price * static_cast<double>(other_lost);
  }
  const std::int64_t excess = std::max<std::int64_t>(lost - allowed, 0);
  const std::int64_t other_excess = std::max<std::int64_t>(other_lost - allowed, 0);
  if (excess != other_excess) return excess < other_excess;
  return cost < other_cost;
}

JointSearch::State JointSearch::empty_state() const {
  State state;
  state.cut.assign(candidates_, 0);
  state.on.assign(candidates_, 0);
  for (std::size_t d = candidates_; d-- > 0;) {
    state.on[d] = limits_.is_required(d) || is_taken(state, d);
  }
  measure(state);
  return state;
}

JointSearch::State JointSearch::state_of(const Exits& exits) const {
  State state = empty_state();
  for (const auto& exit : exits) {
    const auto& thresholds = curves_[exit.candidate].threshold;
    const auto end = std::partition_point(thresholds.begin(), thresholds.end(),
                                          [&](float value) { return value >= exit.threshold; });
    state.cut[exit.candidate] = static_cast<std::int32_t>(end - thresholds.begin());
    state.on[exit.candidate] = 1;
  }
  measure(state);
  return state;
}

Exits JointSearch::exits_of(const State& state) const {
  Exits exits;
  for (std::size_t d = 0; d < candidates_; ++d) {
    if (!state.on[d]) continue;
    const auto cut = static_cast<std::size_t>(state.cut[d]);
    exits.push_back({d, cut == 0 ? decision::kNeverHits : curves_[d].threshold[cut - 1]});
  }
  return exits;
}

void JointSearch::measure(State& state) const {
  const Exits exits = exits_of(state);
  const auto outcome = decision::run_over(records_, exits);
  state.cost = decision::cost_of(exits, outcome, cost_);
  state.lost = 0;
  for (std::size_t i = 0; i < samples_; ++i) {
    const auto e = static_cast<std::size_t>(outcome.left_at[i]);
    if (e < exits.size()) state.lost += losses_.of[exits[e].candidate][i];
  }
}

Choice JointSearch::choice_of(const State& state) const {
  Choice choice{exits_of(state), state.cost, 0};
  choice.differing = decision::run_over(records_, choice.exits).differing;
  return choice;
}

// Turns on what the candidate needs in front of it, and says whether it may be on then.
bool JointSearch::may_turn_on(State& state, std::size_t candidate) const {
  auto d = static_cast<std::ptrdiff_t>(candidate);
  while (d != Limits::kNoPrior && !state.on[static_cast<std::size_t>(d)]) {
    state.on[static_cast<std::size_t>(d)] = 1;
    d = limits_.prior_of(static_cast<std::size_t>(d));
  }
  return limits_.allows(exits_of(state));
}

bool JointSearch::is_taken(const State& state, std::size_t candidate) const {
  for (std::size_t d = candidate + 1; d < candidates_; ++d) {
    if (state.on[d] && limits_.takes(d, candidate)) return true;
  }
  return false;
}

// Drops the candidate with all that take its logits, directly or not, where that is better.
bool JointSearch::drop_chain(State& state, std::size_t candidate, const Goal& goal) const {
  State without = state;
  for (std::size_t d = candidate; d < candidates_; ++d) {
    const auto prior = limits_.prior_of(d);
    const bool goes = d == candidate || (state.on[d] && prior != Limits::kNoPrior &&
                                         prior >= static_cast<std::ptrdiff_t>(candidate) &&
                                         !without.on[static_cast<std::size_t>(prior)]);
    if (!goes) continue;
    if (limits_.is_required(d)) return false;
    without.on[d] = 0;
    without.cut[d] = 0;
  }
  measure(without);
  if (!goal.prefers(without.cost + 1e-12 * cost_.plain(), without.lost, state.cost, state.lost)) {
    return false;
  }
  state = std::move(without);
  return true;
}

// Sets the candidate to what the goal prefers, the other exits as they are. True when
// that is better than before.
bool JointSearch::scan(State& state, std::size_t candidate, const Goal& goal) {
  State with = state;
  if (!state.on[candidate] && !may_turn_on(with, candidate)) return false;
  std::vector<std::size_t> before, behind;
  for (std::size_t d = 0; d < candidates_; ++d) {
    if (with.on[d] && d < candidate) before.push_back(d);
    if (with.on[d] && d > candidate) behind.push_back(d);
  }
  // Who reaches the candidate, and where they would leave were it off.
  const std::size_t ways = behind.size();
  std::vector<std::size_t> count(ways + 1, 0);  // reaching behind[t]; [ways]: the backbone's end
  std::size_t reaching = 0;
  std::int64_t lost_before = 0, lost_behind = 0;
  double fixed = 0;
  {
    std::size_t done = 0, left = samples_;
    std::fill(leaves_.begin(), leaves_.end(), static_cast<std::int32_t>(ways));
    for (const std::size_t d : before) {
      fixed += cost_.segments(done, d + 1, left) + cost_.look_up(d, left);
      done = d + 1;
      const auto hits = static_cast<std::size_t>(
          with.cut[d] == 0 ? 0 : curves_[d].hits[static_cast<std::size_t>(with.cut[d] - 1)]);
      for (std::size_t k = 0; k < hits; ++k) {
        const auto i = static_cast<std::size_t>(curves_[d].order[k]);
        if (leaves_[i] < 0) continue;
        leaves_[i] = -1;
        lost_before += losses_.of[d][i];
        --left;
      }
    }
    reaching = left;
    fixed += cost_.segments(done, candidate + 1, reaching);
    for (std::size_t t = ways; t-- > 0;) {
      const std::size_t d = behind[t];
      const auto hits = static_cast<std::size_t>(
          with.cut[d] == 0 ? 0 : curves_[d].hits[static_cast<std::size_t>(with.cut[d] - 1)]);
      for (std::size_t k = 0; k < hits; ++k) {
        const auto i = static_cast<std::size_t>(curves_[d].order[k]);
        if (leaves_[i] >= 0) leaves_[i] = static_cast<std::int32_t>(t);
      }
    }
    for (std::size_t i = 0; i < samples_; ++i) {
      if (leaves_[i] < 0) continue;
      const auto way = static_cast<std::size_t>(leaves_[i]);
      ++count[way];
      if (way < ways) lost_behind += losses_.of[behind[way]][i];
    }
    for (std::size_t t = ways; t-- > 0;) count[t] += count[t + 1];
  }
  const auto cost_behind = [&] {
    double total = 0;
    std::size_t done = candidate + 1;
    for (std::size_t t = 0; t < ways; ++t) {
      total += cost_.segments(done, behind[t] + 1, count[t]) + cost_.look_up(behind[t], count[t]);
      done = behind[t] + 1;
    }
    return total + cost_.segments(done, candidates_ + 1, count[ways]);
  };

  double best_cost = fixed + cost_behind();
  std::int64_t best_lost = lost_before + lost_behind;
  std::int32_t best_cut = 0;
  bool best_on = false;
  const double look_up = cost_.look_up(candidate, reaching);
  const bool taken = is_taken(with, candidate);
  if (limits_.is_required(candidate) || taken) {
    best_cost += look_up;
    best_on = true;
  }
  const Curve& curve = curves_[candidate];
  std::int64_t lost = best_lost;
  std::size_t sample = 0;
  for (std::size_t k = 0; k < curve.size(); ++k) {
    bool changed = false;
    for (; sample < static_cast<std::size_t>(curve.hits[k]); ++sample) {
      const auto i = static_cast<std::size_t>(curve.order[sample]);
      if (leaves_[i] < 0) continue;
      changed = true;
      const auto way = static_cast<std::size_t>(leaves_[i]);
      for (std::size_t t = 0; t <= way; ++t) --count[t];
      lost += losses_.of[candidate][i];
      if (way < ways) lost -= losses_.of[behind[way]][i];
    }
    if (!changed) continue;
    const double cost = fixed + look_up + cost_behind();
    if (goal.prefers(cost, lost, best_cost, best_lost)) {
      best_cost = cost;
      best_lost = lost;
      best_cut = static_cast<std::int32_t>(k) + 1;
      best_on = true;
    }
  }
  // Costs are summed in another order than measure() does: an improvement has to be
  // more than rounding, or two states could alternate for ever.
  const double slack = 1e-12 * cost_.plain();
  const bool improves = goal.prefers(best_cost + slack, best_lost, state.cost, state.lost);
  if (improves) {
    with.cut[candidate] = best_cut;
    with.on[candidate] = best_on;
    with.cost = best_cost;
    with.lost = best_lost;
    state = std::move(with);
  }
  return (taken && drop_chain(state, candidate, goal)) || improves;
}

void JointSearch::descend(State& state, const Goal& goal) {
  // Round and round until as many scans in a row as there are candidates changed nothing.
  std::size_t candidate = 0, unchanged = 0;
  while (unchanged < candidates_) {
    unchanged = scan(state, candidate, goal) ? 0 : unchanged + 1;
    candidate = (candidate + 1) % candidates_;
  }
}

bool JointSearch::satisfies(const State& state) const {
  return limits_.allows(exits_of(state)) && state.cost < cost_.plain();
}

void JointSearch::build_path() {
  // From the price of one differing sample at which none would ever be bought (the
  // whole cost) to a millionth of it, four steps per factor of ten, and back.
  const double dearest = cost_.plain() / losses_.one;
  std::vector<double> prices;
  for (int step = 0; step <= 24; ++step) prices.push_back(dearest * std::pow(10, -0.25 * step));
  State state = empty_state();
  for (const double price : prices) {
    descend(state, {price, 0});
    path_.push_back(state);
  }
  descend(state, {0, 0});
  for (std::size_t i = prices.size(); i-- > 0;) {
    descend(state, {prices[i], 0});
    path_.push_back(state);
  }
}

// One round of step 4. True when `best` was improved.
bool JointSearch::exchange(State& best, const Goal& goal) {
  const State from = best;
  bool improved = false;
  for (std::size_t d = 0; d < candidates_; ++d) {
    if (!from.on[d] || from.cut[d] == 0) continue;
    // Cuts at which it gives up a little, an eighth, a quarter, a half of what it loses
    // alone; then all.
    std::vector<std::int32_t> cuts;
    const auto& lost = lost_[d];
    const std::int64_t has = lost[static_cast<std::size_t>(from.cut[d] - 1)];
    for (const std::int64_t gives : {std::int64_t{1}, has / 8, has / 4, has / 2}) {
      const auto end =
          std::upper_bound(lost.begin(), lost.end(), has - std::max<std::int64_t>(gives, 1));
      const auto cut = static_cast<std::int32_t>(end - lost.begin());
      if (cuts.empty() || cut < cuts.back()) cuts.push_back(cut);
    }
    if (cuts.back() > 0) cuts.push_back(0);
    for (const std::int32_t cut : cuts) {
      State state = from;
      state.cut[d] = cut;
      state.on[d] = cut > 0 || limits_.is_required(d) || is_taken(from, d);
      measure(state);
      // The others first: the exit that gave would take it all back.
      for (std::size_t e = candidates_; e-- > 0;) {
        if (e != d) scan(state, e, goal);
      }
      descend(state, goal);
      if (goal.prefers(state.cost + 1e-9 * cost_.plain(), state.lost, best.cost, best.lost)) {
        best = state;
        improved = true;
      }
    }
  }
  return improved;
}

Choice JointSearch::solve(std::int64_t allowed, const std::vector<Exits>& starts,
                          int exchange_rounds) {
  if (samples_ == 0 || candidates_ == 0) return {};
  if (path_.empty()) build_path();
  const Goal goal{-1, allowed};
  // Of the path: the two states next to the allowance on either side.
  std::vector<State> from = {empty_state()};
  std::vector<const State*> near;
  for (const State& state : path_) near.push_back(&state);
  std::stable_sort(near.begin(), near.end(), [&](const State* a, const State* b) {
    return std::abs(a->lost - allowed) < std::abs(b->lost - allowed);
  });
  for (std::size_t i = 0; i < std::min<std::size_t>(near.size(), 6); ++i) from.push_back(*near[i]);
  for (const Exits& exits : starts) {
    if (limits_.allows(exits)) from.push_back(state_of(exits));
  }
  // And each candidate as the first to spend the allowance.
  for (std::size_t d = 0; exchange_rounds > 0 && d < candidates_; ++d) {
    State state = empty_state();
    if (scan(state, d, goal)) from.push_back(std::move(state));
  }
  State best;
  bool found = false;
  for (State& state : from) {
    descend(state, goal);
    if (state.lost > allowed) continue;
    if (!found || state.cost < best.cost) best = state;
    found = true;
  }
  if (!found) return {{}, cost_.plain(), 0};
  for (int round = 0; round < exchange_rounds && exchange(best, goal); ++round) {
  }
  if (!satisfies(best)) return {{}, cost_.plain(), 0};
  return choice_of(best);
}

std::vector<Choice> JointSearch::path() {
  if (path_.empty() && samples_ > 0 && candidates_ > 0) build_path();
  std::vector<Choice> choices;
  for (const State& state : path_) {
    if (satisfies(state)) choices.push_back(choice_of(state));
  }
  return choices;
}

}  // namespace cachectl::select
