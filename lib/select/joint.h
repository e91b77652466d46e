#pragma once

#include <cstdint>
#include <vector>

#include "select/losses.h"
#include "select/subset.h"

// All thresholds of a plan together, on the samples that really reach each exit.
namespace cachectl::select {

// Finds subset and thresholds that cost the least while the answers lose at most
// `allowed` in agreement with the backbone: under counted losses, so many samples. The problem has
// no known exact algorithm short of trying all thresholds; this is a local search whose moves are
// exact:
//
// 1. Scan: with the other exits fixed, the cost and what is lost are computed for every threshold
// of one candidate, "off" included, in one pass
//    over its samples in order of confidence; the best is taken. In a cascade an exit comes
//    with those whose logits it takes, at first without hits, and goes with those that take its.
// 2. Price path: scans that minimise cost + price * lost until nothing changes, for
//    prices falling from "nothing may be lost" to 0 and rising back, each from
//    where the last one ended. Computed once, kept for every `allowed`.
// 3. Descent: from the states of the path next to `allowed`, and from starts given by
//    the caller, scans that minimise the cost with lost <= allowed.
// 4. Exchange: one exit gives up some of what it loses, or is dropped, and a
//    descent spends them elsewhere; kept while it improves.
//
// docs/selection.md tells how close to brute force that comes.
class JointSearch {
 public:
  // All but the losses must outlive the search.
  JointSearch(const decision::Records& records, const std::vector<decision::Curve>& curves,
              const decision::CostModel& cost, const Limits& limits, Losses losses);
  // Counts the samples that differ.
  JointSearch(const decision::Records& records, const std::vector<decision::Curve>& curves,
              const decision::CostModel& cost, const Limits& limits);

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

  State empty_state() const;
  State state_of(const decision::Exits& exits) const;
  decision::Exits exits_of(const State& state) const;
  void measure(State& state) const;
  Choice choice_of(const State& state) const;
  bool may_turn_on(State& state, std::size_t candidate) const;
  bool is_taken(const State& state, std::size_t candidate) const;
  bool drop_chain(State& state, std::size_t candidate, const Goal& goal) const;
  bool scan(State& state, std::size_t candidate, const Goal& goal);
  void descend(State& state, const Goal& goal);
  bool exchange(State& best, const Goal& goal);
  bool satisfies(const State& state) const;
  void build_path();

  const decision::Records& records_;
  const std::vector<decision::Curve>& curves_;
  const decision::CostModel& cost_;
  const Limits& limits_;
  const std::size_t samples_, candidates_;
  Losses losses_;
  std::vector<std::vector<std::int64_t>> lost_;  // [candidate][entry]: of all hits up to it
  std::vector<State> path_;
  // Scratch of scan(): per sample, where it leaves behind the candidate; -1: before it.
  std::vector<std::int32_t> leaves_;
};

}  // namespace cachectl::select
