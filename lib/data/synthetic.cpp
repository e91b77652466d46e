#include "data/synthetic.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "base/random.h"
#include "data/figure.h"

namespace cachectl::data {
namespace {

constexpr int kFigures = static_cast<int>(kFigureNames.size());
static_assert(kFigures == kSyntheticClasses);

using Color = std::array<float, 3>;

// What a sample starts from, drawn first and in this order.
struct Theme {
  int kind;
  double difficulty;
};

// One to one in (part, index): mix() is a bijection, and the parts take even and odd numbers.
std::uint64_t sample_seed(const Options& options, std::int64_t index) {
  const auto part = static_cast<std::uint64_t>(options.part == "train");
  return derive_seed(static_cast<std::uint64_t>(options.synthetic_seed), "synthetic",
                     2 * static_cast<std::uint64_t>(index) + part);
}

Theme draw_theme(const Options& options, Rng& random) {
  Theme theme{};
  theme.kind = static_cast<int>(random.below(kFigures));
  // A little denser toward the easy end: tuned so that ResNet-8 settles at nine in ten.
  theme.difficulty = options.difficulty * std::pow(random.uniform(), 1.25);
  return theme;
}

float between(Rng& random, double low, double high) {
  return static_cast<float>(random.uniform(low, high));
}

Color draw_color(Rng& random) {
  return {between(random, 0, 1), between(random, 0, 1), between(random, 0, 1)};
}

// A colour at a given distance from another, in a random direction that stays in range.
Color draw_contrasting(Rng& random, const Color& from, float distance) {
  Color direction{};
  float norm = 0;
  for (int c = 0; c < 3; ++c) {
    const float toward = from[c] < 0.5F ? 1.0F : -1.0F;
    direction[c] = toward * between(random, 0.15, 1);
    norm += direction[c] * direction[c];
  }
  norm = std::sqrt(norm);
  Color color{};
  for (int c = 0; c < 3; ++c) color[c] = from[c] + distance * direction[c] / norm;
  return color;
}

// An image under construction: float RGB by channel, about [0, 1].
class Canvas {
 public:
  explicit Canvas(int size) : size_(size), pixels_(static_cast<std::size_t>(3 * size * size)) {}

  // A gradient and two waves over a plain colour.
  void backdrop(Rng& random, const Color& color, float unrest) {
    struct Wave {
      float fx, fy, phase, strength;
    };
    std::array<Wave, 2> waves{};
    for (auto& wave : waves) {
      wave = {between(random, -0.7, 0.7), between(random, -0.7, 0.7), between(random, 0, 6.28),
              unrest * between(random, 0, 0.12)};
    }
    const Color tilt = {between(random, -1, 1), between(random, -1, 1), between(random, -1, 1)};
    const float steep = unrest * 0.2F / static_cast<float>(size_);
    const bool upright = random.below(2) == 0;
    const float step = 32.0F / static_cast<float>(size_);  // waves are as wide in any size
    for (int y = 0; y < size_; ++y) {
      for (int x = 0; x < size_; ++x) {
        float wave_sum = 0;
        for (const auto& wave : waves) {
          wave_sum +=
              wave.strength *
              std::sin((wave.fx * static_cast<float>(x) + wave.fy * static_cast<float>(y)) * step +
                       wave.phase);
        }
        const float along = static_cast<float>(upright ? y : x) - static_cast<float>(size_) / 2;
        for (int c = 0; c < 3; ++c) at(c, y, x) = color[c] + wave_sum + steep * along * tilt[c];
      }
    }
  }

  // Moves the pixels under the figure by `opacity` of the way to the colour.
  void paint(const Figure& figure, const Color& color, float opacity) {
    const Coverage coverage(figure);
    visit(figure.x, figure.y, coverage.reach(), [&](int y, int x) {
      const float share = opacity * coverage(static_cast<float>(x), static_cast<float>(y));
      if (share <= 0) return;
      for (int c = 0; c < 3; ++c) at(c, y, x) += share * (color[c] - at(c, y, x));
    });
  }

