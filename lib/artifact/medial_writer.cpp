#include "artifact/medial_writer.h"

#include <ATen/ATen.h>
#include <zlib.h>

#include <algorithm>
#include <cassert>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "artifact/medial_deflate.h"
#include "artifact/medial_journal.h"
#include "artifact/medial_layout.h"
#include "artifact/medial_rows.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"
#include "io/positioned_file.h"

namespace cachectl::artifact {
namespace {

namespace fs = std::filesystem;

// What HDF5 needs beside the rows, for the comparison with the free space.
constexpr std::int64_t kOverhead = 1 << 20;

// Runs the work; a fault of the disk removes what was begun, since it can't become whole
// and takes up the disk that is full.
template <class Work, class Remove>
auto or_remove(Work work, Remove remove) {
  try {
    return work();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kCannotOpen) throw;
    remove();
    throw Error(error.code(), std::string(error.what()) + "; nothing was left behind");
  }
}

}  // namespace

struct MedialWriter::State {
  State(const std::string& out, MedialPlan what, const CommonOptions& options,
        std::map<std::string, io::Provenance> made_from);

  void begin();
  bool go_on();  // false when there is nothing to go on from
  void require_space() const;
  std::size_t sound_blocks();  // how many of the journal's are really there
  bool is_sound(std::size_t block, std::int64_t first_row);
  JournalBlock put(const MedialBlock& block);
  void put_compressed(const Target& target, const char* bytes, std::int64_t rows,
                      std::string& spooled, JournalBlock& record);
  void reserve_rest();
  void finish(io::File& file);
  void copy_chunks(io::File& file);
  void remove_all();

  fs::path path, partial, journal_path, spool_path;
  MedialPlan plan;
  CommonOptions common;
  std::map<std::string, io::Provenance> inputs;
  std::vector<Target> targets;
  std::optional<io::PositionedFile> lock, data, spool;
  std::optional<Journal> journal;
  std::int64_t row = 0;  // the first of the next block
};

MedialWriter::State::State(const std::string& out, MedialPlan what, const CommonOptions& options,
                           std::map<std::string, io::Provenance> made_from)
    : path(out),
      partial(io::partial_path(out)),
      journal_path(partial.string() + ".journal"),
      spool_path(partial.string() + ".chunks"),
      plan(std::move(what)),
      common(options),
      inputs(std::move(made_from)) {
  complete(plan.rows);
  targets = targets_of(plan);
  for (const auto& layer : plan.layers) {
    if (layer.name.empty() || layer.name == "." || layer.name.find('/') != std::string::npos) {
      fail(ExitCode::kUsage, "layer '{}' can't be an object of an HDF5 file", layer.name);
    }
  }
  io::require_writable(path, common.force);
  std::error_code ignored;
  const bool left = fs::exists(partial, ignored) && fs::exists(journal_path, ignored);
  if (left && !common.resume && !common.force) {
    fail(ExitCode::kCannotOpen,
         "{}: is left from a run that was cut short; go on from it with --resume, or begin anew "
         "with --force",
         partial.string());
  }
  lock.emplace(io::PositionedFile::open_to_write(journal_path));
  lock->lock();
  if (common.resume && go_on()) return;
  or_remove([&] { begin(); }, [&] { remove_all(); });
}

void MedialWriter::State::require_space() const {
  const std::int64_t needed = kOverhead + (plan.deflate > 0 ? 2 * plan.expected_bytes
                                                            : plan.rows.size() * plan.row_bytes());
  const std::int64_t free = io::free_space(path.parent_path());
  if (needed <= free) return;
  fail(ExitCode::kCannotOpen,
       "{}: needs {} for {} rows of {} layers{}, the disk has {} free; take fewer layers "
       "(--layers), "
       "fewer samples (--max-samples, --max-gib), or a smaller --storage",
       path.string(), text::bytes(double(needed)), plan.rows.size(), plan.layers.size(),
       plan.deflate > 0 ? " (twice the compressed size, while it is put together)" : "",
       text::bytes(double(free)));
}

void MedialWriter::State::begin() {
  std::error_code ignored;
  fs::remove(partial, ignored);
  fs::remove(spool_path, ignored);
  require_space();
  // Tried before HDF5 begins, which does not take a full disk well.
  data.emplace(io::PositionedFile::open_to_write(partial));
  data->reserve(0, plan.deflate > 0 ? kOverhead : kOverhead + plan.rows.size() * plan.row_bytes());
  write_skeleton(partial, plan);
  read_skeleton(partial, plan, targets);
  for (const auto& target : targets) {
    if (target.offset) data->reserve(*target.offset, plan.rows.size() * target.row_bytes);
  }
  if (plan.deflate > 0) spool.emplace(io::PositionedFile::open_to_write(spool_path));
  journal.emplace(Journal::create(
      journal_path,
      {all_settings(plan), data->size(), pieces_between(*data, targets, plan.rows.size())}));
}

