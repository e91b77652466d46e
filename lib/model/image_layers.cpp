#include "model/image_layers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "model/buffers.h"

namespace cachectl::model {
namespace {

constexpr std::size_t kNothing = ImageLayer::kNothing;
constexpr std::int64_t kAlignment = 64;
// Rows that go through the layers together. Fewer would make a call's fixed cost felt; with more
// than the last cache holds (a part of it, that is) the next layer finds nothing there.
constexpr std::int64_t kTogether = 16;
constexpr std::int64_t kCacheBytes = std::int64_t{8} << 20;
// Every group reads the weights anew: activations must outweigh them by this much.
constexpr std::int64_t kOutweigh = 4;

std::int64_t up_to(std::int64_t value, std::int64_t step) {
  return (value + step - 1) / step * step;
}

// One value of one sample.
struct Value {
  std::int64_t channels = 0;
  ImageSize size;
  std::int64_t bytes = 0;
  std::int64_t offset = -1;  // in a sample's share of the arena; -1: an input or an output
};

// All sizes for inputs of one size.
struct Schedule {
  bool fits = false;
  std::vector<Value> values;
  std::int64_t arena_bytes = 0;  // per row
  std::int64_t rows_together = std::numeric_limits<std::int64_t>::max();
};

// Offsets in it. Those of values that don't live at the same time may be the same.
class Arena {
 public:
  std::int64_t take(std::size_t value, std::int64_t bytes) {
    std::int64_t offset = 0;
    for (const auto& [start, block] : blocks_) {
      if (offset + bytes <= start) break;
      offset = block.end;
    }
    blocks_[offset] = {offset + bytes, value};
    size_ = std::max(size_, offset + bytes);
    return offset;
  }
  void free(std::size_t value) {
    for (auto block = blocks_.begin(); block != blocks_.end(); ++block) {
      if (block->second.value != value) continue;
      blocks_.erase(block);
      return;
    }
  }
  std::int64_t size() const { return size_; }

 private:
  struct Block {
    std::int64_t end = 0;
    std::size_t value = 0;
  };
  std::map<std::int64_t, Block> blocks_;  // by their start
  std::int64_t size_ = 0;
};

// The type that a layer works in.
at::ScalarType type_of(const ImageLayer& layer) {
  return layer.convolution ? layer.convolution->spec().weight.scalar_type() : at::kFloat;
}

}  // namespace

struct ImageLayers::State {
  std::vector<ImageLayer> layers;
  std::size_t inputs = 0, values = 0;
  std::vector<std::size_t> outputs;
  std::vector<std::size_t> last_layer;  // per value: that reads it; kNothing: wanted, or an input
  at::ScalarType type = at::kFloat;
  bool one_type = true;
  mutable std::shared_mutex mutex;
  mutable std::map<std::vector<std::int64_t>, std::shared_ptr<const Schedule>> schedules;

  std::shared_ptr<const Schedule> schedule(const Tensors& given) const {
    std::vector<std::int64_t> key;
    for (const at::Tensor& input : given) {
      key.insert(key.end(), {input.size(1), input.size(2), input.size(3)});
    }
    {
      const std::shared_lock lock(mutex);
      const auto found = schedules.find(key);
      if (found != schedules.end()) return found->second;
    }
    auto made = std::make_shared<const Schedule>(make(given));
    const std::unique_lock lock(mutex);
    return schedules.emplace(std::move(key), std::move(made)).first->second;
  }

  Value describe(std::int64_t channels, ImageSize size) const {
    const auto item = static_cast<std::int64_t>(at::elementSize(type));
    return {channels, size, channels * size.height * size.width * item, -1};
  }

  // What a layer gives; no channels when it does not take its inputs.
  Value result_of(const ImageLayer& layer, const std::vector<Value>& known) const {
    const Value& x = known[layer.input];
    if (!layer.convolution) {
      return describe(x.channels, layer.pool->output_size(x.size));
    }
    const ConvolutionSpec& spec = layer.convolution->spec();
    if (x.channels != spec.weight.size(1) * spec.groups) return {};
    const Value y = describe(spec.weight.size(0), layer.convolution->output_size(x.size));
    if (!spec.epilogue.add) return y;
    const Value& other = known[layer.other];
    const bool same = other.channels == y.channels && other.size.height == y.size.height &&
                      other.size.width == y.size.width;
    return same ? y : Value{};
  }

