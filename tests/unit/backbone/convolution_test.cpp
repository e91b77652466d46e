#include "model/convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "model/buffers.h"
#include "model/image_layers.h"

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

// oneDNN answers any question, some by a kernel that takes a hundred times as long.
TEST_F(Convolutions, HaveAFastKernelForEverySizeOfImage) {
  for (auto spec : {spec_of(64, 64, 3, 1, 1, 1, 1), spec_of(16, 48, 3, 1, 1, 1, 1),
                    spec_of(32, 24, 3, 2, 1, 1, 1), spec_of(48, 64, 1, 1, 0, 1, 1),
                    spec_of(64, 64, 5, 1, 2, 1, 1), spec_of(64, 64, 5, 3, 2, 1, 1),
                    spec_of(64, 64, 5, 2, 2, 1, 64), spec_of(16, 16, 3, 1, 1, 1, 16)}) {
    for (const bool add : {false, true}) {
      spec.epilogue.add = add;
      spec.epilogue.kind = Epilogue::Kind::kLeaky;
      if (!Convolution::supports(spec)) continue;
      const Convolution convolution(spec);
      for (const std::int64_t side : {1, 2, 3, 4, 5, 8, 16, 33}) {
        // Of a depthwise kernel that hardly fits on the image nothing is left to be slow.
        if (spec.groups > 1 && side <= spec.weight.size(2) / 2) continue;
        for (const std::int64_t rows : {1, 16}) {
          EXPECT_TRUE(convolution.is_fast_on(rows, {side, side}))
              << spec.weight.sizes() << " on " << side << ", rows " << rows << ", add " << add;
        }
      }
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

TEST_F(Convolutions, WithAKernelAsLargeAsTheImageEqualLibTorchs) {
  for (const std::int64_t side : {1, 3, 4}) {
    ConvolutionSpec spec = spec_of(24, 17, side, 1, 0, 1, 1);
    for (const std::int64_t rows : {1, 2, 37}) {
      const at::Tensor x = at::randn({rows, 24, side, side});
      const at::Tensor got = Convolution(spec).run(x, {});
      EXPECT_TRUE(at::allclose(got, by_libtorch(spec, x), 1e-4, 1e-5)) << side << " " << rows;
    }
  }
}

TEST_F(Convolutions, PoolsEqualLibTorchs) {
  if (!Pooling::supported()) GTEST_SKIP() << "no pools of our own on this build";
  for (const std::int64_t window : {1, 2, 3, 5}) {
    for (const std::int64_t channels : {5, 16, 56}) {
      const at::Tensor x =
          at::randn({19, channels, 11, 8}).contiguous(at::MemoryFormat::ChannelsLast);
      const auto pooled = [&](Pooling::Kind kind) {
        const Pooling pool(kind, window);
        const ImageSize out = pool.output_size({11, 8});
        const at::Tensor y =
            at::empty({19, channels, out.height, out.width}, at::TensorOptions(at::kFloat),
                      at::MemoryFormat::ChannelsLast);
        pool.run_on(19, channels, {11, 8}, x.data_ptr<float>(), y.data_ptr<float>());
        return y;
      };
      const std::vector<std::int64_t> windows = {window, window};
      EXPECT_TRUE(
          at::allclose(pooled(Pooling::Kind::kAverage), at::avg_pool2d(x, windows), 1e-5, 1e-6));
      EXPECT_TRUE(at::equal(pooled(Pooling::Kind::kMaximum), at::max_pool2d(x, windows)));
    }
  }
}

// A residual block with a pool in front and a branch that leaves: value 0 is the input.
class LayersTogether : public Convolutions {
 protected:
  void SetUp() override {
    Convolutions::SetUp();
    if (IsSkipped() || !Pooling::supported()) GTEST_SKIP() << "no layers of our own here";
    first_ = spec_of(6, 16, 3, 1, 1, 1, 1);
    second_ = spec_of(16, 16, 3, 1, 1, 1, 1);
    second_.epilogue.add = true;
    second_.epilogue.kind = Epilogue::Kind::kLeaky;
    branch_ = spec_of(16, 8, 1, 2, 0, 1, 1);
  }
  ImageLayers layers() const {
    std::vector<ImageLayer> layers(4);
    layers[0].pool = std::make_shared<const Pooling>(Pooling::Kind::kAverage, 2);
    layers[1].convolution = std::make_shared<const Convolution>(first_);
    layers[2].convolution = std::make_shared<const Convolution>(second_);
    layers[3].convolution = std::make_shared<const Convolution>(branch_);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      layers[i].input = i;
      layers[i].output = i + 1;
    }
    layers[2].other = 2;
    return ImageLayers(std::move(layers), 1, {4, 2});
  }
  ConvolutionSpec first_, second_, branch_;
};

TEST_F(LayersTogether, EqualOneAfterTheOtherAtAnyBatchSize) {
  const ImageLayers together = layers();
  for (const std::int64_t rows : {3, 1, 16, 17, 70, 0}) {
    const at::Tensor x = at::randn({rows, 6, 14, 10});
    const auto got = together.run({x});
    ASSERT_TRUE(got.has_value());
    const at::Tensor a = by_libtorch(first_, at::avg_pool2d(x, {2, 2}));
    const at::Tensor b = by_libtorch(branch_, at::relu(by_libtorch(second_, a) + a));
    EXPECT_TRUE(at::allclose((*got)[0], b, 1e-4, 1e-5)) << rows;
    EXPECT_TRUE(at::allclose((*got)[1], a, 1e-4, 1e-5)) << rows;
  }
}

TEST_F(LayersTogether, AnswerManyThreadsAtOnce) {
  const ImageLayers together = layers();
  const at::Tensor x = at::randn({9, 6, 14, 10});
  const at::Tensor expected = (*together.run({x}))[0].clone();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const at::Tensor rows = x.slice(0, 0, 1 + (t + i) % 9);
        const at::Tensor got = (*together.run({rows}))[0];
        wrong += !at::allclose(got, expected.slice(0, 0, rows.size(0)), 1e-4, 1e-5);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(LayersTogether, LeaveInputsThatDoNotFitToOthers) {
  const ImageLayers together = layers();
  EXPECT_FALSE(together.run({at::randn({2, 5, 14, 10})}).has_value());
  EXPECT_FALSE(together.run({at::randn({2, 6, 14})}).has_value());
  EXPECT_FALSE(together.run({at::randn({2, 6, 1, 1})}).has_value());
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