bool MedialWriter::State::go_on() {
  std::error_code ignored;
  if (!fs::exists(partial, ignored)) return false;
  journal = Journal::open(journal_path);
  if (!journal) return false;
  const std::string now = all_settings(plan);
  if (journal->head().settings != now) {
    const std::string reason = difference(journal->head().settings, now);
    if (common.force) {
      log::warning("{}: can't be gone on with: {}; begins anew", partial.string(), reason);
      return false;
    }
    fail(ExitCode::kIncompatible, "{}: can't be gone on with: {}; begin anew with --force",
         partial.string(), reason);
  }
  data.emplace(io::PositionedFile::open_to_write(partial));
  // A kill while the file was completed has left it between two states: back to the layout.
  data->truncate(journal->head().file_size);
  for (const auto& piece : journal->head().skeleton) {
    data->write_at(piece.offset, piece.bytes.data(), piece.bytes.size());
  }
  read_skeleton(partial, plan, targets);
  if (plan.deflate > 0) spool.emplace(io::PositionedFile::open_to_write(spool_path));
  const std::size_t recorded = journal->blocks().size();
  const std::size_t sound = sound_blocks();
  if (sound < recorded) {
    log::warning("{}: {} of {} recorded blocks did not reach the disk; they are made again",
                 partial.string(), recorded - sound, recorded);
  }
  journal->cut(sound);
  log::info("{}: goes on at row {} of {}", partial.string(), row, plan.rows.size());
  return true;
}

std::size_t MedialWriter::State::sound_blocks() {
  const auto& blocks = journal->blocks();
  Progress progress("check what is there", std::int64_t(blocks.size()), "blocks");
  for (std::size_t block = 0; block < blocks.size(); ++block) {
    if (block >= plan.blocks.size() || !is_sound(block, row)) return block;
    row += plan.blocks[block];
    progress.advance();
  }
  return blocks.size();
}

bool MedialWriter::State::is_sound(std::size_t block, std::int64_t first_row) {
  const JournalBlock& record = journal->blocks()[block];
  if (record.digests.size() != targets.size()) return false;
  std::string bytes;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!targets[i].offset) continue;
    bytes.resize(static_cast<std::size_t>(plan.blocks[block] * targets[i].row_bytes));
    const std::int64_t from = *targets[i].offset + first_row * targets[i].row_bytes;
    if (from + std::int64_t(bytes.size()) > data->size()) return false;
    data->read_at(from, bytes.data(), bytes.size());
    if (Sha256().update(bytes.data(), bytes.size()).hex() != record.digests[i]) return false;
  }
  if (plan.deflate == 0) return true;
  std::int64_t size = 0;
  for (const auto chunk : record.chunk_bytes) size += chunk;
  if (record.spool_offset + size > spool->size()) return false;
  bytes.resize(static_cast<std::size_t>(size));
  spool->read_at(record.spool_offset, bytes.data(), bytes.size());
  return crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) ==
         record.spool_check;
}

void MedialWriter::State::put_compressed(const Target& target, const char* bytes, std::int64_t rows,
                                         std::string& spooled, JournalBlock& record) {
  const int threads = common.threads > 0 ? int(common.threads)
                                         : std::max(1, int(std::thread::hardware_concurrency()));
  const auto chunks = deflate_rows(bytes, rows, target.row_bytes,
                                   rows_per_chunk(plan.blocks.front(), target.row_bytes),
                                   io::size_of(target.dtype), plan.deflate, threads);
  for (const auto& chunk : chunks) {
    record.chunk_bytes.push_back(static_cast<std::int64_t>(chunk.size()));
    spooled += chunk;
  }
}

JournalBlock MedialWriter::State::put(const MedialBlock& block) {
  const std::int64_t rows = plan.blocks.at(journal->blocks().size());
  assert(block.activations.size() == plan.layers.size());
  JournalBlock record;
  record.clipped = block.clipped;
  std::string spooled;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const at::Tensor& values = i == 0 ? block.pd : block.activations[i - 1];
    assert(values.is_contiguous() && values.size(0) == rows);
    const auto size = static_cast<std::size_t>(rows * targets[i].row_bytes);
    assert(values.nbytes() == size);
    const auto* bytes = static_cast<const char*>(values.data_ptr());
    record.digests.push_back(Sha256().update(bytes, size).hex());
    if (targets[i].offset) {
      data->write_past_cache(*targets[i].offset + row * targets[i].row_bytes, bytes, size);
    } else {
      put_compressed(targets[i], bytes, rows, spooled, record);
    }
  }
  if (spool) {
    if (!journal->blocks().empty()) {
      const JournalBlock& before = journal->blocks().back();
      record.spool_offset = before.spool_offset;
      for (const auto size : before.chunk_bytes) record.spool_offset += size;
    }
    record.spool_check = static_cast<std::uint32_t>(
        crc32_z(0, reinterpret_cast<const Bytef*>(spooled.data()), spooled.size()));
    spool->write_at(record.spool_offset, spooled.data(), spooled.size());
  }
  row += rows;
  return record;
}

