#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace cachectl::model {

// What follows a convolution in the same pass over its output.
struct Epilogue {
  enum class Kind { kNone, kClip, kLeaky, kSwish, kHardswish, kLogistic, kTanh, kGelu };
  bool add = false;  // another tensor of the output's sizes, before the activation
  Kind kind = Kind::kNone;
  double alpha = 0, beta = 0;  // bounds of kClip; slope of kLeaky
};

struct ConvolutionSpec {
  at::Tensor weight;  // [O, I / groups, KH, KW], float32 or bfloat16, on the CPU
  at::Tensor bias;    // [O] or undefined
  std::vector<std::int64_t> stride, padding, dilation;  // two each
  std::int64_t groups = 1;
  Epilogue epilogue;
};

struct ImageSize {
  std::int64_t height = 0, width = 0;
};

// A 2-D convolution by oneDNN, on channels-last tensors, with kernels that are made once
// per image size and piece: a batch runs as pieces of 64, 32, 16 and one smaller, so there are
// eighteen kernels for all batch sizes. run() may be called from several threads at once.
class Convolution {
 public:
  // Whether this build has it and the processor a fast kernel for it.
  static bool supports(const ConvolutionSpec& spec);
  explicit Convolution(ConvolutionSpec spec);
  ~Convolution();
  Convolution(Convolution&&) noexcept;
  Convolution& operator=(Convolution&&) noexcept;

  // x: [N, I, H, W] in any layout; other: as the output, when the epilogue adds.
  // Returns [N, O, H', W'], channels last.
  at::Tensor run(const at::Tensor& x, const at::Tensor& other) const;

  const ConvolutionSpec& spec() const;
  // Whether the kernel for so many images of that size is a fast one.
  bool is_fast_on(std::int64_t rows, ImageSize size) const;
  ImageSize output_size(ImageSize size) const;  // below 1 where the kernel does not fit
  // As run(), on memory that the caller answers for: `rows` images one after the other, channels
  // last, of the weights' type. other: nullptr unless the epilogue adds.
  void run_on(std::int64_t rows, ImageSize size, const void* x, const void* other, void* y) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cachectl::model
