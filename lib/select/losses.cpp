#include "select/losses.h"

#include <algorithm>
#include <cmath>

namespace cachectl::select {
namespace {

// Confidences of exactly 0 or 1 come from rounding.
double log_odds(double confidence) {
  constexpr double kEdge = 1e-6;
  const double p = std::clamp(confidence, kEdge, 1 - kEdge);
  return std::log(p / (1 - p));
}

// P[agrees] = 1 / (1 + exp(-(slope * log-odds + offset))).
struct Fit {
  double slope = 1, offset = 0;
  double differs(double x) const { return 1 / (1 + std::exp(slope * x + offset)); }
};

// How much slope 1 and offset 0 weigh: as much as this many samples at log-odds 1.
constexpr double kPrior = 1;

double loss_of(const Fit& fit, const std::vector<double>& x, const std::vector<char>& differs) {
  double loss = 0.5 * kPrior * ((fit.slope - 1) * (fit.slope - 1) + fit.offset * fit.offset);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double z = (fit.slope * x[i] + fit.offset) * (differs[i] ? 1 : -1);
    loss += z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z));
  }
  return loss;
}

// Newton's method on the convex penalised likelihood, halving steps that overshoot.
Fit fit_agreement(const std::vector<double>& x, const std::vector<char>& differs) {
  Fit fit;
  double loss = loss_of(fit, x, differs);
  for (int step = 0; step < 100; ++step) {
    double g0 = kPrior * (fit.slope - 1), g1 = kPrior * fit.offset;
    double h00 = kPrior, h01 = 0, h11 = kPrior;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double p = 1 - fit.differs(x[i]);
      const double error = p - (differs[i] ? 0 : 1), weight = p * (1 - p);
      g0 += error * x[i];
      g1 += error;
      h00 += weight * x[i] * x[i];
      h01 += weight * x[i];
      h11 += weight;
    }
    const double determinant = h00 * h11 - h01 * h01;
    const double d0 = (h11 * g0 - h01 * g1) / determinant;
    const double d1 = (h00 * g1 - h01 * g0) / determinant;
    double scale = 1, next_loss = loss;
    Fit next = fit;
    for (int halvings = 0; halvings < 40; ++halvings, scale /= 2) {
      next = {fit.slope - scale * d0, fit.offset - scale * d1};
      next_loss = loss_of(next, x, differs);
      if (next_loss < loss) break;
    }
    if (!(next_loss < loss - 1e-12 * (1 + loss))) break;
    fit = next;
    loss = next_loss;
  }
  // More confidence must not mean less agreement: thresholds could not use that. All alike, then.
  if (fit.slope < 0) {
    const auto samples = static_cast<double>(x.size());
    const auto counted = static_cast<double>(std::count(differs.begin(), differs.end(), 1));
    const double differing = std::clamp(counted, 0.5, samples - 0.5);
    fit = {0, std::log((samples - differing) / differing)};
  }
  return fit;
}

}  // namespace

Losses counted_losses(const decision::Records& records) {
  Losses losses;
  for (std::size_t d = 0; d < records.candidates(); ++d) {
    auto& row = losses.of.emplace_back(records.samples());
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = records.is_wrong(d, i);
  }
  return losses;
}

Losses smoothed_losses(const decision::Records& records) {
  Losses losses;
  losses.one = 100000;
  for (std::size_t d = 0; d < records.candidates(); ++d) {
    std::vector<double> x;
    std::vector<char> differs;
    for (std::size_t i = 0; i < records.samples(); ++i) {
      x.push_back(log_odds(records.exits[d].confidence[i]));
      differs.push_back(records.is_wrong(d, i));
    }
    const Fit fit = fit_agreement(x, differs);
    auto& row = losses.of.emplace_back();
    for (const double value : x) {
      row.push_back(static_cast<std::int32_t>(std::lround(losses.one * fit.differs(value))));
    }
  }
  return losses;
}

}  // namespace cachectl::select
