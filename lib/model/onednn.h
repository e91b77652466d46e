#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

// Inside the library, where it has oneDNN of its own: kernels that are made once and then only
// get other addresses.
namespace cachectl::model::onednn {

using dnnl::memory;
using Format = memory::format_tag;

const dnnl::engine& cpu();
dnnl::stream& stream();  // of this thread
memory::data_type type_of(at::ScalarType type);

// A primitive and what it takes. No weights: it has none, and no bias.
struct Described {
  dnnl::primitive primitive;
  memory::desc source, target, weights, scratch;
};

template <class Operation>
Described described_as(const Operation& made) {
  return {dnnl::primitive(made), made.src_desc(), made.dst_desc(), made.weights_desc(),
          made.scratchpad_desc()};
}

// A tensor in the layout that goes in or out, and in the kernel's: the same, or another that
// is reordered to.
struct Place {
  memory plain, inside;
  Place() = default;
  Place(const memory::desc& outer, const memory::desc& inner);
};

// What a call is given, made once.
struct Arguments {
  Place source, target, addend;
  memory scratch;
  std::vector<dnnl_exec_arg_t> list;
};

// One piece size at one image size. execute() may be called from several threads at once.
class Kernel {
 public:
  // weights: in the layout the primitive asks for; weights and bias empty where it has none.
  Kernel(const Described& described, memory weights, memory bias, bool adds);
  // x, other, y: channels last; other: nullptr unless it adds.
  void execute(void* x, void* other, void* y) const;

 private:
  std::unique_ptr<Arguments> take() const;  // as many as calls run at once
  void give_back(std::unique_ptr<Arguments> arguments) const;

  dnnl::primitive primitive_;
  memory::desc source_, target_, scratch_;
  memory::desc plain_source_, plain_target_;  // channels last
  memory weights_, bias_;
  bool adds_ = false, blocked_ = false;
  dnnl::reorder enter_, enter_other_, leave_;  // empty unless blocked
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Arguments>> spare_;
};

}  // namespace cachectl::model::onednn
