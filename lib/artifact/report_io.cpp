#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "artifact/report_fields.h"
#include "base/error.h"

// Writer and Reader walk over the same fields (report_fields.h), and differ in what they do
// with a value.
namespace cachectl::artifact {
namespace {

std::string number_of(std::size_t index) {
  return fmt::format("{:03}", index);
}

// What a member is kept as in a data set.
template <class V>
using Stored = std::conditional_t<std::is_integral_v<V>, std::int64_t, V>;

class Writer {
 public:
  explicit Writer(io::Group group) : group_(std::move(group)) {}

  void value(const char* name, const std::string& text) { group_.set(name, text); }
  void value(const char* name, double number) { group_.set(name, number); }
  void value(const char* name, bool flag) { group_.set(name, std::int64_t{flag ? 1 : 0}); }
  template <class T, std::enable_if_t<std::is_integral_v<T> || std::is_enum_v<T>, int> = 0>
  void value(const char* name, T number) {
    group_.set(name, static_cast<std::int64_t>(number));
  }
  void value(const char* name, const Interval& interval) {
    group_.set(name, std::vector<double>{interval.value, interval.low, interval.high});
  }
  void value(const char* name, const Quantiles& times) {
    group_.set(name, std::vector<double>{times.mean, times.p50, times.p90, times.p99});
  }
  void value(const char* name, const std::array<std::int64_t, kVerdicts>& counts) {
    group_.set(name, std::vector<std::int64_t>(counts.begin(), counts.end()));
  }
  template <class T>
  void optional(const char* name, const T& given) {
    value(name, given);
  }
  // Attributes hold a handful of values; these can be long.
  void list(const char* name, const std::vector<double>& values) { group_.write(name, values); }
  void list(const char* name, const std::vector<std::int64_t>& values) {
    group_.write(name, values);
  }
  void list(const char* name, const std::vector<std::string>& values) {
    group_.write_texts(name, values);
  }
  void shape(const char* name, const std::vector<std::int64_t>& sizes) { group_.set(name, sizes); }
  void id(const char* name, std::uint64_t value) {
    group_.write(name, std::vector<std::uint64_t>{value});
  }
  // One member of many rows as a data set of its own.
  template <class T, class V>
  void column(const char* name, const std::vector<T>& rows, V T::*member) {
    std::vector<Stored<V>> values;
    values.reserve(rows.size());
    for (const T& row : rows) values.push_back(row.*member);
    list(name, values);
  }
  template <class T, class V>
  void optional_column(const char* name, const std::vector<T>& rows, V T::*member) {
    column(name, rows, member);
  }
  void image(const char* name, const at::Tensor& pixels) {
    const at::Tensor dense = pixels.contiguous();
    const auto* const first = dense.data_ptr<std::uint8_t>();
    group_.write(name, std::vector<std::uint8_t>(first, first + dense.numel()),
                 dense.sizes().vec());
  }
  template <class T>
  void part(const char* name, const T& value) {
    Writer writer(group_.create_group(name));
    fields(writer, const_cast<T&>(value));
  }
  template <class T>
  void parts(const char* name, const std::vector<T>& values) {
    Writer writer(group_.create_group(name));
    for (std::size_t i = 0; i < values.size(); ++i) writer.part(number_of(i).c_str(), values[i]);
  }

 private:
  io::Group group_;
};

class Reader {
 public:
  explicit Reader(io::Group group) : group_(std::move(group)) {}

  void value(const char* name, std::string& text) { text = group_.text(name); }
  void value(const char* name, double& number) { number = group_.real(name); }
  void value(const char* name, bool& flag) { flag = group_.integer(name) != 0; }
  template <class T, std::enable_if_t<std::is_integral_v<T> || std::is_enum_v<T>, int> = 0>
  void value(const char* name, T& number) {
    number = static_cast<T>(group_.integer(name));
  }
  void value(const char* name, Interval& interval) {
    const std::vector<double> read = reals(name, 3);
    interval = {read[0], read[1], read[2]};
  }
  void value(const char* name, Quantiles& times) {
    const std::vector<double> read = reals(name, 4);
    times = {read[0], read[1], read[2], read[3]};
  }
  void value(const char* name, std::array<std::int64_t, kVerdicts>& counts) {
    const std::vector<std::int64_t> read = group_.integers(name);
    if (read.size() != counts.size()) wrong_count(name, read.size(), counts.size());
    std::copy(read.begin(), read.end(), counts.begin());
  }
  template <class T>
  void optional(const char* name, T& wanted) {
    if (group_.has_attribute(name)) value(name, wanted);
  }
  void optional(const char* name, Interval& interval) {
    interval.low = interval.high = std::numeric_limits<double>::quiet_NaN();
    if (group_.has_attribute(name)) value(name, interval);
  }
  void list(const char* name, std::vector<double>& values) { values = group_.read<double>(name); }
  void list(const char* name, std::vector<std::int64_t>& values) {
    values = group_.read<std::int64_t>(name);
  }
  void list(const char* name, std::vector<std::string>& values) {
    values = group_.read_texts(name);
  }
  void shape(const char* name, std::vector<std::int64_t>& sizes) { sizes = group_.integers(name); }
  void id(const char* name, std::uint64_t& value) {
    value = group_.read<std::uint64_t>(name, {1}).at(0);
  }
  template <class T, class V>
  void column(const char* name, std::vector<T>& rows, V T::*member) {
    std::vector<Stored<V>> values;
    list(name, values);
    if (rows.empty()) rows.resize(values.size());
    if (rows.size() != values.size()) {
      fail(ExitCode::kCorrupt, "{}/{}: {} values, the columns beside it have {}", group_.where(),
           name, values.size(), rows.size());
    }
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].*member = static_cast<V>(values[i]);
  }
  template <class T, class V>
  void optional_column(const char* name, std::vector<T>& rows, V T::*member) {
    if (group_.has(name)) column(name, rows, member);
  }
  void image(const char* name, at::Tensor& pixels) {
    const io::Dataset data = group_.dataset(name, io::DType::kUInt8, {-1, -1, -1});
    pixels = at::empty(data.shape(), at::kByte);
    if (pixels.numel() > 0) data.read_rows(0, data.rows(), pixels.data_ptr<std::uint8_t>());
  }
  template <class T>
  void part(const char* name, T& value) {
    Reader reader(group_.group(name));
    fields(reader, value);
  }
  template <class T>
  void parts(const char* name, std::vector<T>& values) {
    Reader reader(group_.group(name));
    values.resize(reader.group_.children().size());
    for (std::size_t i = 0; i < values.size(); ++i) reader.part(number_of(i).c_str(), values[i]);
  }

