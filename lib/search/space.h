#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/random.h"
#include "model/architecture.h"

namespace cachectl::search {

// Which architectures there are. docs/search.md explains each key. Empty lists are filled
// from the named space.
struct Space {
  std::string name = "paper";          // paper, wide
  std::int64_t max_convolutions = -1;  // [0, 8]; -1: the named space's, 2 or 4
  std::int64_t max_linear = 2;         // [0, 8]
  std::vector<std::int64_t> kernels, strides, channels, units;
  std::vector<std::string> blocks;  // conv, dwconv, res
  std::vector<std::string> pools;   // pool2, pool4, maxpool2, mean, attention: before or behind
  // By any name: tried before anything is drawn, where they fit the layer and the limit of cost.
  std::map<std::string, std::string> first;
  double max_cost = 0.1;      // of a cache model, in FLOPs that follow the layer, (0, 1]
  std::int64_t max_macs = 0;  // of a cache model; 0: no such limit
  std::map<std::string, std::string> layer_max_macs;  // the same by layer, instead of max_macs
};
void describe(OptionTable& table, Space& space);  // into the present section

// The space with the limit of one layer. Throws Error(kUsage) where that is no number.
Space space_of(Space space, const std::string& layer);

// A space for one layer: draws and changes architectures that fit it.
class LayerSpace {
 public:
  // Throws Error(kUsage) for names or numbers that can't be, Error(kNothingProcessed) when nothing
  // in it fits.
  // flops_after: C2 of the layer.
  LayerSpace(Space space, model::Sizes shape, std::int64_t classes, double flops_after);

  // Those of `first` that fit, and why the others don't.
  const std::vector<model::Architecture>& first() const { return first_; }
  const std::vector<std::string>& refused() const { return refused_; }

  std::int64_t classes() const { return classes_; }
  // Where next to nothing fits, one that is known to.
  model::Architecture draw(Rng& rng) const;
  // One layer changed, added or taken away; the parent itself only where nothing else was found.
  model::Architecture mutate(const model::Architecture& parent, Rng& rng) const;

  // Whether it can be built on the layer, lies within the limits and costs little enough.
  bool contains(const model::Architecture& architecture) const;

 private:
  model::HeadLayer random_convolution(Rng& rng) const;
  model::HeadLayer random_pool(Rng& rng) const;
  model::HeadLayer random_linear(Rng& rng) const;
  model::HeadLayer random_like(const model::HeadLayer& layer, Rng& rng) const;
  model::Architecture draw_once(Rng& rng) const;
  std::optional<model::Architecture> try_draw(Rng& rng) const;
  std::string reason_against(const model::Architecture& architecture) const;

  Space space_;
  model::Sizes shape_;
  std::int64_t classes_;
  double largest_flops_;
  const char* limit_ = "max_cost";  // the option that sets it
  std::vector<model::HeadLayer> pools_;
  model::Architecture fits_;
  std::vector<model::Architecture> first_;
  std::vector<std::string> refused_;
};

}  // namespace cachectl::search
