#include "select/joint.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "base/cancel.h"
#include "decision/outcome.h"

namespace cachectl::select {

using decision::Curve;
using decision::Exits;

JointSearch::JointSearch(const decision::Records& records, const std::vector<Curve>& curves,
                         const decision::CostModel& cost, const Limits& limits, std::size_t threads)
    : JointSearch(records, curves, cost, limits, counted_losses(records), threads) {}

JointSearch::JointSearch(const decision::Records& records, const std::vector<Curve>& curves,
                         const decision::CostModel& cost, const Limits& limits, Losses losses,
                         std::size_t threads)
    : records_(records),
      curves_(curves),
      cost_(cost),
      limits_(limits),
      samples_(records.samples()),
      candidates_(records.candidates()),
      losses_(std::move(losses)),
      none_lost_(records.samples(), 0),
      workers_(threads) {
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
  Choice choice{exits_of(state), 0, 0};
  const auto outcome = decision::run_over(records_, choice.exits);
  choice.cost = decision::cost_of(choice.exits, outcome, cost_);
  choice.differing = outcome.differing;
  // Who answers nobody here is to answer nobody elsewhere, either.
  for (std::size_t e = 0; e < choice.exits.size(); ++e) {
    if (outcome.hits[e] == 0) choice.exits[e].threshold = decision::kNeverHits;
  }
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

std::size_t JointSearch::hits_of(const State& state, std::size_t candidate) const {
  const auto cut = static_cast<std::size_t>(state.cut[candidate]);
  return cut == 0 ? 0 : static_cast<std::size_t>(curves_[candidate].hits[cut - 1]);
}

// The loops over samples are free of branches that hang on a sample: those are no better than
// guessed, and take most of the time.
void JointSearch::follow(const State& state, std::size_t candidate, Passage& passage) const {
  passage.behind.clear();
  passage.way.assign(samples_, Passage::kHere);
  passage.fixed = 0;
  passage.lost_before = passage.lost_behind = 0;
  std::size_t done = 0, left = samples_;
  for (std::size_t d = 0; d < candidate; ++d) {
    if (!state.on[d]) continue;
    passage.fixed += cost_.segments(done, d + 1, left) + cost_.look_up(d, left);
    done = d + 1;
    const std::size_t hits = hits_of(state, d);
    for (std::size_t k = 0; k < hits; ++k) {
      const auto i = static_cast<std::size_t>(curves_[d].order[k]);
      const std::int64_t reached = passage.way[i] != Passage::kGone;
      passage.way[i] = Passage::kGone;
      passage.lost_before += reached * losses_.of[d][i];
      left -= static_cast<std::size_t>(reached);
    }
  }
  passage.reaching = left;
  passage.fixed += cost_.segments(done, candidate + 1, left);

  for (std::size_t d = candidate + 1; d < candidates_; ++d) {
    if (state.on[d]) passage.behind.push_back(d);
  }
  const std::size_t end = passage.behind.size() + 1;  // the backbone's
  for (std::size_t t = passage.behind.size(); t-- > 0;) {
    const std::size_t d = passage.behind[t];
    const std::size_t hits = hits_of(state, d);
    for (std::size_t k = 0; k < hits; ++k) {
      std::int32_t& way = passage.way[static_cast<std::size_t>(curves_[d].order[k])];
      way = way == Passage::kGone ? Passage::kGone : static_cast<std::int32_t>(t + 1);
    }
  }
  passage.loss.assign(end + 1, none_lost_.data());
  for (std::size_t t = 0; t + 1 < end; ++t) {
    passage.loss[t + 1] = losses_.of[passage.behind[t]].data();
  }
  passage.count.assign(end + 1, 0);
  for (std::size_t i = 0; i < samples_; ++i) {
    std::int32_t& way = passage.way[i];
    way = way == Passage::kHere ? static_cast<std::int32_t>(end) : way;
    ++passage.count[static_cast<std::size_t>(way)];
    passage.lost_behind += passage.loss[static_cast<std::size_t>(way)][i];
  }
  for (std::size_t way = end; way-- > 1;) passage.count[way] += passage.count[way + 1];
}

double JointSearch::cost_behind(const Passage& passage, std::size_t candidate) const {
  double total = 0;
  std::size_t done = candidate + 1, way = 1;
  for (const std::size_t d : passage.behind) {
    total += cost_.segments(done, d + 1, passage.count[way]) + cost_.look_up(d, passage.count[way]);
    done = d + 1;
    ++way;
  }
  return total + cost_.segments(done, candidates_ + 1, passage.count[way]);
}

// What leaving at the candidate saves behind it, by the way that is not taken then; where costs
// are in proportion to counts.
std::vector<double> JointSearch::savings(const Passage& passage, std::size_t candidate) const {
  std::vector<double> saves = {0};
  double on_the_way = 0;
  std::size_t done = candidate + 1;
  for (const std::size_t d : passage.behind) {
    on_the_way += cost_.segments(done, d + 1, 1) + cost_.look_up(d, 1);
    saves.push_back(on_the_way);
    done = d + 1;
  }
  saves.push_back(on_the_way + cost_.segments(done, candidates_ + 1, 1));
  return saves;
}

// Sets the candidate to what the goal prefers, the other exits as they are. True when
// that is better than before.
bool JointSearch::scan(State& state, std::size_t candidate, const Goal& goal,
                       Passage& passage) const {
  State with = state;
  if (!state.on[candidate] && !may_turn_on(with, candidate)) return false;
  follow(with, candidate, passage);
  const bool proportional = cost_.is_proportional();
  const std::vector<double> saves =
      proportional ? savings(passage, candidate) : std::vector<double>();

  double behind = cost_behind(passage, candidate);
  std::int64_t best_lost = passage.lost_before + passage.lost_behind;
  std::int32_t best_cut = 0;
  const bool taken = is_taken(with, candidate);
  bool best_on = limits_.is_required(candidate) || taken;
  // Summed in one order: a threshold that changes nothing must not differ in the last bit.
  const double until_hits = passage.fixed + cost_.look_up(candidate, passage.reaching);
  double best_cost = (best_on ? until_hits : passage.fixed) + behind;
  const Curve& curve = curves_[candidate];
  const std::vector<std::int32_t>& own_loss = losses_.of[candidate];
  std::int64_t lost = best_lost;
  std::size_t sample = 0;
  for (std::size_t k = 0; k < curve.size(); ++k) {
    bool changed = false;
    for (; sample < static_cast<std::size_t>(curve.hits[k]); ++sample) {
      const auto i = static_cast<std::size_t>(curve.order[sample]);
      const auto way = static_cast<std::size_t>(passage.way[i]);
      const bool reached = way != Passage::kGone;
      changed |= reached;
      lost += reached * own_loss[i] - passage.loss[way][i];
      if (proportional) {
        behind -= saves[way];
      } else {
        for (std::size_t t = 1; t <= way; ++t) --passage.count[t];
      }
    }
    if (!proportional && changed) behind = cost_behind(passage, candidate);
    const double cost = until_hits + behind;
    if (goal.prefers(cost, lost, best_cost, best_lost)) {
      best_cost = cost;
      best_lost = lost;
      best_cut = static_cast<std::int32_t>(k) + 1;
      best_on = true;
    }
  }
  // Costs are summed in another order than measure() does, or as differences sample by sample:
  // rounding is no improvement.
  const double slack = (1e-12 + 1.2e-16 * static_cast<double>(samples_)) * cost_.plain();
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

void JointSearch::descend(State& state, const Goal& goal, Passage& passage) const {
  // Round and round until as many scans in a row as there are candidates changed nothing.
  std::size_t candidate = 0, unchanged = 0;
  while (unchanged < candidates_) {
    cancel::throw_if_requested();
    unchanged = scan(state, candidate, goal, passage) ? 0 : unchanged + 1;
    candidate = (candidate + 1) % candidates_;
  }
}

bool JointSearch::satisfies(const Choice& choice) const {
  return limits_.allows(choice.exits) && choice.cost < cost_.plain();
}

void JointSearch::build_path() {
  // From the price of one differing sample at which none would ever be bought (the
  // whole cost) to a millionth of it, four steps per factor of ten, and back.
  const double dearest = cost_.plain() / losses_.one;
  std::vector<double> prices;
  for (int step = 0; step <= 24; ++step) prices.push_back(dearest * std::pow(10, -0.25 * step));
  State state = empty_state();
  Passage passage;
  std::vector<State> path;
  for (const double price : prices) {
    descend(state, {price, 0}, passage);
    path.push_back(state);
  }
  descend(state, {0, 0}, passage);
  for (std::size_t i = prices.size(); i-- > 0;) {
    descend(state, {prices[i], 0}, passage);
    path.push_back(state);
  }
  path_ = std::move(path);
}

// What one round of step 4 begins from: an exit that gave up some of what it loses.
std::vector<std::pair<std::size_t, JointSearch::State>> JointSearch::gifts(
    const State& from) const {
  std::vector<std::pair<std::size_t, State>> all;
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
      all.emplace_back(d, std::move(state));
    }
  }
  return all;
}

// One round of step 4. True when `best` was improved.
bool JointSearch::exchange(State& best, const Goal& goal) {
  auto all = gifts(best);
  workers_.run(all.size(), [&](std::size_t g) {
    Passage passage;
    auto& [giver, state] = all[g];
    measure(state);
    // The others first: the exit that gave would take it all back.
    for (std::size_t e = candidates_; e-- > 0;) {
      if (e != giver) scan(state, e, goal, passage);
    }
    descend(state, goal, passage);
  });
  bool improved = false;
  for (auto& [giver, state] : all) {
    if (!goal.prefers(state.cost + 1e-9 * cost_.plain(), state.lost, best.cost, best.lost)) {
      continue;
    }
    best = std::move(state);
    improved = true;
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
  Passage passage;
  for (std::size_t d = 0; exchange_rounds > 0 && d < candidates_; ++d) {
    State state = empty_state();
    if (scan(state, d, goal, passage)) from.push_back(std::move(state));
  }
  workers_.run(from.size(), [&](std::size_t i) {
    Passage own;
    descend(from[i], goal, own);
  });
  State best;
  bool found = false;
  for (State& state : from) {
    if (state.lost > allowed) continue;
    if (!found || state.cost < best.cost) best = state;
    found = true;
  }
  if (!found) return {{}, cost_.plain(), 0};
  for (int round = 0; round < exchange_rounds && exchange(best, goal); ++round) {
  }
  Choice choice = choice_of(best);
  if (!satisfies(choice)) return {{}, cost_.plain(), 0};
  return choice;
}

std::vector<Choice> JointSearch::path() {
  if (path_.empty() && samples_ > 0 && candidates_ > 0) build_path();
  std::vector<Choice> choices;
  for (const State& state : path_) {
    Choice choice = choice_of(state);
    if (satisfies(choice)) choices.push_back(std::move(choice));
  }
  return choices;
}

}  // namespace cachectl::select