 private:
  std::vector<double> reals(const char* name, std::size_t count) const {
    std::vector<double> read = group_.reals(name);
    if (read.size() != count) wrong_count(name, read.size(), count);
    return read;
  }
  [[noreturn]] void wrong_count(const char* name, std::size_t found, std::size_t expected) const {
    fail(ExitCode::kCorrupt, "{}: attribute '{}' has {} values, expected {}", group_.where(), name,
         found, expected);
  }
  io::Group group_;
};

void require(bool holds, const std::string& path, const std::string& object, const char* says) {
  if (!holds) fail(ExitCode::kCorrupt, "{}: {}: {}", path, object, says);
}

void check(const Report& report, const std::string& path) {
  require(report.samples > 0, path, "samples", "a report over no sample");
  require(!report.plans.empty(), path, "/plans", "no plan");
  for (std::size_t p = 0; p < report.plans.size(); ++p) {
    const std::string object = "/plans/" + number_of(p);
    const std::vector<ExitOutcome>& exits = report.plans[p].exits;
    require(!exits.empty() && exits.back().layer == "backbone", path, object,
            "its last exit is not the backbone");
    std::int64_t hits = 0;
    for (const ExitOutcome& exit : exits) {
      require(exit.hits >= 0 && exit.reach == report.samples - hits, path, object,
              "hits and reach don't add up to the samples");
      hits += exit.hits;
    }
    require(hits == report.samples, path, object, "hits don't add up to the samples");
  }
  for (const CurveAlone& curve : report.alone) {
    const std::size_t size = curve.threshold.size();
    const auto optional = [&](const std::vector<double>& v) {
      return v.empty() || v.size() == size;
    };
    require(curve.hit_rate.size() == size && curve.cache_accuracy.size() == size &&
                curve.drop.size() == size && optional(curve.gt_accuracy) && optional(curve.effect),
            path, "/alone of " + curve.layer, "its columns differ in length");
  }
  for (const Reliability& reliability : report.reliability) {
    const std::size_t bins = reliability.count_after.size();
    require(reliability.edge.size() == bins + 1 && reliability.count_before.size() == bins &&
                reliability.confidence_before.size() == bins &&
                reliability.confidence_after.size() == bins &&
                reliability.agreement_before.size() == bins &&
                reliability.agreement_after.size() == bins,
            path, "/reliability of " + reliability.layer, "its columns differ in length");
  }
  for (std::size_t i = 0; i < report.latency.size(); ++i) {
    const Latency& latency = report.latency[i];
    require(
        latency.plan < report.plans.size() && latency.plain_ms.size() == latency.cached_ms.size(),
        path, "/latency/" + number_of(i), "unpaired repeats, or no such plan");
  }
  for (const MemoryUse& use : report.memory) {
    require(use.plan < report.plans.size(), path, "/memory", "no such plan");
  }
  for (const TradeCurve& curve : report.trade) {
    require(curve.plan < report.plans.size(), path, "/trade of " + curve.method, "no such plan");
  }
  for (const Example& example : report.examples) {
    require(example.exit < report.plans[0].exits.size(), path, "/examples", "no such exit");
  }
}

}  // namespace

io::Provenance write_report(const std::string& path, const Report& report,
                            const CommonOptions& common,
                            const std::map<std::string, io::Provenance>& inputs) {
  check(report, path);
  io::ArtifactWriter file(path, "report", common);
  for (const auto& [role, made_from] : inputs) file.add_input(role, made_from);
  Writer writer(file.root());
  fields(writer, const_cast<Report&>(report));
  return file.commit();
}

Report read_report(const std::string& path) {
  const io::ArtifactReader file(path, "report");
  Report report;
  Reader reader(file.root());
  fields(reader, report);
  check(report, path);
  report.provenance = file.provenance();
  return report;
}

}  // namespace cachectl::artifact
