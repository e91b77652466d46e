#include "data/npy.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace cachectl::data {
namespace {

constexpr std::size_t kLongestHeader = 1 << 16;
constexpr std::size_t kHighestRank = 8;

struct Dtype {
  const char* name;
  at::ScalarType type;
};
constexpr std::array<Dtype, 6> kDtypes = {{{"|u1", at::kByte},
                                           {"<i4", at::kInt},
                                           {"<i8", at::kLong},
                                           {"<f2", at::kHalf},
                                           {"<f4", at::kFloat},
                                           {"<f8", at::kDouble}}};

// What stands behind 'key': in the header's dictionary, up to (not with) the stop.
std::string header_value(const std::string& header, const std::string& key,
                         const std::string& path) {
  const auto at = header.find("'" + key + "':");
  if (at == std::string::npos) {
    fail(ExitCode::kCorrupt, "{}: the NumPy header has no '{}': {}", path, key, text::trim(header));
  }
  const auto begin = header.find_first_not_of(' ', at + key.size() + 3);
  if (begin == std::string::npos) return "";
  const char* stops = header[begin] == '(' ? ")" : ",}";
  const auto end = header.find_first_of(stops, begin);
  if (end == std::string::npos) {
    fail(ExitCode::kCorrupt, "{}: the NumPy header breaks off in '{}': {}", path, key,
         text::trim(header));
  }
  return text::trim(header.substr(begin, end - begin));
}

template <class T>
bool all_finite(const at::Tensor& sample) {
  const T* values = sample.data_ptr<T>();
  return std::all_of(values, values + sample.numel(),
                     [](T value) { return std::isfinite(static_cast<float>(value)); });
}

}  // namespace

void require_finite(const at::Tensor& sample, const std::string& path, std::int64_t index) {
  bool finite = true;
  if (sample.scalar_type() == at::kFloat) finite = all_finite<float>(sample);
  if (sample.scalar_type() == at::kDouble) finite = all_finite<double>(sample);
  if (sample.scalar_type() == at::kHalf) finite = all_finite<at::Half>(sample);
  if (finite) return;
  fail(ExitCode::kCorrupt, "{}: sample {}: holds a NaN, an infinity or a number beyond float32",
       path, index);
}

NpyFile::NpyFile(const std::string& path, bool skip_bad) : file_(path) {
  std::array<unsigned char, 12> start{};
  if (file_.size() < start.size()) {
    fail(ExitCode::kCorrupt, "{}: {} bytes: too short for a NumPy file", path, file_.size());
  }
  file_.read_at(0, start.data(), start.size(), "header");
  constexpr std::array<unsigned char, 6> kMagic = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (!std::equal(kMagic.begin(), kMagic.end(), start.begin())) {
    fail(ExitCode::kCorrupt, "{}: is no NumPy file: it does not start with \\x93NUMPY{}", path,
         start[0] == 'P' && start[1] == 'K' ? "; an .npz holds several: unpack it" : "");
  }
  const int version = start[6];
  if (version < 1 || version > 3) {
    fail(ExitCode::kIncompatible, "{}: NumPy format {}.{}; 1.0 to 3.0 can be read", path, version,
         static_cast<int>(start[7]));
  }
  std::size_t length = start[8] | static_cast<std::size_t>(start[9]) << 8;
  if (version > 1) {
    length |= static_cast<std::size_t>(start[10]) << 16 | static_cast<std::size_t>(start[11]) << 24;
  }
  data_offset_ = (version == 1 ? 10 : 12) + length;
  if (length > kLongestHeader || data_offset_ > file_.size()) {
    fail(ExitCode::kCorrupt, "{}: the NumPy header claims {} bytes in a file of {}", path, length,
         file_.size());
  }
  std::string header(length, ' ');
  file_.read_at(data_offset_ - length, header.data(), length, "header");
  parse_header(header);
  check_size(skip_bad);
}

