#pragma once

#include <array>
#include <cstdint>

namespace cachectl::data {

// The figures of the synthetic set, in order of their class.
enum class FigureKind : std::uint8_t {
  kDisc,
  kRing,
  kSquare,
  kTriangle,
  kCross,
  kStar,
  kCrescent,
  kStripes,
  kChecks,
  kSpots
};
inline constexpr std::array<const char*, 10> kFigureNames = {
    "disc", "ring",     "square",  "triangle", "cross",
    "star", "crescent", "stripes", "checks",   "spots"};

// A figure on the plane of the image; lengths in pixels, angle in radians.
struct Figure {
  FigureKind kind = FigureKind::kDisc;
  float x = 0, y = 0, radius = 1, angle = 0;
  float stretch = 1;  // of the width against the height
};

// Draws antialiased figures: share of the pixel around (x, y) that lies inside.
class Coverage {
 public:
  explicit Coverage(const Figure& figure);
  float operator()(float x, float y) const;
  // Pixels outside of this square around the centre have coverage 0.
  float reach() const { return figure_.radius * 1.25F * figure_.stretch + 1; }

 private:
  const Figure figure_;
  const float cosine_, sine_;
};

}  // namespace cachectl::data
