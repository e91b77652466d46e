#include "artifact/profile.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "io/hdf5.h"

namespace cachectl::artifact {
namespace {

constexpr std::int64_t kFigures = 3;  // median, 10th and 90th percentile

std::int64_t count_of(std::size_t size) {
  return static_cast<std::int64_t>(size);
}

template <class Row, class Member>
auto column(const std::vector<Row>& rows, Member member) {
  std::vector<std::decay_t<decltype(rows[0].*member)>> values;
  for (const Row& row : rows) values.push_back(row.*member);
  return values;
}

// [rows, batch sizes, 3]; every row has the same batch sizes.
void write_timings(io::Group& group, const std::string& name,
                   const std::vector<const std::vector<Timing>*>& rows, std::size_t batches) {
  std::vector<double> values;
  for (const auto* row : rows) {
    for (const Timing& timing : *row) {
      values.insert(values.end(), {timing.median_ms, timing.p10_ms, timing.p90_ms});
    }
  }
  group.write(name, values, {count_of(rows.size()), count_of(batches), kFigures});
}

std::vector<std::vector<Timing>> read_timings(const io::Group& group, const std::string& name,
                                              std::int64_t rows,
                                              const std::vector<std::int64_t>& batches) {
  const auto values = group.read<double>(name, {rows, count_of(batches.size()), kFigures});
  io::require_finite(values, group.where() + "/" + name);
  std::vector<std::vector<Timing>> result(static_cast<std::size_t>(rows));
  auto next = values.begin();
  for (auto& row : result) {
    for (const std::int64_t batch : batches) {
      row.push_back({batch, next[0], next[1], next[2]});
      next += kFigures;
    }
  }
  return result;
}

void write_candidates(io::Group& root, const Profile& profile, std::size_t batches) {
  io::Group group = root.create_group("candidates");
  const auto& all = profile.candidates;
  std::size_t rank = 1;
  for (const Candidate& candidate : all) rank = std::max(rank, candidate.shape.size());
  std::vector<std::int64_t> shapes;
  for (const Candidate& candidate : all) {
    shapes.insert(shapes.end(), candidate.shape.begin(), candidate.shape.end());
    shapes.resize(shapes.size() + rank - candidate.shape.size(), 0);
  }
  group.write_texts("name", column(all, &Candidate::name));
  group.write_texts("dtype", column(all, &Candidate::dtype));
  group.write("shape", shapes, {count_of(all.size()), count_of(rank)});
  group.write("bytes_per_sample", column(all, &Candidate::bytes_per_sample));
  group.write("flops_before", column(all, &Candidate::flops_before));
  group.write("flops_after", column(all, &Candidate::flops_after));
  std::vector<const std::vector<Timing>*> before, after;
  for (const Candidate& candidate : all) {
    before.push_back(&candidate.before);
    after.push_back(&candidate.after);
  }
  write_timings(group, "before_ms", before, batches);
  write_timings(group, "after_ms", after, batches);
}

std::vector<Candidate> read_candidates(const io::Group& root,
                                       const std::vector<std::int64_t>& batches) {
  const io::Group group = root.group("candidates");
  const auto names = group.read_texts("name"), dtypes = group.read_texts("dtype");
  const std::int64_t count = count_of(names.size());
  if (dtypes.size() != names.size()) {
    fail(ExitCode::kCorrupt, "{}/dtype: {} entries for {} candidates", group.where(), dtypes.size(),
         count);
  }
  const auto shapes = group.read<std::int64_t>("shape", {count, -1});
  const auto bytes = group.read<std::int64_t>("bytes_per_sample", {count});
  const auto flops_before = group.read<double>("flops_before", {count});
  const auto flops_after = group.read<double>("flops_after", {count});
  io::require_finite(flops_before, group.where() + "/flops_before");
  io::require_finite(flops_after, group.where() + "/flops_after");
  const auto before = read_timings(group, "before_ms", count, batches);
  const auto after = read_timings(group, "after_ms", count, batches);
  std::vector<Candidate> candidates;
  const std::size_t rank = names.empty() ? 0 : shapes.size() / names.size();
  for (std::size_t i = 0; i < names.size(); ++i) {
    Candidate candidate;
    candidate.name = names[i];
    candidate.dtype = dtypes[i];
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const std::int64_t size = shapes[i * rank + axis];
      if (size < 0) {
        fail(ExitCode::kCorrupt, "{}/shape: {} has a size of {}", group.where(), names[i], size);
      }
      if (size > 0) candidate.shape.push_back(size);
    }
    candidate.bytes_per_sample = bytes[i];
    candidate.flops_before = flops_before[i];
    candidate.flops_after = flops_after[i];
    candidate.before = before[i];
    candidate.after = after[i];
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

void write_segments(io::Group& root, const Profile& profile, std::size_t batches) {
  io::Group group = root.create_group("segments");
  const auto& all = profile.segments;
  group.write("flops", column(all, &SegmentCost::flops));
  group.write("macs", column(all, &SegmentCost::macs));
  group.write("element_ops", column(all, &SegmentCost::element_ops));
  group.write("parameters", column(all, &SegmentCost::parameters));
  group.write("weight_bytes", column(all, &SegmentCost::weight_bytes));
  group.write("peak_live_bytes", column(all, &SegmentCost::peak_live_bytes));
  std::vector<const std::vector<Timing>*> timings;
  for (const SegmentCost& segment : all) timings.push_back(&segment.timings);
  write_timings(group, "ms", timings, batches);
}

std::vector<SegmentCost> read_segments(const io::Group& root, std::int64_t count,
                                       const std::vector<std::int64_t>& batches) {
  const io::Group group = root.group("segments");
  const auto flops = group.read<double>("flops", {count});
  const auto macs = group.read<double>("macs", {count});
  const auto element_ops = group.read<double>("element_ops", {count});
  const auto parameters = group.read<std::int64_t>("parameters", {count});
  const auto weight_bytes = group.read<std::int64_t>("weight_bytes", {count});
  const auto live = group.read<std::int64_t>("peak_live_bytes", {count});
  io::require_finite(flops, group.where() + "/flops");
  const auto timings = read_timings(group, "ms", count, batches);
  std::vector<SegmentCost> segments;
  for (std::size_t i = 0; i < flops.size(); ++i) {
    segments.push_back(
        {flops[i], macs[i], element_ops[i], parameters[i], weight_bytes[i], live[i], timings[i]});
  }
  return segments;
}

}  // namespace

const Candidate& Profile::candidate(const std::string& name) const {
  std::vector<std::string> known;
  for (const auto& candidate : candidates) {
    if (candidate.name == name) return candidate;
    known.push_back(candidate.name);
  }
  const std::string near = text::nearest(name, known);
  fail(ExitCode::kIncompatible, "layer '{}' is no candidate of this profile{}; it has {}", name,
       near.empty() ? "" : " (did you mean '" + near + "'?)", text::join(known, ", "));
}

void write_profile(const std::string& path, const Profile& profile, const CommonOptions& common,
                   const io::Provenance& backbone) {
  io::ArtifactWriter writer(path, "profile", common);
  io::Group& root = writer.root();
  root.set("backbone_hash", profile.backbone_hash);
  root.set("classes", profile.classes);
  root.set("output_kind", profile.output_kind);
  root.set("input_shape", profile.input_shape);
  root.set("flops", profile.flops);
  root.set("parameters", profile.parameters);
  root.set("weight_bytes", profile.weight_bytes);
  root.set("device", profile.device);
  root.set("precision", profile.precision);
  root.set("memory_format", profile.memory_format);
  root.set("threads", profile.threads);
  root.write_texts("inputs", profile.inputs);
  root.write_texts("uncounted_operators", profile.uncounted_operators);
  std::vector<std::int64_t> batches;
  for (const Timing& timing : profile.plain) batches.push_back(timing.batch);
  root.write("batch_sizes", batches);
  write_timings(root, "plain_ms", {&profile.plain}, batches.size());
  write_timings(root, "chain_ms", {&profile.chain}, batches.size());
  write_candidates(root, profile, batches.size());
  write_segments(root, profile, batches.size());
  writer.add_input("backbone", backbone);
  writer.commit();
}

Profile read_profile(const std::string& path) {
  const io::ArtifactReader reader(path, "profile");
  const io::Group& root = reader.root();
  Profile profile;
  profile.provenance = reader.provenance();
  profile.backbone_hash = root.text("backbone_hash");
  profile.classes = root.integer("classes");
  profile.output_kind = root.text("output_kind");
  if (profile.classes < 2) {
    fail(ExitCode::kCorrupt, "{}: {} classes; expected at least 2", path, profile.classes);
  }
  if (profile.output_kind != "logits" && profile.output_kind != "probabilities") {
    fail(ExitCode::kCorrupt, "{}: output_kind '{}'; expected logits or probabilities", path,
         profile.output_kind);
  }
  profile.input_shape = root.integers("input_shape");
  profile.flops = root.real("flops");
  profile.parameters = root.integer("parameters");
  profile.weight_bytes = root.integer("weight_bytes");
  profile.device = root.text("device");
  profile.precision = root.text("precision");
  profile.memory_format = root.text("memory_format");
  profile.threads = root.integer("threads");
  profile.inputs = root.read_texts("inputs");
  profile.uncounted_operators = root.read_texts("uncounted_operators");
  const auto batches = root.read<std::int64_t>("batch_sizes");
  for (const std::int64_t batch : batches) {
    if (batch < 1) fail(ExitCode::kCorrupt, "{}: /batch_sizes: {}", path, batch);
  }
  profile.plain = read_timings(root, "plain_ms", 1, batches)[0];
  profile.chain = read_timings(root, "chain_ms", 1, batches)[0];
  profile.candidates = read_candidates(root, batches);
  profile.segments = read_segments(root, count_of(profile.candidates.size()) + 1, batches);
  return profile;
}

}  // namespace cachectl::artifact