  Schedule make(const Tensors& given) const {
    Schedule schedule;
    schedule.values.resize(values);
    for (std::size_t i = 0; i < inputs; ++i) {
      schedule.values[i] = describe(given[i].size(1), {given[i].size(2), given[i].size(3)});
    }
    Arena arena;
    std::int64_t most = 0, moved = 1;  // bytes per row: by a layer, by all
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const ImageLayer& layer = layers[l];
      Value value = result_of(layer, schedule.values);
      if (value.bytes < 1 || value.size.height < 1 || value.size.width < 1) return {};
      std::int64_t touched = value.bytes + schedule.values[layer.input].bytes;
      if (layer.other != kNothing) touched += schedule.values[layer.other].bytes;
      most = std::max(most, touched);
      moved += touched;
      const bool wanted = std::find(outputs.begin(), outputs.end(), layer.output) != outputs.end();
      if (!wanted) value.offset = arena.take(layer.output, up_to(value.bytes, kAlignment));
      schedule.values[layer.output] = value;
      for (const std::size_t read : {layer.input, layer.other}) {
        if (read != kNothing && last_layer[read] == l) arena.free(read);
      }
    }
    schedule.arena_bytes = arena.size();
    const std::int64_t together = std::max(kTogether, kOutweigh * weight_bytes() / moved);
    if (together * most <= kCacheBytes) schedule.rows_together = together;
    schedule.fits = true;
    return schedule;
  }

  std::int64_t weight_bytes() const {
    std::int64_t bytes = 0;
    for (const ImageLayer& layer : layers) {
      if (layer.convolution) {
        bytes += static_cast<std::int64_t>(layer.convolution->spec().weight.nbytes());
      }
    }
    return bytes;
  }

  // The rows first..first+rows-1 through all layers.
  void run_rows(const Schedule& schedule, const std::vector<char*>& outside, char* arena,
                std::int64_t first, std::int64_t rows) const {
    const auto at = [&](std::size_t value) {
      const Value& known = schedule.values[value];
      return known.offset < 0 ? outside[value] + first * known.bytes : arena + rows * known.offset;
    };
    for (const ImageLayer& layer : layers) {
      const Value& x = schedule.values[layer.input];
      char* const y = at(layer.output);
      if (layer.convolution) {
        layer.convolution->run_on(rows, x.size, at(layer.input),
                                  layer.other == kNothing ? nullptr : at(layer.other), y);
      } else {
        layer.pool->run_on(rows, x.channels, x.size,
                           reinterpret_cast<const float*>(at(layer.input)),
                           reinterpret_cast<float*>(y));
      }
    }
  }
};

ImageLayers::ImageLayers(std::vector<ImageLayer> layers, std::size_t inputs,
                         std::vector<std::size_t> outputs)
    : state_(std::make_unique<State>()) {
  TORCH_INTERNAL_ASSERT(!layers.empty() && !outputs.empty());
  state_->values = inputs;
  for (const ImageLayer& layer : layers) {
    state_->values = std::max(state_->values, layer.output + 1);
  }
  state_->last_layer.assign(state_->values, kNothing);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (const std::size_t read : {layers[l].input, layers[l].other}) {
      if (read != kNothing) state_->last_layer[read] = l;
    }
  }
  state_->type = type_of(layers[0]);
  state_->one_type = std::all_of(layers.begin(), layers.end(), [&](const ImageLayer& layer) {
    return type_of(layer) == state_->type;
  });
  state_->layers = std::move(layers);
  state_->inputs = inputs;
  state_->outputs = std::move(outputs);
}
ImageLayers::~ImageLayers() = default;
ImageLayers::ImageLayers(ImageLayers&&) noexcept = default;
ImageLayers& ImageLayers::operator=(ImageLayers&&) noexcept = default;

std::optional<Tensors> ImageLayers::run(const Tensors& inputs) const {
  const State& state = *state_;
  if (!state.one_type) return std::nullopt;
  Tensors ready;
  for (const at::Tensor& input : inputs) {
    if (input.dim() != 4 || !input.device().is_cpu() || input.size(0) != inputs[0].size(0)) {
      return std::nullopt;
    }
    ready.push_back(input.to(state.type).contiguous(at::MemoryFormat::ChannelsLast));
  }
  const auto schedule = state.schedule(ready);
  if (!schedule->fits) return std::nullopt;
  const std::int64_t rows = inputs[0].size(0);
  std::vector<char*> outside(state.values, nullptr);
  for (std::size_t i = 0; i < ready.size(); ++i) {
    outside[i] = static_cast<char*>(ready[i].data_ptr());
  }
  Tensors results;
  for (const std::size_t output : state.outputs) {
    const Value& value = schedule->values[output];
    results.push_back(
        pooled_empty({rows, value.channels, value.size.height, value.size.width}, state.type));
    outside[output] = static_cast<char*>(results.back().data_ptr());
  }
  if (rows == 0) return results;

  const std::int64_t most = std::min(rows, schedule->rows_together);
  const PooledBytes arena(std::max<std::int64_t>(most * schedule->arena_bytes, 1));
  for (std::int64_t first = 0; first < rows; first += most) {
    state.run_rows(*schedule, outside, arena.data(), first, std::min(most, rows - first));
  }
  return results;
}

}  // namespace cachectl::model
