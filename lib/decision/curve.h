#pragma once

#include <cstdint>
#include <vector>

#include "decision/records.h"

namespace cachectl::decision {

// One cache model alone, over every threshold that makes a difference: the
// distinct confidences, falling. Entry k: at `threshold[k]`, `hits[k]` of the
// samples hit, `wrong[k]` of which disagree with the backbone.
struct Curve {
  std::int64_t samples = 0;
  std::vector<float> threshold;
  std::vector<std::int32_t> hits;
  std::vector<std::int32_t> wrong;
  // Sample numbers by falling confidence (equal ones by number): the hits at
  // entry k are the first hits[k] of them.
  std::vector<std::int32_t> order;

  std::size_t size() const { return threshold.size(); }
  double hit_rate(std::size_t k) const;        // share of the samples that hit
  double cache_accuracy(std::size_t k) const;  // share of the hits that agree
  double drop(std::size_t k) const;            // hit_rate * (1 - cache_accuracy)
  // The number of leading entries with wrong <= allowed: the lowest threshold within
  // the allowance is threshold[result - 1]; 0 when even the first entry exceeds it.
  std::size_t within(std::int64_t allowed) const;
};

Curve make_curve(const ExitRecord& record, const std::vector<std::int32_t>& backbone);
std::vector<Curve> make_curves(const Records& records);

// The same hits on the curves' own samples, each threshold moved halfway down to the
// next lower confidence: answers that come out different in their last bits, as they
// do at another batch size, then fall on the same side.
Exits settled(const std::vector<Curve>& curves, const Exits& exits);

// Wrong answers out of `samples` that a drop allows: the whole part of drop * samples,
// safe against the rounding of products such as 0.07 * 100.
std::int64_t allowed_wrong(double drop, std::int64_t samples);

}  // namespace cachectl::decision