void MedialWriter::State::copy_chunks(io::File& file) {
  std::vector<io::Dataset> sets;
  for (std::size_t i = 1; i < targets.size(); ++i) {
    io::Layout layout;
    layout.rows_per_chunk = rows_per_chunk(plan.blocks.front(), targets[i].row_bytes);
    layout.deflate = plan.deflate;
    sets.push_back(
        file.root().create_dataset(targets[i].object, targets[i].dtype, targets[i].shape, layout));
  }
  std::string bytes;
  std::int64_t first_row = 0;
  for (std::size_t b = 0; b < plan.blocks.size(); ++b) {
    const JournalBlock& record = journal->blocks()[b];
    std::int64_t at = record.spool_offset;
    std::size_t chunk = 0;
    for (std::size_t i = 1; i < targets.size(); ++i) {
      const std::int64_t step = sets[i - 1].rows_per_chunk();
      for (std::int64_t first = 0; first < plan.blocks[b]; first += step) {
        bytes.resize(static_cast<std::size_t>(record.chunk_bytes.at(chunk++)));
        spool->read_at(at, bytes.data(), bytes.size());
        sets[i - 1].write_chunk(first_row + first, bytes.data(), bytes.size());
        at += static_cast<std::int64_t>(bytes.size());
      }
    }
    first_row += plan.blocks[b];
  }
}

// What the completion adds: rows, digests, and the chunks of the spool.
void MedialWriter::State::reserve_rest() {
  constexpr std::int64_t kRowBytes = 32, kDigestBytes = 64;
  std::int64_t bytes = kOverhead + plan.rows.size() * kRowBytes;
  bytes += static_cast<std::int64_t>(plan.blocks.size() * targets.size()) * kDigestBytes;
  if (spool) bytes += spool->size() + spool->size() / 64;
  data->reserve(data->size(), bytes);
}

void MedialWriter::State::finish(io::File& file) {
  if (plan.deflate > 0) copy_chunks(file);
  io::Group& root = file.root();
  root.write("blocks", plan.blocks);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    std::vector<std::string> digests;
    Sha256 whole;
    for (const auto& block : journal->blocks()) {
      digests.push_back(block.digests[i]);
      whole.update(digests.back().data(), digests.back().size());
    }
    root.write_texts(targets[i].digests, digests);
    io::Dataset set = root.dataset(targets[i].object);
    set.set("digest", whole.hex());
    set.set("digest_blocks", "/blocks");
    if (i == 0) continue;
    const MedialLayer& layer = plan.layers[i - 1];
    set.set("position", static_cast<std::int64_t>(i - 1));
    set.set("channel_axis", layer.channel_axis);
    if (layer.stored != io::DType::kInt8) continue;
    std::int64_t clipped = 0;
    for (const auto& block : journal->blocks()) {
      if (!block.clipped.empty()) clipped += block.clipped.at(i - 1);
    }
    set.set("clipped", clipped);
  }
  write_medial_rows(root, plan.rows);
  root.set("classes", plan.classes);
  root.set("output_kind", plan.output_kind);
  for (const auto& [name, text] : plan.notes) root.set(name, text);
}

void MedialWriter::State::remove_all() {
  data.reset();
  spool.reset();
  std::error_code ignored;
  for (const auto& left : {partial, spool_path, journal_path}) fs::remove(left, ignored);
}

MedialWriter::MedialWriter(const std::string& path, MedialPlan plan, const CommonOptions& common,
                           std::map<std::string, io::Provenance> inputs)
    : state_(std::make_unique<State>(path, std::move(plan), common, std::move(inputs))) {}

MedialWriter::~MedialWriter() = default;

const MedialPlan& MedialWriter::plan() const {
  return state_->plan;
}

std::int64_t MedialWriter::blocks_done() const {
  return static_cast<std::int64_t>(state_->journal->blocks().size());
}

void MedialWriter::write_block(const MedialBlock& block) {
  or_remove(
      [&] {
        JournalBlock record = state_->put(block);
        state_->journal->append(std::move(record));
      },
      [&] { state_->remove_all(); });
}

io::Provenance MedialWriter::commit() {
  State& state = *state_;
  assert(state.journal->blocks().size() == state.plan.blocks.size());
  return or_remove(
      [&] {
        state.reserve_rest();
        io::File file = io::File::open_to_write(state.partial);
        state.finish(file);
        io::Provenance made = io::provenance_of("medial", state.common);
        made.inputs = state.inputs;
        made = io::commit_partial(std::move(file), state.path, std::move(made));
        state.remove_all();
        return made;
      },
      [&] { state.remove_all(); });
}

}  // namespace cachectl::artifact
