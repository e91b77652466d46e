#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/cost.h"

namespace cachectl::model {

// One layer of a cache model. Convolutions, residuals and linear layers are followed by a
// batch norm and a ReLU; a convolution's padding is kernel / 2.
struct HeadLayer {
  enum class Kind {
    kConvolution,  // conv3x3/2-64: kernel, stride, channels ("/1" is left out)
    kDepthwise,    // dwconv3x3/2-64: per channel, then 1x1 to 64 channels
    kResidual,     // res3x3: x + convolution of x, as many channels as x
    kPool,         // pool2: average over 2x2 windows, stride 2
    kMaxPool,      // maxpool2
    kMean,         // mean: over all positions or tokens
    kAttention,    // attention: a learned weighted mean over all positions or tokens
    kLinear        // fc128: flattens first
  };
  Kind kind = Kind::kLinear;
  std::int64_t kernel = 0;  // of convolutions; window of pools
  std::int64_t stride = 1;  // of convolutions
  std::int64_t width = 0;   // channels or units that come out

  bool operator==(const HeadLayer& other) const;
  bool operator!=(const HeadLayer& other) const { return !(*this == other); }
};

// The architecture of a cache model as a value: its layers up to the linear classifier,
// which every cache model ends in and which is not written. Activations are
// [C, H, W] (images), [T, D] (tokens) or [D].
struct Architecture {
  std::vector<HeadLayer> layers;  // empty: the classifier alone

  // "conv3x3/2-64, pool2, fc128"; "linear" when there are no layers.
  std::string text() const;
  // Accepts what text() gives, in any spacing. Throws Error(kUsage) that names the word.
  static Architecture parse(std::string_view text);

  bool operator==(const Architecture& other) const { return layers == other.layers; }
  bool operator!=(const Architecture& other) const { return !(*this == other); }
  std::size_t hash() const;
};

using Sizes = std::vector<std::int64_t>;

// The size of one sample's value in front of the architecture's layers, behind each of
// them, and the flattened classifier input at the end: layers + 2 entries. Throws
// Error(kUsage) that says which layer can't be built on what: "conv3x3-64: needs [C, H, W] and
// the value in front of it is 128", "pool4: the map is 2x2".
std::vector<Sizes> layer_sizes(const Architecture& architecture, const Sizes& input_shape);

// What one sample costs with batch norms folded: multiply-accumulates of convolutions,
// linear layers and attention, exactly; parameters and their bytes in float32; live_bytes:
// the largest input and output of a layer together. takes_prior: the classifier also reads
// one value per class.
SegmentCost head_cost(const Architecture& architecture, const Sizes& input_shape,
                      std::int64_t classes, bool takes_prior = false);

}  // namespace cachectl::model

template <>
struct std::hash<cachectl::model::Architecture> {
  std::size_t operator()(const cachectl::model::Architecture& value) const { return value.hash(); }
};
