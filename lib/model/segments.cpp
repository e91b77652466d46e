#include "model/segments.h"

#include <ATen/ATen.h>

#include <cstring>
#include <exception>
#include <new>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "model/buffers.h"
#include "model/chain_state.h"

namespace cachectl::model {

at::Tensor select_rows(const at::Tensor& tensor, const at::Tensor& index) {
  const at::Tensor rows = index.to(tensor.device());
  if (tensor.dim() != 4 || tensor.is_contiguous() ||
      !tensor.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    return tensor.index_select(0, rows);
  }
  if (!tensor.device().is_cpu() || tensor.size(0) == 0) {
    return tensor.permute({0, 2, 3, 1}).index_select(0, rows).permute({0, 3, 1, 2});
  }
  std::vector<std::int64_t> sizes = tensor.sizes().vec();
  sizes[0] = rows.numel();
  at::Tensor selected = pooled_empty(sizes, tensor.scalar_type());
  const std::size_t bytes = tensor.nbytes() / static_cast<std::size_t>(tensor.size(0));
  const auto* const from = static_cast<const char*>(tensor.data_ptr());
  auto* to = static_cast<char*>(selected.data_ptr());
  const at::Tensor order = rows.contiguous();
  for (std::int64_t i = 0; i < rows.numel(); ++i, to += bytes) {
    const std::int64_t row = order.data_ptr<std::int64_t>()[i];
    TORCH_CHECK_INDEX(row >= 0 && row < tensor.size(0), "row ", row, " of ", tensor.size(0));
    std::memcpy(to, from + static_cast<std::size_t>(row) * bytes, bytes);
  }
  return selected;
}

Tensors ChainInputs::prepare(const Tensors& inputs) const {
  if (inputs.size() != shapes.size()) {
    fail(ExitCode::kIncompatible, "{}: was loaded with {} inputs, but is given {}", path,
         shapes.size(), inputs.size());
  }
  Tensors ready;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const at::Tensor& input = inputs[i];
    if (input.dim() == 0 || input.sizes().slice(1) != at::IntArrayRef(shapes[i])) {
      fail(ExitCode::kIncompatible, "{}: input {} has shape {}; expected samples of {}", path, i,
           text::shape(input.sizes().vec()), text::shape(shapes[i]));
    }
    // Tokens may come as floats; floats that are no tokens may not come as whole numbers.
    if (!at::isFloatingType(input.scalar_type()) && at::isFloatingType(dtypes[i])) {
      fail(ExitCode::kIncompatible, "{}: input {} is {}; expected {}", path, i,
           at::toString(input.scalar_type()), at::toString(dtypes[i]));
    }
    ready.push_back(input.to(at::Device(device), dtypes[i]));
  }
  return ready;
}

bool ChainInputs::take_whole_numbers(Tensors& example) {
  bool any = false;
  for (std::size_t i = 0; i < example.size(); ++i) {
    if (!at::isFloatingType(dtypes[i])) continue;
    if (!(example[i].round().eq(example[i]) & example[i].ge(0)).all().item<bool>()) continue;
    dtypes[i] = at::kLong;
    example[i] = example[i].to(at::kLong);
    any = true;
  }
  return any;
}

std::size_t SegmentChain::size() const {
  return state_->programs.size();
}
const std::vector<std::string>& SegmentChain::candidates() const {
  return state_->names;
}

Tensors SegmentChain::run(std::size_t segment, Tensors live) const {
  const Program& program = state_->programs.at(segment);
  const bool last = segment + 1 == size();
  const auto part = [&] {
    return last ? std::string("the last segment") : "the segment up to " + state_->names[segment];
  };
  at::Tensor output;
  std::int64_t rows = 0;
  try {
    if (segment == 0) live = state_->inputs.prepare(live);
    rows = live.at(0).size(0);
    output = program.run(std::move(live));
    if (last) output = output.to(at::kFloat);
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {  // the interpreter's are no c10::Error
    fail(ExitCode::kIncompatible, "{}: {}: {}", state_->path, part(), first_line(error));
  }
  // Whoever reads the answers counts on one for each sample.
  if (output.dim() == 0 || output.size(0) != rows) {
    fail(ExitCode::kIncompatible,
         "{}: {} gives {} for {} samples: its answers depend on the size of the batch",
         state_->path, part(), text::shape(output.sizes().vec()), rows);
  }
  return {std::move(output)};
}

at::Tensor SegmentChain::run(const Tensors& inputs) const {
  Tensors live = inputs;
  for (std::size_t i = 0; i < size(); ++i) live = run(i, std::move(live));
  return live.at(0);
}

}  // namespace cachectl::model
