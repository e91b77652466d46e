#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "model/convolution.h"
#include "model/pooling.h"
#include "model/segments.h"

namespace cachectl::model {

// A convolution or a pool.
struct ImageLayer {
  static constexpr std::size_t kNothing = static_cast<std::size_t>(-1);
  std::shared_ptr<const Convolution> convolution;
  std::shared_ptr<const Pooling> pool;  // where there is no convolution
  // Values by number: the inputs first, then what the layers give.
  std::size_t input = 0, other = kNothing, output = 0;
};

// Layers in order that run without tensors in between. Where their weights are small beside their
// activations, a large batch goes through all of them in groups of rows, whose values are still in
// the caches between two layers. run() may be called from several threads at once.
class ImageLayers {
 public:
  // Values 0..inputs-1 are given; `outputs` are wanted.
  ImageLayers(std::vector<ImageLayer> layers, std::size_t inputs, std::vector<std::size_t> outputs);
  ~ImageLayers();
  ImageLayers(ImageLayers&&) noexcept;
  ImageLayers& operator=(ImageLayers&&) noexcept;

  // inputs: [N, C, H, W], any layout. Returns the outputs, channels last; nothing when the
  // inputs are none that all layers take (other sizes, sums that broadcast, another device).
  std::optional<Tensors> run(const Tensors& inputs) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cachectl::model
