#include "learn/medial_source.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <unordered_map>

#include "artifact/medial_loader.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

namespace cachectl::learn {
namespace {

constexpr std::int64_t kReadRows = 512;

// The precision that rows are kept in. int8 is kept dequantised, and may be of any size.
at::ScalarType kept_type(io::DType stored) {
  switch (stored) {
    case io::DType::kFloat16:
      return at::kHalf;
    case io::DType::kBFloat16:
      return at::kBFloat16;
    default:
      return at::kFloat;
  }
}

at::Tensor read_all(const artifact::MedialReader& medial, const Layer& layer, at::ScalarType type,
                    const std::vector<std::int64_t>& rows) {
  std::vector<std::int64_t> sizes = layer.shape;
  sizes.insert(sizes.begin(), static_cast<std::int64_t>(rows.size()));
  // Maps as learning takes them: a position's channels side by side.
  const auto layout =
      sizes.size() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  at::Tensor all = at::empty(sizes, type, layout);
  for (std::int64_t first = 0; first < sizes[0]; first += kReadRows) {
    const std::int64_t count = std::min(kReadRows, sizes[0] - first);
    all.narrow(0, first, count)
        .copy_(
            medial.activations(layer.name, {rows.begin() + first, rows.begin() + first + count}));
  }
  return all;
}

// Rows in float32, laid out as they are kept.
at::Tensor rows_of(const at::Tensor& kept, const at::Tensor& rows) {
  if (kept.dim() != 4) return kept.index_select(0, rows).to(at::kFloat);
  return kept.permute({0, 2, 3, 1}).index_select(0, rows).to(at::kFloat).permute({0, 3, 1, 2});
}

}  // namespace

MedialSource::MedialSource(const artifact::MedialReader& medial,
                           const std::vector<std::string>& names, bool views, double memory_bytes,
                           std::uint64_t seed)
    : medial_(medial),
      memory_bytes_(memory_bytes),
      seed_(seed),
      train_rows_(medial.rows_of(data::Part::kTrain, views)),
      validation_rows_(medial.rows_of(data::Part::kValidation)) {
  for (const auto& name : names) layers_.push_back({name, medial.layer(name).shape});
  for (const auto* part : {&train_rows_, &validation_rows_}) {
    if (part->empty()) {
      fail(ExitCode::kNothingProcessed,
           "{}: no sample in the {} part: collect with a split that "
           "gives it some",
           medial.path(), part == &train_rows_ ? "train" : "validation");
    }
  }
  std::unordered_map<std::uint64_t, std::size_t> position;
  for (std::size_t i = 0; i < train_rows_.size(); ++i) {
    const auto id = medial.rows().ids[static_cast<std::size_t>(train_rows_[i])];
    const auto [entry, is_new] = position.emplace(id, rows_.size());
    if (is_new) rows_.emplace_back();
    rows_[entry->second].push_back(static_cast<std::int64_t>(i));
  }
  for (const auto& rows : rows_) {
    views_ = std::max(views_, static_cast<std::int64_t>(rows.size()));
  }
  validation_pd_ = medial.pd(validation_rows_);
}

double MedialSource::bytes_of(std::size_t layer) const {
  const auto type = kept_type(medial_.layer(layers_[layer].name).stored);
  return static_cast<double>(at::elementSize(type)) * static_cast<double>(layers_[layer].values()) *
         static_cast<double>(train_rows_.size() + validation_rows_.size());
}

void MedialSource::keep(const std::vector<std::size_t>& layers) {
  for (auto entry = kept_.begin(); entry != kept_.end();) {
    const bool wanted = std::find(layers.begin(), layers.end(), entry->first) != layers.end();
    entry = wanted ? std::next(entry) : kept_.erase(entry);
  }
  double needed = 4 * static_cast<double>(classes()) * static_cast<double>(train_rows_.size());
  for (const auto layer : layers) needed += bytes_of(layer);
  if (needed > memory_bytes_) {
    log::debug("{}: {} of activations stay in the file", medial_.path(), text::bytes(needed));
    kept_.clear();
    train_pd_ = at::Tensor();
    return;
  }
  if (!train_pd_.defined()) train_pd_ = medial_.pd(train_rows_);
  for (const auto layer : layers) {
    if (kept_.count(layer) != 0) continue;
    const auto type = kept_type(medial_.layer(layers_[layer].name).stored);
    kept_[layer] = {read_all(medial_, layers_[layer], type, train_rows_),
                    read_all(medial_, layers_[layer], type, validation_rows_)};
  }
}

void MedialSource::epoch(std::int64_t epoch, std::int64_t count, std::int64_t batch_size,
                         const std::vector<std::size_t>& layers,
                         const std::function<void(const Batch&)>& consume) {
  keep(layers);
  // Each sample goes through its views in an order of its own, one an epoch.
  std::vector<std::int64_t> rows;
  for (const auto sample : epoch_order(samples(), count, seed_, epoch)) {
    const auto& views = rows_[static_cast<std::size_t>(sample)];
    const auto many = static_cast<std::uint64_t>(views.size());
    const std::uint64_t first =
        derive_seed(seed_, "view", static_cast<std::uint64_t>(sample)) % many;
    rows.push_back(views[(first + static_cast<std::uint64_t>(epoch)) % many]);
  }
  const bool all_kept = std::all_of(layers.begin(), layers.end(),
                                    [&](std::size_t layer) { return kept_.count(layer) != 0; });
  if (!all_kept) {
    stream(rows, epoch, batch_size, layers, consume);
    return;
  }
  const auto total = static_cast<std::int64_t>(rows.size());
  const at::Tensor index = at::tensor(rows, at::kLong);
  prefetch(
      batches_in(total, batch_size), 1, kAhead,
      [&](std::int64_t i) {
        return [&, first = i * batch_size] {
          const at::Tensor some = index.narrow(0, first, std::min(batch_size, total - first));
          Batch batch;
          for (const auto layer : layers) {
            batch.activations.push_back(rows_of(kept_.at(layer).train, some));
          }
          batch.pd = train_pd_.index_select(0, some);
          return batch;
        };
      },
      consume);
}

void MedialSource::stream(const std::vector<std::int64_t>& rows, std::int64_t epoch,
                          std::int64_t batch_size, const std::vector<std::size_t>& layers,
                          const std::function<void(const Batch&)>& consume) {
  std::vector<std::string> names;
  names.reserve(layers.size());
  for (const auto layer : layers) names.push_back(layers_[layer].name);
  std::vector<std::int64_t> of_file;
  of_file.reserve(rows.size());
  for (const auto row : rows) of_file.push_back(train_rows_[static_cast<std::size_t>(row)]);
  artifact::MedialLoaderOptions options;
  options.batch_size = batch_size;
  options.seed = derive_seed(seed_, "stream", static_cast<std::uint64_t>(epoch));
  // Batches that wait, the one being made and the one in use are part of the memory.
  const double batch_bytes =
      std::max(1.0, static_cast<double>(batch_size) * sample_bytes(layers_, layers));
  constexpr double kLeast = 64.0 * 1024 * 1024;
  options.prefetch = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(memory_bytes_ / 2 / batch_bytes) - 2, 1, options.prefetch);
  options.memory_bytes = static_cast<std::int64_t>(
      std::max(memory_bytes_ - batch_bytes * static_cast<double>(options.prefetch + 2), kLeast));
  artifact::MedialLoader loader(medial_, names, of_file, options);
  loader.start(0);
  for (std::int64_t i = batches_in(static_cast<std::int64_t>(rows.size()), batch_size); i-- > 0;) {
    auto batch = loader.next();
    if (!batch) return;
    consume({std::move(batch->activations), std::move(batch->pd)});
  }
}

at::Tensor MedialSource::validation(std::size_t layer, std::int64_t first, std::int64_t count) {
  const auto kept = kept_.find(layer);
  if (kept != kept_.end()) {
    return kept->second.validation.narrow(0, first, count).to(at::kFloat);
  }
  const auto begin = validation_rows_.begin() + first;
  return medial_.activations(layers_[layer].name, {begin, begin + count});
}

}  // namespace cachectl::learn
