#include "model/fusion.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <limits>
#include <string>

namespace cachectl::model {
namespace jit = torch::jit;
namespace {

std::optional<c10::IValue> constant(const jit::Node* node, std::size_t input) {
  if (input >= node->inputs().size()) return std::nullopt;
  const auto value = jit::toIValue(node->inputs()[input]);
  if (!value) return std::nullopt;
  return *value;
}

bool take_tensor(const jit::Node* node, std::size_t input, at::Tensor& tensor) {
  const auto value = constant(node, input);
  if (!value || !value->isTensor()) return false;
  tensor = value->toTensor();
  return tensor.defined();
}

// An int[2], or an int for both.
bool take_pair(const jit::Node* node, std::size_t input, std::vector<std::int64_t>& pair) {
  const auto value = constant(node, input);
  if (!value || !value->isIntList()) return false;
  pair = value->toIntVector();
  if (pair.size() == 1) pair.push_back(pair[0]);
  return pair.size() == 2;
}

bool take_convolution(const jit::Node* node, ConvolutionSpec& spec) {
  const std::string kind = node->kind().toQualString();
  const bool traced = kind == "aten::_convolution" || kind == "aten::convolution";
  if (kind != "aten::conv2d" && !traced) return false;
  if (!take_tensor(node, 1, spec.weight)) return false;
  const auto bias = constant(node, 2);
  if (!bias) return false;
  if (bias->isTensor()) {
    spec.bias = bias->toTensor();
  } else if (!bias->isNone()) {
    return false;
  }
  if (!take_pair(node, 3, spec.stride) || !take_pair(node, 4, spec.padding) ||
      !take_pair(node, 5, spec.dilation)) {
    return false;
  }
  if (traced) {
    const auto transposed = constant(node, 6);
    if (!transposed || !transposed->isBool() || transposed->toBool()) return false;
  }
  const auto groups = constant(node, traced ? 8 : 6);
  if (!groups || !groups->isInt()) return false;
  spec.groups = groups->toInt();
  return spec.weight.dim() == 4;
}

bool take_number(const jit::Node* node, std::size_t input, double missing, double& number) {
  const auto value = constant(node, input);
  if (!value) return false;
  number = value->isNone() ? missing : value->isScalar() ? value->toScalar().toDouble() : missing;
  return value->isNone() || value->isScalar();
}

bool take_activation(const jit::Node* node, Epilogue& epilogue) {
  constexpr double kInfinity = std::numeric_limits<float>::infinity();
  const std::string kind = node->kind().toQualString();
  const auto is = [&](const char* name) {
    return kind == std::string("aten::") + name || kind == std::string("aten::") + name + "_";
  };
  if (is("relu")) {
    epilogue.kind = Epilogue::Kind::kLeaky;
    epilogue.alpha = 0;
  } else if (is("relu6")) {
    epilogue.kind = Epilogue::Kind::kClip;
    epilogue.alpha = 0;
    epilogue.beta = 6;
  } else if (is("hardtanh") || is("clamp")) {
    if (!take_number(node, 1, -kInfinity, epilogue.alpha)) return false;
    if (!take_number(node, 2, kInfinity, epilogue.beta)) return false;
    epilogue.kind = Epilogue::Kind::kClip;
  } else if (is("leaky_relu")) {
    if (!take_number(node, 1, 0.01, epilogue.alpha)) return false;
    epilogue.kind = Epilogue::Kind::kLeaky;
  } else if (is("silu")) {
    epilogue.kind = Epilogue::Kind::kSwish;
  } else if (is("hardswish")) {
    epilogue.kind = Epilogue::Kind::kHardswish;
  } else if (is("sigmoid")) {
    epilogue.kind = Epilogue::Kind::kLogistic;
  } else if (is("tanh")) {
    epilogue.kind = Epilogue::Kind::kTanh;
  } else if (is("gelu")) {
    const auto approximation = constant(node, 1);
    if (node->inputs().size() > 1 &&
        !(approximation && approximation->isString() && approximation->toStringRef() == "none")) {
      return false;
    }
    epilogue.kind = Epilogue::Kind::kGelu;
  } else {
    return false;
  }
  return true;
}

// The only user of a value, at the top level of the same graph.
jit::Node* only_user(jit::Value* value) {
  if (value->uses().size() != 1) return nullptr;
  jit::Node* user = value->uses()[0].user;
  const bool here = user->owningBlock() == value->node()->owningBlock();
  return here && user->kind() != jit::prim::Return ? user : nullptr;
}

// The other side of an addition of two tensors without a factor, known to have the sizes
// of the first: a convolution's output is added to what is no constant of fewer values.
jit::Value* other_side(jit::Node* node, const jit::Value* value) {
  const std::string kind = node->kind().toQualString();
  if (kind != "aten::add" && kind != "aten::add_") return nullptr;
  if (node->inputs().size() != 3) return nullptr;
  const auto factor = constant(node, 2);
  if (!factor || !factor->isInt() || factor->toInt() != 1) return nullptr;
  jit::Value* other = node->inputs()[0] == value ? node->inputs()[1] : node->inputs()[0];
  if (other == value || !other->type()->isSubtypeOf(*c10::TensorType::get())) return nullptr;
  if (jit::toIValue(other)) return nullptr;
  return other;
}

}  // namespace

std::optional<FusedConvolution> match_convolution(jit::Node* node,
                                                  const std::set<const jit::Node*>& taken) {
  FusedConvolution match;
  if (!take_convolution(node, match.spec) || !Convolution::supports(match.spec))
    return std::nullopt;
  match.input = node->inputs()[0];
  match.output = node->output();
  match.nodes = {node};
  const auto follower = [&](jit::Value* value) {
    jit::Node* user = only_user(value);
    return user && taken.count(user) == 0 ? user : nullptr;
  };
  jit::Node* next = follower(match.output);
  if (next) {
    if (jit::Value* other = other_side(next, match.output); other) {
      ConvolutionSpec added = match.spec;
      added.epilogue.add = true;
      if (Convolution::supports(added)) {
        match.spec = added;
        match.other = other;
        match.output = next->output();
        match.nodes.push_back(next);
        next = follower(match.output);
      }
    }
  }
  if (next && !next->inputs().empty() && next->inputs()[0] == match.output) {
    ConvolutionSpec activated = match.spec;
    if (take_activation(next, activated.epilogue) && Convolution::supports(activated)) {
      match.spec = activated;
      match.output = next->output();
      match.nodes.push_back(next);
    }
  }
  return match;
}

}  // namespace cachectl::model
