#include "decision/cost.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

namespace cachectl::decision {

CostModel::CostModel(std::string unit, std::vector<std::vector<double>> segments,
                     std::vector<std::vector<double>> look_ups)
    : unit_(std::move(unit)), look_ups_(std::move(look_ups)) {
  assert(!segments.empty() && segments.size() == look_ups_.size() + 1);
  const std::size_t entries = segments[0].size();
  assert(entries >= 1);
  plain_samples_ = entries - 1;
  const auto make_monotone = [&](std::vector<double>& table) {
    assert(table.size() == entries && table[0] == 0);
    for (std::size_t i = 1; i < entries; ++i) table[i] = std::max(table[i], table[i - 1]);
  };
  through_.emplace_back(entries, 0.0);
  for (auto& table : segments) {
    make_monotone(table);
    for (std::size_t i = 0; i < entries; ++i) table[i] += through_.back()[i];
    through_.push_back(std::move(table));
  }
  for (auto& table : look_ups_) make_monotone(table);
}

CostModel flops_cost(std::size_t samples, const std::vector<double>& before, double total,
                     const std::vector<double>& look_up) {
  assert(before.size() == look_up.size());
  const auto proportional = [&](double per_sample) {
    assert(per_sample >= 0);
    std::vector<double> table(samples + 1);
    for (std::size_t i = 0; i <= samples; ++i) table[i] = per_sample * static_cast<double>(i);
    return table;
  };
  std::vector<std::vector<double>> segments, look_ups;
  double done = 0;
  for (const double value : before) {
    segments.push_back(proportional(value - done));
    done = value;
  }
  segments.push_back(proportional(total - done));
  for (const double value : look_up) look_ups.push_back(proportional(value));
  CostModel cost("FLOPs", std::move(segments), std::move(look_ups));
  cost.proportional_ = true;
  return cost;
}

double Timing::at(std::int64_t size) const {
  assert(!batch.empty() && batch.size() == seconds.size());
  if (size <= 0) return 0;
  if (size <= batch.front()) return seconds.front();
  if (size >= batch.back()) {
    return seconds.back() * static_cast<double>(size) / static_cast<double>(batch.back());
  }
  const auto above =
      static_cast<std::size_t>(std::lower_bound(batch.begin(), batch.end(), size) - batch.begin());
  const double width = static_cast<double>(batch[above] - batch[above - 1]);
  const double share = static_cast<double>(size - batch[above - 1]) / width;
  return seconds[above - 1] + share * (seconds[above] - seconds[above - 1]);
}

CostModel latency_cost(std::size_t samples, std::int64_t batch, const std::vector<Timing>& segments,
                       const std::vector<Timing>& look_ups) {
  assert(batch >= 1 && segments.size() == look_ups.size() + 1);
  const auto size = static_cast<std::size_t>(batch);
  std::vector<std::vector<double>> times;  // [stage][0..batch]
  for (const auto* stages : {&segments, &look_ups}) {
    for (const auto& timing : *stages) {
      auto& row = times.emplace_back(size + 1);
      for (std::size_t m = 0; m <= size; ++m) row[m] = timing.at(static_cast<std::int64_t>(m));
    }
  }
  std::vector<std::vector<double>> tables(times.size(), std::vector<double>(samples + 1, 0.0));
  const double batches = static_cast<double>(samples) / static_cast<double>(batch);
  std::vector<double> log_choose(size + 1), probability(size + 1);
  for (std::size_t m = 0; m <= size; ++m) {
    log_choose[m] = std::lgamma(batch + 1.0) - std::lgamma(static_cast<double>(m) + 1) -
                    std::lgamma(static_cast<double>(size - m) + 1);
  }
  for (std::size_t count = 1; count <= samples; ++count) {
    const double rate = static_cast<double>(count) / static_cast<double>(samples);
    for (std::size_t m = 0; m <= size; ++m) {
      const double k = static_cast<double>(m), rest = static_cast<double>(size - m);
      const double log_miss = rest == 0 ? 0 : rest * std::log1p(-rate);
      probability[m] = std::exp(log_choose[m] + k * std::log(rate) + log_miss);
    }
    for (std::size_t stage = 0; stage < times.size(); ++stage) {
      double expected = 0;
      for (std::size_t m = 1; m <= size; ++m) expected += probability[m] * times[stage][m];
      tables[stage][count] = expected * batches;
    }
  }
  const auto middle = tables.begin() + static_cast<std::ptrdiff_t>(segments.size());
  std::vector<std::vector<double>> look_up_tables(std::make_move_iterator(middle),
                                                  std::make_move_iterator(tables.end()));
  tables.resize(segments.size());
  return CostModel("seconds", std::move(tables), std::move(look_up_tables));
}

}  // namespace cachectl::decision