  // Two figures in one place, in proportion; neither lies on top.
  void blend(const Figure& first, const Color& first_color, const Figure& second,
             const Color& second_color, float second_share) {
    const Coverage a(first), b(second);
    const float reach = std::max(a.reach(), b.reach()) +
                        std::max(std::abs(first.x - second.x), std::abs(first.y - second.y));
    visit(first.x, first.y, reach, [&](int y, int x) {
      const float fx = static_cast<float>(x), fy = static_cast<float>(y);
      const float share_a = (1 - second_share) * a(fx, fy), share_b = second_share * b(fx, fy);
      for (int c = 0; c < 3; ++c) {
        const float under = at(c, y, x);
        at(c, y, x) += share_a * (first_color[c] - under) + share_b * (second_color[c] - under);
      }
    });
  }

  void bar(float x, float y, float angle, float half_width, const Color& color) {
    const float nx = std::cos(angle), ny = std::sin(angle);
    for (int py = 0; py < size_; ++py) {
      for (int px = 0; px < size_; ++px) {
        const float away =
            std::abs((static_cast<float>(px) - x) * nx + (static_cast<float>(py) - y) * ny);
        const float share = std::clamp(half_width - away + 0.5F, 0.0F, 1.0F);
        if (share <= 0) continue;
        for (int c = 0; c < 3; ++c) at(c, py, px) += share * (color[c] - at(c, py, px));
      }
    }
  }

  // Adds noise of a standard deviation and rounds to bytes, [3, size, size].
  void finish(Rng& random, float deviation, std::uint8_t* out) const {
    // The sum of four uniform numbers of 16 bits is near enough to normal and one draw a
    // value; its variance is 4 * 2^32 / 12.
    const float scale = deviation * 255 / std::sqrt(4.0F / 12) / 65536;
    for (std::size_t i = 0; i < pixels_.size(); ++i) {
      const std::uint64_t bits = random();
      const auto sum = static_cast<std::int64_t>((bits & 0xffff) + ((bits >> 16) & 0xffff) +
                                                 ((bits >> 32) & 0xffff) + (bits >> 48));
      const float value = pixels_[i] * 255 + static_cast<float>(sum - 131070) * scale;
      out[i] = static_cast<std::uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F));
    }
  }

 private:
  float& at(int channel, int y, int x) {
    const auto side = static_cast<std::size_t>(size_);
    const auto row = static_cast<std::size_t>(channel) * side + static_cast<std::size_t>(y);
    return pixels_[row * side + static_cast<std::size_t>(x)];
  }
  template <class Visitor>
  void visit(float x, float y, float reach, const Visitor& visitor) {
    const int left = std::max(0, static_cast<int>(x - reach));
    const int right = std::min(size_ - 1, static_cast<int>(x + reach + 1));
    const int top = std::max(0, static_cast<int>(y - reach));
    const int bottom = std::min(size_ - 1, static_cast<int>(y + reach + 1));
    for (int py = top; py <= bottom; ++py) {
      for (int px = left; px <= right; ++px) visitor(py, px);
    }
  }

  const int size_;
  std::vector<float> pixels_;
};

Figure draw_figure(Rng& random, int kind, float size, float hardness) {
  Figure figure;
  figure.kind = static_cast<FigureKind>(kind);
  // Smaller and further off the centre as it gets harder.
  figure.radius = size * between(random, 0.36 - 0.14 * hardness, 0.42 - 0.06 * hardness);
  const float wander = size * (0.04F + 0.12F * hardness);
  figure.x = size / 2 - 0.5F + between(random, -1, 1) * wander;
  figure.y = size / 2 - 0.5F + between(random, -1, 1) * wander;
  figure.angle = between(random, -1, 1) * (0.15F + 0.6F * hardness);
  figure.stretch = 1 + between(random, -0.25, 0.25) * hardness;
  return figure;
}

