#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace torch::jit {
struct Module;
}

// A description of a TorchScript module: its tensors, its sub-modules and the
// body of its forward. The architectures are functions that return one.
namespace cachectl::zoo {

enum class Init {
  kZeros,
  kOnes,
  kQuarter,        // 0.25, PReLU's (He et al. 2015)
  kKaimingFanOut,  // normal, sqrt(2 / fan out) (He et al. 2015): convolutions before a ReLU
  kUniformFanIn,   // uniform within 1 / sqrt(fan in): linear layers and biases
  kNormal,         // normal, 0.02: what a transformer learns as embeddings
};

struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  Init init = Init::kZeros;
  bool is_buffer = false;
  bool is_integer = false;
  std::int64_t fan_in = 0;  // for kUniformFanIn
};

struct Layer {
  std::string type;     // the class's name in the TorchScript file
  std::string forward;  // statements over `self` and `x`, one a line, the last one a return
  std::vector<TensorSpec> tensors = {};
  std::vector<std::pair<std::string, Layer>> children = {};
};

// "self.layer1.forward(x)", and "getattr(self, \"0\").forward(x)" where the name is a number.
std::string call(const std::string& child, const std::string& argument = "x");

// A square convolution, padded by half its kernel unless it says otherwise.
class Conv {
 public:
  explicit Conv(std::int64_t kernel) : kernel_(kernel), padding_(kernel / 2) {}
  Conv& stride(std::int64_t value) { return stride_ = value, *this; }
  Conv& groups(std::int64_t value) { return groups_ = value, *this; }
  Conv& unpadded() { return padding_ = 0, *this; }
  Conv& biased() { return has_bias_ = true, *this; }

 private:
  friend Layer conv2d(std::int64_t in, std::int64_t out, const Conv& options);
  std::int64_t kernel_, padding_, stride_ = 1, groups_ = 1;
  bool has_bias_ = false;
};
Layer conv2d(std::int64_t in, std::int64_t out, const Conv& options);
Layer batch_norm(std::int64_t channels);
Layer linear(std::int64_t in, std::int64_t out, bool bias = true);
Layer layer_norm(std::int64_t width, double epsilon);
Layer prelu(std::int64_t channels);
Layer dropout(double probability);
// A layer without parameters; expression over x: "torch.relu(x)".
Layer function(const std::string& type, const std::string& expression);
Layer sequential(std::vector<std::pair<std::string, Layer>> layers);
Layer sequential(std::vector<Layer> layers);  // named 0, 1, ...

// Compiles the description. Layers of equal source share one class. fill false leaves parameters
// zero.
torch::jit::Module compile(const Layer& root, bool fill, std::uint64_t seed);

}  // namespace cachectl::zoo
