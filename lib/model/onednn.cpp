#include "model/onednn.h"

#include <ATen/ATen.h>

#include <utility>

namespace cachectl::model::onednn {
namespace {

void* scratch(std::size_t bytes) {
  thread_local at::Tensor buffer;
  if (!buffer.defined() || static_cast<std::size_t>(buffer.numel()) < bytes) {
    buffer = at::empty({static_cast<std::int64_t>(bytes)}, at::kByte);
  }
  return buffer.data_ptr();
}

}  // namespace

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& stream() {
  thread_local dnnl::stream stream(cpu());
  return stream;
}

memory::data_type type_of(at::ScalarType type) {
  return type == at::kBFloat16 ? memory::data_type::bf16 : memory::data_type::f32;
}

Place::Place(const memory::desc& outer, const memory::desc& inner)
    : plain(outer, cpu(), nullptr), inside(outer == inner ? plain : memory(inner, cpu())) {}

Kernel::Kernel(const Described& described, memory weights, memory bias, bool adds)
    : primitive_(described.primitive),
      source_(described.source),
      target_(described.target),
      scratch_(described.scratch),
      weights_(std::move(weights)),
      bias_(std::move(bias)),
      adds_(adds) {
  const auto channels_last = [](const memory::desc& desc) {
    const bool image = desc.dims().size() == 4;
    return image ? memory::desc(desc.dims(), desc.data_type(), Format::nhwc) : desc;
  };
  plain_source_ = channels_last(source_);
  plain_target_ = channels_last(target_);
  blocked_ = source_ != plain_source_;
  if (!blocked_) return;
  const auto turn = [](const memory::desc& from, const memory::desc& to) {
    return dnnl::reorder(dnnl::reorder::primitive_desc(cpu(), from, cpu(), to));
  };
  enter_ = turn(plain_source_, source_);
  enter_other_ = turn(plain_target_, target_);
  leave_ = turn(target_, plain_target_);
}

void Kernel::execute(void* x, void* other, void* y) const {
  auto arguments = take();
  const dnnl::stream& queue = stream();
  arguments->source.plain.set_data_handle(x);
  arguments->target.plain.set_data_handle(y);
  if (adds_) arguments->addend.plain.set_data_handle(other);
  if (const std::size_t bytes = scratch_.get_size(); bytes > 0) {
    arguments->scratch.set_data_handle(scratch(bytes));
  }
  if (blocked_) {
    enter_.execute(queue, arguments->source.plain, arguments->source.inside);
    if (adds_) enter_other_.execute(queue, arguments->addend.plain, arguments->addend.inside);
  }
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive_.get(), queue.get(),
                             static_cast<int>(arguments->list.size()), arguments->list.data());
  TORCH_CHECK(status == dnnl_success, "oneDNN refused a convolution: status ", int(status));
  if (blocked_) leave_.execute(queue, arguments->target.inside, arguments->target.plain);
  give_back(std::move(arguments));
}

std::unique_ptr<Arguments> Kernel::take() const {
  {
    const std::lock_guard lock(mutex_);
    if (!spare_.empty()) {
      auto arguments = std::move(spare_.back());
      spare_.pop_back();
      return arguments;
    }
  }
  auto made = std::make_unique<Arguments>();
  made->source = Place(plain_source_, source_);
  made->target = Place(plain_target_, target_);
  made->scratch = memory(scratch_, cpu(), nullptr);
  made->list = {{DNNL_ARG_SRC, made->source.inside.get()},
                {DNNL_ARG_DST, made->target.inside.get()},
                {DNNL_ARG_SCRATCHPAD, made->scratch.get()}};
  if (weights_) {
    made->list.push_back({DNNL_ARG_WEIGHTS, weights_.get()});
    made->list.push_back({DNNL_ARG_BIAS, bias_.get()});
  }
  if (adds_) {
    made->addend = Place(plain_target_, target_);
    made->list.push_back(
        {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, made->addend.inside.get()});
  }
  return made;
}
void Kernel::give_back(std::unique_ptr<Arguments> arguments) const {
  const std::lock_guard lock(mutex_);
  spare_.push_back(std::move(arguments));
}

}  // namespace cachectl::model::onednn
