#include "data/figure.h"

#include <algorithm>
#include <cmath>

namespace cachectl::data {
namespace {

// Distance of x to the nearest odd multiple of half the period, less a quarter of the
// period: negative on the dark half of a wave.
float band(float x, float period) {
  const float phase = x / period - std::floor(x / period);
  return (0.25F - std::abs(phase - 0.5F)) * period;
}

// Signed distance (about) to the edge of a figure of radius 1, negative inside.
float edge_distance(FigureKind kind, float u, float v) {
  const float length = std::sqrt(u * u + v * v);
  switch (kind) {
    case FigureKind::kDisc:
      return length - 0.95F;
    case FigureKind::kRing:
      return std::abs(length - 0.75F) - 0.25F;
    case FigureKind::kSquare:
      return std::max(std::abs(u), std::abs(v)) - 0.85F;
    case FigureKind::kTriangle:  // three half-planes, 120 degrees apart
      return std::max({v, -0.5F * v + 0.8660254F * u, -0.5F * v - 0.8660254F * u}) - 0.55F;
    case FigureKind::kCross: {
      const float a = std::abs(u), b = std::abs(v);
      return std::min(std::max(a - 1, b - 0.32F), std::max(a - 0.32F, b - 1));
    }
    case FigureKind::kStar:
      return 0.7F * (length - 0.72F - 0.34F * std::cos(5 * std::atan2(v, u)));
    case FigureKind::kCrescent:
      return std::max(length - 1, 0.8F - std::sqrt((u - 0.5F) * (u - 0.5F) + v * v));
    case FigureKind::kStripes:
      return std::max(length - 1.1F, band(u, 0.62F));
    case FigureKind::kChecks:
      return std::max(length - 1.1F, -5 * band(u, 0.9F) * band(v, 0.9F));
    case FigureKind::kSpots: {
      const float period = 0.68F;
      const float a = u - period * std::round(u / period);
      const float b = v - period * std::round(v / period);
      return std::max(length - 1.1F, std::sqrt(a * a + b * b) - 0.22F);
    }
  }
  return 1;
}

}  // namespace

Coverage::Coverage(const Figure& figure)
    : figure_(figure), cosine_(std::cos(figure.angle)), sine_(std::sin(figure.angle)) {}

float Coverage::operator()(float x, float y) const {
  const float dx = (x - figure_.x) / figure_.radius, dy = (y - figure_.y) / figure_.radius;
  const float u = (cosine_ * dx + sine_ * dy) / figure_.stretch;
  const float v = -sine_ * dx + cosine_ * dy;
  const float distance = edge_distance(figure_.kind, u, v) * figure_.radius;
  return std::clamp(0.5F - distance, 0.0F, 1.0F);
}

}  // namespace cachectl::data
