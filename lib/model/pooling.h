#pragma once

#include <cstdint>
#include <memory>

#include "model/convolution.h"

namespace cachectl::model {

// Pools by oneDNN over square windows that neither overlap nor leave the image, on float32.
// run_on() may be called from several threads at once.
class Pooling {
 public:
  enum class Kind { kAverage, kMaximum };
  static bool supported();  // whether this build has it
  Pooling(Kind kind, std::int64_t window);
  ~Pooling();
  Pooling(Pooling&&) noexcept;
  Pooling& operator=(Pooling&&) noexcept;

  ImageSize output_size(ImageSize size) const;
  // x, y: `rows` images of so many channels one after the other, channels last.
  void run_on(std::int64_t rows, std::int64_t channels, ImageSize size, const float* x,
              float* y) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cachectl::model
