#include "select/subset.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>

#include "base/cancel.h"
#include "decision/bit_set.h"
#include "decision/outcome.h"

namespace cachectl::select {

using decision::BitSet;
using decision::Curve;
using decision::Exits;

namespace {

float threshold_within(const Curve& curve, std::int64_t allowed) {
  const std::size_t entries = curve.within(allowed);
  return entries == 0 ? decision::kNeverHits : curve.threshold[entries - 1];
}

// The hits of every candidate at one allowance of wrong answers.
struct Level {
  std::vector<BitSet> hits;
  std::vector<float> threshold;
};

Level make_level(const std::vector<Curve>& curves, std::int64_t allowed) {
  Level level;
  for (const auto& curve : curves) {
    const std::size_t entries = curve.within(allowed);
    BitSet set(static_cast<std::size_t>(curve.samples));
    const std::size_t hits = entries == 0 ? 0 : static_cast<std::size_t>(curve.hits[entries - 1]);
    for (std::size_t i = 0; i < hits; ++i) set.insert(static_cast<std::size_t>(curve.order[i]));
    level.hits.push_back(std::move(set));
    level.threshold.push_back(threshold_within(curve, allowed));
  }
  return level;
}

// The best found so far, cheapest first.
class Leaders {
 public:
  Leaders(std::size_t capacity, double ceiling) : capacity_(capacity), ceiling_(ceiling) {}
  // Only what is cheaper than this can still enter.
  double limit() const { return found_.size() < capacity_ ? ceiling_ : found_.back().cost; }
  void offer(Choice choice) {
    if (choice.cost >= limit()) return;
    for (const auto& known : found_) {
      if (known.exits == choice.exits) return;
    }
    const auto place =
        std::upper_bound(found_.begin(), found_.end(), choice,
                         [](const Choice& a, const Choice& b) { return a.cost < b.cost; });
    found_.insert(place, std::move(choice));
    if (found_.size() > capacity_) found_.pop_back();
  }
  std::vector<Choice> take() { return std::move(found_); }

 private:
  std::size_t capacity_;
  double ceiling_;
  std::vector<Choice> found_;
};

class Search {
 public:
  // levels[n]: of the exit at position n (from 0); the last one stands for all further.
  // exact_size 0: any number of exits.
  Search(const decision::CostModel& cost, const std::vector<const Level*>& levels,
         const Limits& limits, std::size_t exact_size, std::uint64_t& branches, Leaders& leaders)
      : cost_(cost), levels_(levels), limits_(limits), branches_(branches), leaders_(leaders) {
    for (std::size_t d = 0; d < cost.candidates(); ++d) {
      if (!limits.is_forbidden(d)) usable_.push_back(d);
    }
    is_prior_.assign(cost.candidates(), 0);
    for (const std::size_t d : usable_) {
      if (limits.prior_of(d) != Limits::kNoPrior) {
        is_prior_[static_cast<std::size_t>(limits.prior_of(d))] = 1;
      }
    }
    most_ = std::min(usable_.size(), limits.max_exits);
    if (exact_size > 0) most_ = std::min(most_, exact_size);
    least_ = exact_size;
    // required_after_[i]: required candidates among usable_[i..].
    required_after_.assign(usable_.size() + 1, 0);
    for (std::size_t i = usable_.size(); i-- > 0;) {
      required_after_[i] = required_after_[i + 1] + limits.is_required(usable_[i]);
    }
    const std::size_t samples = cost.samples();
    reach_.assign(most_ + 1, BitSet(samples));
    reach_[0] = BitSet(samples, true);
    scratch_ = BitSet(samples);
  }

  void run() {
    if (most_ >= least_) extend(0, 0, cost_.samples(), 0, 0, 0, true);
  }

 private:
  const Level& level(std::size_t position) const {
    return *levels_[std::min(position, levels_.size() - 1)];
  }

  // reach_[position] holds the `count` samples left after the chosen exits; `spent`
  // is the cost through the last one's look-up, `segment` the next segment to run. pays:
  // whether the last one has its place for its own sake, and not for who takes its logits.
  void extend(std::size_t next, std::size_t position, std::size_t count, std::size_t segment,
              double spent, double bytes, bool pays) {
    cancel::throw_if_requested();
    if (branches_ == 0 || required_after_[next] > most_ - position) return;
    --branches_;
    const std::size_t segments = cost_.candidates() + 1;
    if (pays && position >= std::max<std::size_t>(least_, 1) && required_after_[next] == 0) {
      const double total = spent + cost_.segments(segment, segments, count);
      if (total < leaders_.limit()) leaders_.offer({chosen_, total, 0});
    }
    if (position == most_) return;
    // Below a few candidates, looking is as quick as ruling out.
    constexpr std::size_t kWorthBounding = 3;
    if (usable_.size() - next >= kWorthBounding &&
        lower_bound(next, position, count, segment, spent) >= leaders_.limit()) {
      return;
    }
    const std::ptrdiff_t in_front =
        chosen_.empty() ? Limits::kNoPrior : static_cast<std::ptrdiff_t>(chosen_.back().candidate);
    for (std::size_t i = next; i < usable_.size(); ++i) {
      const std::size_t missing = least_ > position ? least_ - position : 0;
      if (usable_.size() - i < missing) return;
      const std::size_t candidate = usable_[i];
      const double through = spent + cost_.segments(segment, candidate + 1, count);
      if (through >= leaders_.limit()) return;
      const double size = bytes + limits_.bytes_of(candidate);
      const bool fits = limits_.may_follow(candidate, in_front) &&
                        (pays || limits_.prior_of(candidate) == in_front);
      if (fits && size <= limits_.max_bytes) {
        const Level& here = level(position);
        const std::size_t left =
            reach_[position + 1].assign_difference(reach_[position], here.hits[candidate]);
        // An exit that nothing takes only costs, and lowers the shares of the later ones.
        const bool this_pays = left < count || limits_.is_required(candidate);
        if (this_pays || is_prior_[candidate]) {
          chosen_.push_back({candidate, here.threshold[candidate]});
          extend(i + 1, position + 1, left, candidate + 1,
                 through + cost_.look_up(candidate, count), size, this_pays);
          chosen_.pop_back();
        }
      }
      if (limits_.is_required(candidate)) return;  // it may not be passed over
    }
  }

