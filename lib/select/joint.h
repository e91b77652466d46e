#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "model/workers.h"
#include "select/losses.h"
#include "select/subset.h"

// All thresholds of a plan together, on the samples that really reach each exit.
namespace cachectl::select {

// Finds subset and thresholds that cost the least while the answers lose at most
// `allowed` in agreement with the backbone: under counted losses, so many samples. The problem has
// no known exact algorithm short of trying all thresholds; this is a local search whose moves are
// exact:
//
// 1. Scan: with the other exits fixed, the cost and what is lost are computed for every
//    threshold of one candidate, "off" included, in one pass over its samples in order of
//    confidence; the best is taken. In a cascade an exit comes with those whose logits it
//    takes, at first without hits, and goes with those that take its.
// 2. Price path: scans that minimise cost + price * lost until nothing changes, for
//    prices falling from "nothing may be lost" to 0 and rising back, each from
//    where the last one ended. Computed once, kept for every `allowed`.
// 3. Descent: from the states of the path next to `allowed`, and from starts given by
//    the caller, scans that minimise the cost with lost <= allowed.
// 4. Exchange: one exit gives up some of what it loses, or is dropped, and a
//    descent spends them elsewhere; kept while it improves.
//
// docs/selection.md tells how close to brute force that comes. One caller at a time; throws
// cancel::Cancelled after a signal.
class JointSearch {
 public:
  // All but the losses must outlive the search. threads: what they find does not hang on how many.
  JointSearch(const decision::Records& records, const std::vector<decision::Curve>& curves,
              const decision::CostModel& cost, const Limits& limits, Losses losses,
              std::size_t threads = 1);
  // Counts the samples that differ.
  JointSearch(const decision::Records& records, const std::vector<decision::Curve>& curves,
              const decision::CostModel& cost, const Limits& limits, std::size_t threads = 1);

  // starts: exits to begin from besides the path, say the best subset under a budget.
  // exchange_rounds: at most so many rounds of step 4. An empty plan when nothing
  // within the limits costs less than the backbone.
  Choice solve(std::int64_t allowed, const std::vector<decision::Exits>& starts,
               int exchange_rounds = 20);

  // What the path came by: plans of every risk. Choice::differing counts samples here, too.
  std::vector<Choice> path();

 private:
  // Entries of each candidate's curve that hit; a candidate may be on without hits
  // only when it is required, or another one that is on takes its logits.
  struct State {
    std::vector<std::int32_t> cut;
    std::vector<char> on;
    double cost = 0;
    std::int64_t lost = 0;
  };
  // What a scan minimises: price >= 0: cost + price * lost; else the cost where lost <=
  // allowed, and lost where that can't be.
  struct Goal {
    double price = -1;
    std::int64_t allowed = 0;
    bool prefers(double cost, std::int64_t lost, double other_cost, std::int64_t other_lost) const;
  };

  // The samples as a candidate meets them while the other exits stay as they are.
  struct Passage {
    static constexpr std::int32_t kGone = 0;   // left before it
    static constexpr std::int32_t kHere = -1;  // while it is built
    std::vector<std::size_t> behind;           // the exits behind it, in order
    // [sample]: where it would leave were the candidate off: 1 + t at behind[t], the last at the
    // backbone's end.
    std::vector<std::int32_t> way;
    std::vector<std::size_t> count;         // [way]: samples that come as far
    std::vector<const std::int32_t*> loss;  // [way][sample]: what is lost there
    std::size_t reaching = 0;
    double fixed = 0;  // cost until the candidate is looked up
    std::int64_t lost_before = 0, lost_behind = 0;
  };

  State empty_state() const;
  State state_of(const decision::Exits& exits) const;
  decision::Exits exits_of(const State& state) const;
  void measure(State& state) const;
  Choice choice_of(const State& state) const;
  bool may_turn_on(State& state, std::size_t candidate) const;
  bool is_taken(const State& state, std::size_t candidate) const;
  bool drop_chain(State& state, std::size_t candidate, const Goal& goal) const;
  std::size_t hits_of(const State& state, std::size_t candidate) const;
  void follow(const State& state, std::size_t candidate, Passage& passage) const;
  double cost_behind(const Passage& passage, std::size_t candidate) const;
  std::vector<double> savings(const Passage& passage, std::size_t candidate) const;
  bool scan(State& state, std::size_t candidate, const Goal& goal, Passage& passage) const;
  void descend(State& state, const Goal& goal, Passage& passage) const;
  std::vector<std::pair<std::size_t, State>> gifts(const State& from) const;
  bool exchange(State& best, const Goal& goal);
  bool satisfies(const Choice& choice) const;
  void build_path();

  const decision::Records& records_;
  const std::vector<decision::Curve>& curves_;
  const decision::CostModel& cost_;
  const Limits& limits_;
  const std::size_t samples_, candidates_;
  Losses losses_;
  std::vector<std::vector<std::int64_t>> lost_;  // [candidate][entry]: of all hits up to it
  std::vector<std::int32_t> none_lost_;          // [sample]: zeros
  std::vector<State> path_;
  model::Workers workers_;
};

}  // namespace cachectl::select
