#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace cachectl::decision {

// What a plan costs over N samples, from nothing but how many of them reach each
// stage. Segment j (0..M) leads to candidate j; segment M is what follows the last
// candidate. All tables are non-decreasing in the count and 0 at 0.
class CostModel {
 public:
  // segments: [M + 1][N + 1], look_ups: [M][N + 1], the cost when `count` samples
  // reach that stage. Asserts sizes; raises entries that fall below their
  // predecessor (timings do, by noise) to it.
  CostModel(std::string unit, std::vector<std::vector<double>> segments,
            std::vector<std::vector<double>> look_ups);

  const std::string& unit() const { return unit_; }  // "FLOPs" or "seconds"
  std::size_t candidates() const { return look_ups_.size(); }
  std::size_t samples() const {
    return look_ups_.empty() ? plain_samples_ : look_ups_[0].size() - 1;
  }

  // Segments from..to-1, when `count` samples run through them.
  double segments(std::size_t from, std::size_t to, std::size_t count) const {
    return through_[to][count] - through_[from][count];
  }
  // The cache model, and taking its hits out of the batch.
  double look_up(std::size_t candidate, std::size_t count) const {
    return look_ups_[candidate][count];
  }
  // Made by flops_cost: every table is its entry for one sample times the count.
  bool is_proportional() const { return proportional_; }
  double plain() const { return through_.back().back(); }  // the backbone alone, N samples

 private:
  friend CostModel flops_cost(std::size_t samples, const std::vector<double>& before, double total,
                              const std::vector<double>& look_up);

  std::string unit_;
  std::size_t plain_samples_;
  bool proportional_ = false;
  std::vector<std::vector<double>> through_;  // [M + 2][N + 1]: segments 0..j-1 together
  std::vector<std::vector<double>> look_ups_;
};

// FLOPs of one sample: before[j] = from the input to candidate j, non-decreasing;
// total = the backbone; look_up[j] = cache model j.
CostModel flops_cost(std::size_t samples, const std::vector<double>& before, double total,
                     const std::vector<double>& look_up);

// Seconds that a stage takes on a batch, measured at some batch sizes, rising.
// Between them linear; below the first one constant, since a smaller batch was
// never seen to be faster; beyond the last one at its rate per sample.
struct Timing {
  std::vector<std::int64_t> batch;
  std::vector<double> seconds;
  double at(std::int64_t size) const;  // 0 at 0
};

// Seconds over N samples that come in batches of `batch`. Which samples of a batch
// survive is taken as independent, so that c of N reaching a stage means a batch
// there of Binomial(batch, c / N) samples; the cost is its expected time, N / batch
// times. look_up: cache model and shrinking together, by the size of the batch that
// enters.
CostModel latency_cost(std::size_t samples, std::int64_t batch, const std::vector<Timing>& segments,
                       const std::vector<Timing>& look_ups);

}  // namespace cachectl::decision