  // No extension by at least one of usable_[next..] costs less: each later segment
  // is reached at least by the samples that no candidate before it could take, were
  // all of them chosen at the next position (later positions allow fewer hits); and
  // the first one chosen is looked up by all that are left here.
  double lower_bound(std::size_t next, std::size_t position, std::size_t count, std::size_t segment,
                     double spent) {
    const Level& here = level(position);
    double total = spent, look_up = std::numeric_limits<double>::infinity();
    const BitSet* left = &reach_[position];
    std::size_t remaining = count;
    for (std::size_t i = next; i < usable_.size(); ++i) {
      const std::size_t candidate = usable_[i];
      total += cost_.segments(segment, candidate + 1, remaining);
      segment = candidate + 1;
      look_up = std::min(look_up, cost_.look_up(candidate, count));
      remaining = scratch_.assign_difference(*left, here.hits[candidate]);
      left = &scratch_;
    }
    return total + look_up + cost_.segments(segment, cost_.candidates() + 1, remaining);
  }

  const decision::CostModel& cost_;
  const std::vector<const Level*>& levels_;
  const Limits& limits_;
  std::uint64_t& branches_;  // that may still be looked at
  Leaders& leaders_;
  std::vector<std::size_t> usable_, required_after_;
  std::vector<char> is_prior_;  // of a usable candidate
  std::size_t most_ = 0, least_ = 0;
  std::vector<BitSet> reach_;  // by position
  BitSet scratch_;
  Exits chosen_;
};

}  // namespace

bool Limits::allows(const Exits& exits) const {
  if (exits.size() > max_exits) return false;
  double total = 0;
  std::size_t found = 0;
  std::ptrdiff_t in_front = kNoPrior;
  for (const auto& exit : exits) {
    if (is_forbidden(exit.candidate) || !may_follow(exit.candidate, in_front)) return false;
    in_front = static_cast<std::ptrdiff_t>(exit.candidate);
    total += bytes_of(exit.candidate);
    found += is_required(exit.candidate);
  }
  return total <= max_bytes &&
         found == static_cast<std::size_t>(std::count(required.begin(), required.end(), true));
}

double share_of(double tolerance, Budget budget, std::size_t n, std::size_t exits) {
  return budget == Budget::kEqual ? tolerance / static_cast<double>(exits)
                                  : std::ldexp(tolerance, -static_cast<int>(n));
}

Exits with_budget(const std::vector<Curve>& curves, const std::vector<std::size_t>& subset,
                  double tolerance, Budget budget) {
  Exits exits;
  for (const std::size_t candidate : subset) {
    const Curve& curve = curves[candidate];
    const double share = share_of(tolerance, budget, exits.size() + 1, subset.size());
    exits.push_back(
        {candidate, threshold_within(curve, decision::allowed_wrong(share, curve.samples))});
  }
  return exits;
}

std::vector<Choice> best_subsets(const decision::Records& records, const std::vector<Curve>& curves,
                                 const decision::CostModel& cost, double tolerance, Budget budget,
                                 const Limits& limits, std::size_t top,
                                 std::uint64_t most_branches) {
  assert(curves.size() == records.candidates() && curves.size() == cost.candidates());
  assert(cost.samples() == records.samples());
  const auto samples = static_cast<std::int64_t>(records.samples());
  const std::size_t most = std::min(records.candidates(), limits.max_exits);
  Leaders leaders(std::max<std::size_t>(top, 1), cost.plain());
  std::map<std::int64_t, Level> levels;  // by the number of wrong answers allowed
  const auto level_for = [&](double share) {
    const std::int64_t allowed = decision::allowed_wrong(share, samples);
    auto found = levels.find(allowed);
    if (found == levels.end()) found = levels.emplace(allowed, make_level(curves, allowed)).first;
    return &found->second;
  };
  if (most == 0 || samples == 0) return {};
  if (budget == Budget::kHalving) {
    std::vector<const Level*> by_position;
    for (std::size_t n = 1; n <= most; ++n) {
      by_position.push_back(level_for(share_of(tolerance, budget, n, most)));
    }
    Search(cost, by_position, limits, 0, most_branches, leaders).run();
  } else {
    const auto required =
        static_cast<std::size_t>(std::count(limits.required.begin(), limits.required.end(), true));
    for (std::size_t size = std::max<std::size_t>(required, 1); size <= most; ++size) {
      const std::vector<const Level*> same = {level_for(share_of(tolerance, budget, 1, size))};
      Search(cost, same, limits, size, most_branches, leaders).run();
    }
  }
  auto found = leaders.take();
  for (auto& choice : found) {
    const auto outcome = decision::run_over(records, choice.exits);
    choice.differing = outcome.differing;
  }
  return found;
}

}  // namespace cachectl::select
