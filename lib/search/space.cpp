#include "search/space.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace cachectl::search {
namespace {

using model::Architecture;
using model::HeadLayer;
using Kind = HeadLayer::Kind;

constexpr int kMostDraws = 2000;
constexpr std::int64_t kMostPools = 4;

template <class T>
const T& pick(const std::vector<T>& from, Rng& rng) {
  return from[static_cast<std::size_t>(rng.below(from.size()))];
}

template <class T>
void fill(std::vector<T>& values, const std::vector<T>& preset) {
  if (values.empty()) values = preset;
}

// The paper's space, or one with what has shown its worth since.
void complete(Space& space) {
  const bool wide = space.name == "wide";
  if (space.max_convolutions < 0) space.max_convolutions = wide ? 4 : 2;
  fill(space.kernels, {1, 3, 5});
  fill(space.strides, {1, 2, 3});
  fill(space.channels, wide ? std::vector<std::int64_t>{16, 24, 32, 48, 64, 96, 128}
                            : std::vector<std::int64_t>{32, 64});
  fill(space.units, {32, 64, 128, 256, 512, 1024, 2048});
  fill(space.blocks, wide ? std::vector<std::string>{"conv", "conv", "dwconv", "res"}
                          : std::vector<std::string>{"conv"});
  if (wide) {
    fill(space.pools, {"pool2", "pool2", "pool4", "maxpool2", "mean", "attention"});
    if (space.first.empty()) {
      // Averaging in front of a convolution does better than a stride in it, and a classifier that
      // knows where in the picture a thing is better than one on its mean. Wide linear layers come
      // with megabytes of weights, which a batch of one waits for: none here.
      space.first = {{"01", "pool2, conv3x3-48, pool2, conv3x3-64, res3x3, pool2"},
                     {"02", "pool2, conv3x3-64, pool2, res3x3"},
                     {"03", "pool2, conv3x3-64, pool2"},
                     {"04", "pool2, conv3x3-32, pool2, conv3x3-64, res3x3, pool4, fc128"},
                     {"05", "pool2, conv3x3-64, pool2, res3x3, pool2, fc128"},
                     {"06", "pool2, conv3x3-64, pool2, fc128"},
                     {"07", "pool2, conv3x3-40, res3x3, pool2, fc256"},
                     {"08", "conv3x3/2-64, conv3x3/2-96, pool2"},
                     {"09", "mean, fc256"},
                     {"10", "pool2"}};
    }
  }
}

bool is_linear(const HeadLayer& layer) {
  return layer.kind == Kind::kLinear;
}
bool is_pool(const HeadLayer& layer) {
  return layer.kind == Kind::kPool || layer.kind == Kind::kMaxPool || layer.kind == Kind::kMean ||
         layer.kind == Kind::kAttention;
}

}  // namespace

void describe(OptionTable& table, Space& space) {
  table.value("space", &space.name, "of architectures, before the lists below")
      .choices({"paper", "wide"});
  table
      .value("max_convolutions", &space.max_convolutions,
             "most convolutions; -1: the named space's, 2 or 4")
      .range(-1, 8);
  table.value("max_linear", &space.max_linear, "most linear layers").range(0, 8);
  table.value("kernels", &space.kernels, "of convolutions, odd").range(1, 31);
  table.value("strides", &space.strides, "of convolutions").range(1, 31);
  table.value("channels", &space.channels, "of convolutions").range(1, 65536);
  table.value("units", &space.units, "of linear layers").range(1, 65536);
  table.value("blocks", &space.blocks, "kinds of convolution").choices({"conv", "dwconv", "res"});
  table.value("pools", &space.pools, "pool2, maxpool2, mean, attention...");
  table.value("first", &space.first, "NAME=ARCHITECTURE: tried before any is drawn");
  table.value("max_cost", &space.max_cost, "of a cache model, as a share of what follows")
      .range(1e-6, 1);
  table.value("max_macs", &space.max_macs, "of a cache model, multiply-accumulates; 0: no limit")
      .range(0, 1e15);
  table.value("layer_max_macs", &space.layer_max_macs,
              "LAYER=MACS: instead of max_macs there; 0: no limit");
}

Space space_of(Space space, const std::string& layer) {
  const auto found = space.layer_max_macs.find(layer);
  if (found == space.layer_max_macs.end()) return space;
  const std::string& text = found->second;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, space.max_macs);
  if (error != std::errc() || rest != end || space.max_macs < 0) {
    fail(ExitCode::kUsage, "search.layer_max_macs: {}={}: expected a whole number of at least 0",
         layer, text);
  }
  return space;
}

LayerSpace::LayerSpace(Space space, model::Sizes shape, std::int64_t classes, double flops_after)
    : space_(std::move(space)), shape_(std::move(shape)), classes_(classes) {
  complete(space_);
  largest_flops_ = space_.max_cost * flops_after;
  const double flops = 2 * static_cast<double>(space_.max_macs);
  if (flops > 0 && flops < largest_flops_) {
    largest_flops_ = flops;
    limit_ = "max_macs or layer_max_macs";
  }
  for (const auto kernel : space_.kernels) {
    if (kernel % 2 == 0)
      fail(ExitCode::kUsage, "search.kernels: {} is even, kernels are odd", kernel);
  }
  for (const auto& name : space_.pools) {
    const auto pool = Architecture::parse(name);
    if (pool.layers.size() != 1 || !is_pool(pool.layers[0])) {
      fail(ExitCode::kUsage, "search.pools: '{}' is none; known: poolN, maxpoolN, mean, attention",
           name);
    }
    pools_.push_back(pool.layers[0]);
  }
  for (const auto& [name, text] : space_.first) {
    auto architecture = Architecture::parse(text);
    const std::string reason = reason_against(architecture);
    if (reason.empty()) {
      first_.push_back(std::move(architecture));
    } else {
      refused_.push_back(name + " (" + text + "): " + reason);
    }
  }
  Rng rng(0);
  auto found = try_draw(rng);
  for (std::size_t i = 0; !found && i < first_.size(); ++i) {
    if (contains(first_[i])) found = first_[i];
  }
  if (!found) {
    fail(ExitCode::kNothingProcessed,
         "no architecture of the space fits an activation of {} with at most {} FLOPs: raise "
         "search.{}, or widen the space",
         text::shape(shape_), text::count(largest_flops_), limit_);
  }
  fits_ = std::move(*found);
}