void draw(const Theme& theme, Rng& random, int pixels, std::uint8_t* out) {
  const auto size = static_cast<float>(pixels);
  const auto t = static_cast<float>(theme.difficulty);
  const float soft = std::min(t, 1.0F);
  Canvas canvas(pixels);

  const Color ground = draw_color(random);
  canvas.backdrop(random, ground, soft);

  // Small figures of any class, paler than the sample's own.
  const auto clutter = static_cast<int>(6 * t * random.uniform());
  for (int i = 0; i < clutter; ++i) {
    Figure figure = draw_figure(random, static_cast<int>(random.below(kFigures)), size, soft);
    figure.radius = size * between(random, 0.06, 0.13);
    figure.x = between(random, 0, size);
    figure.y = between(random, 0, size);
    canvas.paint(figure, draw_color(random), between(random, 0.2, 0.7));
  }

  const Figure figure = draw_figure(random, theme.kind, size, soft);
  const float contrast = std::max(0.08F, 0.85F - 0.66F * t * between(random, 0.5, 1));
  const Color color = draw_contrasting(random, ground, contrast);
  // The other figure shows from the middle of the scale on; at its end the two are equal.
  const float blend = std::clamp((t - 0.45F) / 0.55F, 0.0F, 1.0F) * between(random, 0, 0.5);
  const int other = (theme.kind + 1 + static_cast<int>(random.below(kFigures - 1))) % kFigures;
  Figure second = draw_figure(random, other, size, soft);
  canvas.blend(figure, color, second, draw_contrasting(random, ground, contrast), blend);

  // Bars that hide up to a good third of the figure.
  const auto bars = static_cast<int>(3 * t * random.uniform() + 0.3F * t);
  for (int i = 0; i < bars; ++i) {
    const float reach = figure.radius * 0.9F;
    canvas.bar(figure.x + between(random, -1, 1) * reach, figure.y + between(random, -1, 1) * reach,
               between(random, 0, 3.1416), size * between(random, 0.02, 0.02 + 0.05 * soft),
               draw_color(random));
  }
  canvas.finish(random, 0.01F + 0.14F * t * between(random, 0.3, 1), out);
}

}  // namespace

Synthetic::Synthetic(const Options& options)
    : options_(options),
      size_(options.max_samples > 0 ? std::min(options.max_samples, options.samples)
                                    : options.samples),
      name_(fmt::format("synthetic {} set of seed {}", options.part, options.synthetic_seed)) {
  std::vector<std::uint64_t> ids(static_cast<std::size_t>(size_));
  for (std::int64_t i = 0; i < size_; ++i)
    ids[static_cast<std::size_t>(i)] = sample_seed(options_, i);
  // The number is raised whenever the drawing changes: old recordings are not of these images.
  set_ids(std::move(ids),
          fmt::format("synthetic 1 {} {:.17g}", options_.image_size, options_.difficulty));
}

at::Tensor Synthetic::read(std::int64_t index) const {
  assert(index >= 0 && index < size_);
  Rng random(sample_seed(options_, index));
  const Theme theme = draw_theme(options_, random);
  at::Tensor image = at::empty({3, options_.image_size, options_.image_size}, at::kByte);
  draw(theme, random, static_cast<int>(options_.image_size), image.data_ptr<std::uint8_t>());
  return image;
}

std::vector<std::string> Synthetic::class_names() const {
  return {kFigureNames.begin(), kFigureNames.end()};
}

std::int64_t synthetic_class(const Options& options, std::int64_t index) {
  Rng random(sample_seed(options, index));
  return draw_theme(options, random).kind;
}

double synthetic_difficulty(const Options& options, std::int64_t index) {
  Rng random(sample_seed(options, index));
  return draw_theme(options, random).difficulty;
}

}  // namespace cachectl::data