void NpyFile::parse_header(const std::string& header) {
  const std::string& path = file_.path();
  const std::string descr = header_value(header, "descr", path);
  for (const auto& [name, type] : kDtypes) {
    if (descr == fmt::format("'{}'", name)) dtype_ = type;
  }
  if (dtype_ == at::ScalarType::Undefined) {
    fail(ExitCode::kIncompatible,
         "{}: dtype {}; expected one of |u1 <i4 <i8 <f2 <f4 <f8: save array.astype('<f4')", path,
         descr);
  }
  const std::string order = header_value(header, "fortran_order", path);
  if (order == "True") {
    fail(ExitCode::kIncompatible,
         "{}: the array is in Fortran order: save numpy.ascontiguousarray(array)", path);
  }
  if (order != "False") {
    fail(ExitCode::kCorrupt, "{}: fortran_order is '{}'; expected True or False", path, order);
  }
  std::string shape = header_value(header, "shape", path);
  if (shape.empty() || shape.front() != '(') {
    fail(ExitCode::kCorrupt, "{}: shape is '{}'; expected a tuple", path, shape);
  }
  for (const auto& part : text::split(shape.substr(1), ',')) {
    const std::string word = text::trim(part);
    if (word.empty()) continue;
    std::int64_t side = -1;
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, side);
    if (error != std::errc() || stop != end || side < 0) {
      fail(ExitCode::kCorrupt, "{}: shape {}): '{}' is no size", path, shape, word);
    }
    shape_.push_back(side);
  }
  if (shape_.empty() || shape_.size() > kHighestRank) {
    fail(ExitCode::kIncompatible, "{}: an array of rank {}; expected 1 to {}, samples first", path,
         shape_.size(), kHighestRank);
  }
}

void NpyFile::check_size(bool skip_bad) {
  const std::string& path = file_.path();
  const std::uint64_t available = file_.size() - data_offset_;
  std::uint64_t row = c10::elementSize(dtype_);
  for (std::size_t i = 1; i < shape_.size(); ++i) {
    if (shape_[i] == 0) {
      fail(ExitCode::kNothingProcessed, "{}: samples of shape {} hold nothing", path,
           text::shape({shape_.begin() + 1, shape_.end()}));
    }
    const auto side = static_cast<std::uint64_t>(shape_[i]);
    if (row > available / side)
      row = available + 1;  // more than there is, without overflow
    else
      row *= side;
  }
  const auto rows = static_cast<std::uint64_t>(shape_[0]);
  const std::uint64_t whole = row == 0 ? 0 : available / row;
  if (whole == rows && available == rows * row) {
    row_bytes_ = static_cast<std::int64_t>(row);
    return;
  }
  if (whole >= rows) {
    fail(ExitCode::kCorrupt, "{}: {} bytes of data; shape {} takes only {}", path, available,
         text::shape(shape_), rows * row);
  }
  const std::string problem =
      fmt::format("{}: sample {} of {} is cut: the data of shape {} ends after {} bytes", path,
                  whole, rows, text::shape(shape_), available);
  if (!skip_bad || whole == 0) {
    fail(ExitCode::kCorrupt, "{}; write the file again, or pass --skip-bad to do without", problem);
  }
  log::warning("skipped: {}", problem);
  shape_[0] = static_cast<std::int64_t>(whole);
  row_bytes_ = static_cast<std::int64_t>(row);
}

at::Tensor NpyFile::row(std::int64_t index) const {
  assert(index >= 0 && index < rows());
  at::Tensor row = at::empty(at::IntArrayRef(shape_).slice(1), dtype_);
  file_.read_at(data_offset_ + static_cast<std::uint64_t>(index * row_bytes_), row.data_ptr(),
                static_cast<std::size_t>(row_bytes_), fmt::format("sample {}", index));
  return row;
}

NpyDataset::NpyDataset(const Options& options, const CommonOptions& common)
    : file_(common.resolve(options.path), options.skip_bad), size_(file_.rows()) {
  if (file_.shape().size() < 2) {
    fail(ExitCode::kIncompatible,
         "{}: an array of shape {}; expected samples first, then their own "
         "shape",
         file_.path(), text::shape(file_.shape()));
  }
  if (options.max_samples > 0) size_ = std::min(size_, options.max_samples);
  std::vector<std::uint64_t> ids;
  for (std::int64_t i = 0; i < size_; ++i) {
    const at::Tensor row = file_.row(i);
    ids.push_back(content_id(row.data_ptr(), row.nbytes()));
  }
  // The samples' shape and dtype tell apart what the bytes alone do not.
  set_ids(std::move(ids),
          fmt::format("tensor {} {}", at::toString(file_.dtype()),
                      text::shape({file_.shape().begin() + 1, file_.shape().end()})));
}

at::Tensor NpyDataset::read(std::int64_t index) const {
  at::Tensor sample = file_.row(index);
  require_finite(sample, file_.path(), index);
  return sample;
}

}  // namespace cachectl::data