std::string LayerSpace::reason_against(const Architecture& architecture) const {
  try {
    const double flops = model::head_cost(architecture, shape_, classes_).flops();
    if (flops > largest_flops_) {
      return fmt::format("{} FLOPs, at most {} are allowed", text::count(flops),
                         text::count(largest_flops_));
    }
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool LayerSpace::contains(const Architecture& architecture) const {
  std::int64_t convolutions = 0, linear = 0, pools = 0;
  for (const auto& layer : architecture.layers) {
    if (is_linear(layer)) {
      ++linear;
    } else {
      if (linear > 0) return false;
      ++(is_pool(layer) ? pools : convolutions);
    }
  }
  return convolutions <= space_.max_convolutions && linear <= space_.max_linear &&
         pools <= kMostPools && reason_against(architecture).empty();
}

HeadLayer LayerSpace::random_convolution(Rng& rng) const {
  HeadLayer layer;
  const std::string& block = pick(space_.blocks, rng);
  layer.kernel = pick(space_.kernels, rng);
  layer.stride = pick(space_.strides, rng);
  layer.width = pick(space_.channels, rng);
  layer.kind = block == "dwconv" ? Kind::kDepthwise : Kind::kConvolution;
  if (block == "res") {
    layer = {};
    layer.kind = Kind::kResidual;
    layer.kernel = 3;
  }
  return layer;
}

HeadLayer LayerSpace::random_pool(Rng& rng) const {
  return pick(pools_, rng);
}

HeadLayer LayerSpace::random_linear(Rng& rng) const {
  HeadLayer layer;
  layer.kind = Kind::kLinear;
  layer.width = pick(space_.units, rng);
  return layer;
}

HeadLayer LayerSpace::random_like(const HeadLayer& layer, Rng& rng) const {
  if (is_linear(layer)) return random_linear(rng);
  if (is_pool(layer)) return pools_.empty() ? layer : random_pool(rng);
  // One property at a time: a step to a neighbour rather than a leap.
  const HeadLayer other = random_convolution(rng);
  if (layer.kind != Kind::kConvolution && layer.kind != Kind::kDepthwise) return other;
  HeadLayer changed = layer;
  switch (rng.below(4)) {
    case 0:
      changed.kernel = pick(space_.kernels, rng);
      break;
    case 1:
      changed.stride = pick(space_.strides, rng);
      break;
    case 2:
      changed.width = pick(space_.channels, rng);
      break;
    default:
      return other;
  }
  return changed;
}

Architecture LayerSpace::draw_once(Rng& rng) const {
  Architecture architecture;
  auto& layers = architecture.layers;
  const auto maybe_pool = [&](double share) {
    if (!pools_.empty() && rng.uniform() < share) layers.push_back(random_pool(rng));
  };
  if (shape_.size() == 3) {
    maybe_pool(0.15);
    const auto count = rng.below(static_cast<std::uint64_t>(space_.max_convolutions) + 1);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (i > 0) maybe_pool(0.3);
      layers.push_back(random_convolution(rng));
    }
    maybe_pool(0.7);
  } else if (shape_.size() == 2) {
    maybe_pool(0.9);
  }
  const auto count = rng.below(static_cast<std::uint64_t>(space_.max_linear) + 1);
  for (std::uint64_t i = 0; i < count; ++i) layers.push_back(random_linear(rng));
  return architecture;
}

std::optional<Architecture> LayerSpace::try_draw(Rng& rng) const {
  for (int i = 0; i < kMostDraws; ++i) {
    Architecture architecture = draw_once(rng);
    if (contains(architecture)) return architecture;
  }
  return std::nullopt;
}

Architecture LayerSpace::draw(Rng& rng) const {
  return try_draw(rng).value_or(fits_);
}

Architecture LayerSpace::mutate(const Architecture& parent, Rng& rng) const {
  for (int i = 0; i < kMostDraws; ++i) {
    Architecture child = parent;
    auto& layers = child.layers;
    const std::uint64_t kind = rng.below(layers.empty() ? 1 : 4);
    const auto at = [&](std::size_t size) { return static_cast<std::ptrdiff_t>(rng.below(size)); };
    if (kind == 0) {  // one more, somewhere
      const auto place = at(layers.size() + 1);
      const std::uint64_t what = rng.below(pools_.empty() ? 2 : 3);
      layers.insert(layers.begin() + place, what == 0   ? random_linear(rng)
                                            : what == 1 ? random_convolution(rng)
                                                        : random_pool(rng));
    } else if (kind == 1) {
      layers.erase(layers.begin() + at(layers.size()));
    } else {
      auto& layer = layers[static_cast<std::size_t>(at(layers.size()))];
      layer = random_like(layer, rng);
    }
    if (child != parent && contains(child)) return child;
  }
  return draw(rng);
}

}  // namespace cachectl::search
