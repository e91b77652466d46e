#include "model/convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/buffers.h"

namespace cachectl::model {
namespace {

ConvolutionSpec spec_of(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                        std::int64_t padding, std::int64_t dilation, std::int64_t groups) {
  ConvolutionSpec spec;
  spec.weight = at::randn({out, in / groups, kernel, kernel}) / 8;
  spec.bias = at::randn({out});
  spec.stride = {stride, stride};
  spec.padding = {padding, padding};
  spec.dilation = {dilation, dilation};
  spec.groups = groups;
  return spec;
}

at::Tensor by_libtorch(const ConvolutionSpec& spec, const at::Tensor& x) {
  return at::conv2d(x, spec.weight, spec.bias, spec.stride, spec.padding, spec.dilation,
                    spec.groups);
}

TEST(PooledTensors, ShareNoMemoryWhileTheyLive) {
  std::vector<at::Tensor> tensors;
  for (int i = 0; i < 20; ++i) {
    tensors.push_back(pooled_empty({2 + i % 3, 8, 32, 32}, at::kFloat).fill_(i));
    if (i % 4 == 3) tensors.erase(tensors.begin() + i % 5);
  }
  for (const at::Tensor& tensor : tensors) {
    EXPECT_TRUE(tensor.is_contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_EQ(tensor.min().item<float>(), tensor.max().item<float>());
  }
}

class Convolutions : public testing::Test {
 protected:
  void SetUp() override {
    at::manual_seed(3);
    if (!Convolution::supports(spec_of(16, 16, 3, 1, 1, 1, 1))) {
      GTEST_SKIP() << "no convolutions of our own on this build or processor";
    }
  }
};

TEST_F(Convolutions, EqualLibTorchs) {
  for (const auto& spec : {spec_of(3, 16, 3, 1, 1, 1, 1), spec_of(16, 32, 3, 2, 1, 1, 1),
                           spec_of(16, 16, 1, 1, 0, 1, 1), spec_of(32, 32, 3, 1, 1, 1, 32),
                           spec_of(16, 48, 5, 2, 2, 1, 1), spec_of(16, 16, 3, 1, 2, 2, 1),
                           spec_of(5, 7, 3, 1, 0, 1, 1)}) {
    if (!Convolution::supports(spec)) continue;
    const Convolution convolution(spec);
    for (const std::int64_t rows : {1, 6, 130, 3}) {
      const at::Tensor x = at::randn({rows, spec.weight.size(1) * spec.groups, 11, 9});
      const at::Tensor got = convolution.run(x, {}), expected = by_libtorch(spec, x);
      EXPECT_TRUE(at::allclose(got, expected, 1e-4, 1e-5)) << rows;
      EXPECT_TRUE(got.is_contiguous(at::MemoryFormat::ChannelsLast));
    }
  }
}

TEST_F(Convolutions, AddAndActivateInTheSamePass) {
  using Kind = Epilogue::Kind;
  const at::Tensor x = at::randn({5, 16, 7, 7}), other = at::randn({5, 24, 7, 7});
  const auto base = spec_of(16, 24, 3, 1, 1, 1, 1);
  const auto expected = [&](Kind kind, const at::Tensor& y) -> at::Tensor {
    switch (kind) {
      case Kind::kNone:
        return y;
      case Kind::kClip:
        return at::clamp(y, 0, 6);
      case Kind::kLeaky:
        return at::leaky_relu(y, 0.1);
      case Kind::kSwish:
        return at::silu(y);
      case Kind::kHardswish:
        return at::hardswish(y);
      case Kind::kLogistic:
        return at::sigmoid(y);
      case Kind::kTanh:
        return at::tanh(y);
      case Kind::kGelu:
        return at::gelu(y);
    }
    return {};
  };
  for (const Kind kind : {Kind::kNone, Kind::kClip, Kind::kLeaky, Kind::kSwish, Kind::kHardswish,
                          Kind::kLogistic, Kind::kTanh, Kind::kGelu}) {
    for (const bool add : {false, true}) {
      ConvolutionSpec spec = base;
      spec.epilogue.add = add;
      spec.epilogue.kind = kind;
      spec.epilogue.alpha = kind == Kind::kLeaky ? 0.1 : 0;
      spec.epilogue.beta = 6;
      ASSERT_TRUE(Convolution::supports(spec));
      const at::Tensor y = by_libtorch(base, x);
      const at::Tensor got = Convolution(spec).run(x, add ? other : at::Tensor());
      EXPECT_TRUE(at::allclose(got, expected(kind, add ? y + other : y), 1e-4, 1e-5))
          << int(kind) << add;
    }
  }
}

TEST_F(Convolutions, OfNarrowImagesEqualLibTorchs) {
  for (const std::int64_t stride : {1, 2}) {
    ConvolutionSpec spec = spec_of(32, 48, 3, stride, 1, 1, 1);
    const at::Tensor x = at::randn({11, 32, 4, 4});
    const at::Tensor plain = by_libtorch(spec, x), other = at::randn(plain.sizes());
    EXPECT_TRUE(at::allclose(Convolution(spec).run(x, {}), plain, 1e-4, 1e-5));
    spec.epilogue.add = true;
    spec.epilogue.kind = Epilogue::Kind::kLeaky;
    const at::Tensor got = Convolution(spec).run(x, other);
    EXPECT_TRUE(at::allclose(got, at::relu(plain + other), 1e-4, 1e-5));
    EXPECT_TRUE(got.is_contiguous(at::MemoryFormat::ChannelsLast));
  }
}

TEST_F(Convolutions, BroadcastWhatIsAdded) {
  ConvolutionSpec spec = spec_of(16, 24, 3, 1, 1, 1, 1);
  const at::Tensor x = at::randn({2, 16, 7, 7}), other = at::randn({1, 24, 1, 1});
  const at::Tensor expected = by_libtorch(spec, x) + other;
  spec.epilogue.add = true;
  EXPECT_TRUE(at::allclose(Convolution(spec).run(x, other), expected, 1e-4, 1e-5));
}

}  // namespace
}  // namespace cachectl::model
