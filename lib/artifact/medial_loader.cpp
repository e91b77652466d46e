#include "artifact/medial_loader.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "artifact/medial_codec.h"
#include "base/bounded_queue.h"
#include "base/random.h"

namespace cachectl::artifact {
namespace {

// Of neighbouring rows, read at once where not all fit the memory: large enough for a
// disk to be quick, small enough that many of them are mixed.
constexpr std::int64_t kBlockBytes = 1 << 20;

std::vector<std::size_t> counted(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

// Rows as they are stored, to be picked from in any order.
struct Pool {
  std::vector<std::int64_t> rows;    // of the file
  std::vector<at::Tensor> stored;    // by layer, in the order of `rows`
  at::Tensor pd;                     // the same
  std::vector<std::size_t> handout;  // positions in `rows`, in the order they are handed out
};

}  // namespace

struct MedialLoader::State {
  State(const MedialReader& from, std::vector<std::string> names, std::vector<std::int64_t> which,
        MedialLoaderOptions how);

  std::shared_ptr<Pool> read(std::vector<std::int64_t> some) const;
  void shuffle(std::vector<std::size_t>& order, std::int64_t epoch, std::uint64_t stream) const;
  void read_pools(std::int64_t epoch);
  void make_batches();
  MedialBatch batch(const std::vector<std::pair<std::shared_ptr<Pool>, std::size_t>>& picks) const;
  void run(std::int64_t epoch);
  void stop();
  template <class Work>
  void guarded(Work work);

  const MedialReader& medial;
  const std::vector<std::string> names;
  std::vector<const MedialLayer*> layers;
  std::vector<std::int64_t> rows;  // ascending
  const MedialLoaderOptions options;
  std::int64_t row_bytes = 0;
  std::int64_t rows_per_block = 1, blocks_per_pool = 1;
  std::shared_ptr<Pool> all;  // where all rows fit the memory; read at the first epoch

