#include <ATen/ATen.h>

#include <cassert>
#include <optional>
#include <utility>

#include "artifact/medial_codec.h"
#include "artifact/medial_writer.h"
#include "base/error.h"

namespace cachectl::artifact {

io::Provenance write_medial(const std::string& path, MedialPlan plan, const at::Tensor& pd,
                            const std::vector<at::Tensor>& activations, const CommonOptions& common,
                            const std::map<std::string, io::Provenance>& inputs) {
  assert(activations.size() == plan.layers.size());
  for (std::size_t i = 0; i < activations.size(); ++i) {
    MedialLayer& layer = plan.layers[i];
    layer.shape = activations[i].sizes().slice(1).vec();
    layer.channel_axis = MedialLayer::default_channel_axis(layer.shape);
    if (layer.stored == io::DType::kInt8) {
      const auto [low, high] = activation_range(activations[i], layer);
      set_scale(layer, low, high);
    }
  }
  constexpr std::int64_t kRowsPerBlock = 64;
  if (plan.blocks.empty()) plan.cut_into_blocks(kRowsPerBlock);
  if (plan.expected_bytes == 0) plan.expected_bytes = plan.rows.size() * plan.row_bytes();
  MedialWriter writer(path, std::move(plan), common, inputs);
  const MedialPlan& as_written = writer.plan();
  std::int64_t row = 0;
  for (const auto rows : as_written.blocks) {
    MedialBlock block;
    block.pd = pd.narrow(0, row, rows).to(at::kFloat).contiguous();
    for (std::size_t i = 0; i < activations.size(); ++i) {
      const MedialLayer& layer = as_written.layers[i];
      const at::Tensor values = activations[i].narrow(0, row, rows);
      at::Tensor encoded = at::empty(values.sizes(), scalar_type_of(layer.stored));
      std::int64_t clipped = 0;
      if (const auto bad = encode(values, layer, encoded, clipped)) {
        fail(ExitCode::kCorrupt, "layer {}: row {}: {:g} can't be stored as {}", layer.name,
             row + bad->row, bad->value, io::name_of(layer.stored));
      }
      block.activations.push_back(std::move(encoded));
      block.clipped.push_back(clipped);
    }
    writer.write_block(block);
    row += rows;
  }
  return writer.commit();
}

}  // namespace cachectl::artifact