  std::unique_ptr<BoundedQueue<std::shared_ptr<Pool>>> pools;
  std::unique_ptr<BoundedQueue<MedialBatch>> ready;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::exception_ptr error;
};

MedialLoader::State::State(const MedialReader& from, std::vector<std::string> chosen,
                           std::vector<std::int64_t> which, MedialLoaderOptions how)
    : medial(from), names(std::move(chosen)), rows(std::move(which)), options(how) {
  assert(!names.empty() && options.batch_size > 0);
  assert(options.dtype == at::kFloat || options.dtype == at::kBFloat16);
  std::sort(rows.begin(), rows.end());
  row_bytes = medial.classes() * static_cast<std::int64_t>(sizeof(float));
  for (const auto& name : names) {
    layers.push_back(&medial.layer(name));
    row_bytes += layers.back()->row_bytes();
  }
  const auto count = static_cast<std::int64_t>(rows.size());
  rows_per_block = std::max<std::int64_t>(1, kBlockBytes / row_bytes);
  // One pool is handed out, one waits, one is read.
  blocks_per_pool =
      std::max<std::int64_t>(1, options.memory_bytes / 3 / (rows_per_block * row_bytes));
  if (count * row_bytes <= options.memory_bytes) {
    rows_per_block = std::max<std::int64_t>(1, count);
    blocks_per_pool = 1;
  }
}

std::shared_ptr<Pool> MedialLoader::State::read(std::vector<std::int64_t> some) const {
  auto pool = std::make_shared<Pool>();
  for (const auto& name : names) pool->stored.push_back(medial.stored(name, some));
  pool->pd = medial.pd(some);
  pool->handout = counted(some.size());
  pool->rows = std::move(some);
  return pool;
}

void MedialLoader::State::shuffle(std::vector<std::size_t>& order, std::int64_t epoch,
                                  std::uint64_t stream) const {
  if (!options.shuffle) return;
  Rng rng(derive_seed(derive_seed(options.seed, "epoch", static_cast<std::uint64_t>(epoch)),
                      "shuffle", stream));
  rng.shuffle(order);
}

void MedialLoader::State::read_pools(std::int64_t epoch) {
  const auto count = static_cast<std::int64_t>(rows.size());
  const std::int64_t blocks = (count + rows_per_block - 1) / rows_per_block;
  if (blocks == 1) {
    if (!all) all = read(rows);
    auto pool = std::make_shared<Pool>(*all);
    shuffle(pool->handout, epoch, 1);
    pools->push(std::move(pool));
    return;
  }
  auto order = counted(static_cast<std::size_t>(blocks));
  shuffle(order, epoch, 0);
  for (std::int64_t first = 0; first < blocks; first += blocks_per_pool) {
    const std::int64_t last = std::min(blocks, first + blocks_per_pool);
    // Blocks by their place in the file, so that they are read one way.
    std::vector<std::size_t> chosen(order.begin() + first, order.begin() + last);
    std::sort(chosen.begin(), chosen.end());
    std::vector<std::int64_t> some;
    for (const auto block : chosen) {
      const std::int64_t from = static_cast<std::int64_t>(block) * rows_per_block;
      some.insert(some.end(), rows.begin() + from,
                  rows.begin() + std::min(count, from + rows_per_block));
    }
    auto pool = read(std::move(some));
    shuffle(pool->handout, epoch, static_cast<std::uint64_t>(1 + first));
    if (!pools->push(std::move(pool))) return;
  }
}

MedialBatch MedialLoader::State::batch(
    const std::vector<std::pair<std::shared_ptr<Pool>, std::size_t>>& picks) const {
  MedialBatch made;
  const auto count = static_cast<std::int64_t>(picks.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    std::vector<std::int64_t> sizes{count};
    sizes.insert(sizes.end(), layers[i]->shape.begin(), layers[i]->shape.end());
    at::Tensor out = at::empty(sizes, options.dtype);
    const std::int64_t bytes = layers[i]->row_bytes(), values = layers[i]->values();
    for (std::int64_t row = 0; row < count; ++row) {
      const auto& [pool, position] = picks[static_cast<std::size_t>(row)];
      const auto* from = static_cast<const char*>(pool->stored[i].data_ptr()) +
                         static_cast<std::int64_t>(position) * bytes;
      if (options.dtype == at::kFloat) {
        decode_row(from, *layers[i], out.data_ptr<float>() + row * values);
      } else {
        decode_row(from, *layers[i], out.data_ptr<at::BFloat16>() + row * values);
      }
    }
    made.activations.push_back(std::move(out));
  }
  made.pd = at::empty({count, medial.classes()}, at::kFloat);
  const auto pd_values = static_cast<std::size_t>(medial.classes());
  for (std::size_t row = 0; row < picks.size(); ++row) {
    const auto& [pool, position] = picks[row];
    std::memcpy(made.pd.data_ptr<float>() + row * pd_values,
                pool->pd.data_ptr<float>() + position * pd_values, pd_values * sizeof(float));
    made.rows.push_back(pool->rows[position]);
  }
  return made;
}

void MedialLoader::State::make_batches() {
  std::vector<std::pair<std::shared_ptr<Pool>, std::size_t>> picks;
  while (auto pool = pools->pop()) {
    for (const auto position : (*pool)->handout) {
      picks.emplace_back(*pool, position);
      if (static_cast<std::int64_t>(picks.size()) < options.batch_size) continue;
      if (!ready->push(batch(picks))) return;
      picks.clear();
    }
  }
  if (!picks.empty() && !options.drop_last) ready->push(batch(picks));
}

template <class Work>
void MedialLoader::State::guarded(Work work) {
  try {
    work();
  } catch (...) {
    const std::lock_guard lock(mutex);
    if (!error) error = std::current_exception();
  }
}

void MedialLoader::State::run(std::int64_t epoch) {
  pools = std::make_unique<BoundedQueue<std::shared_ptr<Pool>>>(1);
  ready = std::make_unique<BoundedQueue<MedialBatch>>(
      static_cast<std::size_t>(std::max<std::int64_t>(1, options.prefetch)));
  threads.emplace_back([this, epoch] {
    guarded([&] { read_pools(epoch); });
    pools->close();
  });
  threads.emplace_back([this] {
    guarded([&] { make_batches(); });
    pools->close();
    ready->close();
  });
}

void MedialLoader::State::stop() {
  if (pools) pools->close();
  if (ready) ready->close();
  for (auto& thread : threads) thread.join();
  threads.clear();
  error = nullptr;
}

MedialLoader::MedialLoader(const MedialReader& medial, std::vector<std::string> layers,
                           std::vector<std::int64_t> rows, MedialLoaderOptions options)
    : state_(std::make_unique<State>(medial, std::move(layers), std::move(rows), options)) {}

MedialLoader::~MedialLoader() {
  state_->stop();
}

void MedialLoader::start(std::int64_t epoch) {
  state_->stop();
  state_->run(epoch);
}

std::optional<MedialBatch> MedialLoader::next() {
  assert(state_->ready && "start() comes first");
  auto batch = state_->ready->pop();
  const std::lock_guard lock(state_->mutex);
  if (state_->error) std::rethrow_exception(state_->error);
  return batch;
}

std::int64_t MedialLoader::batches() const {
  const auto count = static_cast<std::int64_t>(state_->rows.size());
  const std::int64_t size = state_->options.batch_size;
  return state_->options.drop_last ? count / size : (count + size - 1) / size;
}

bool MedialLoader::is_held_in_memory() const {
  return static_cast<std::int64_t>(state_->rows.size()) * state_->row_bytes <=
         state_->options.memory_bytes;
}

}  // namespace cachectl::artifact
