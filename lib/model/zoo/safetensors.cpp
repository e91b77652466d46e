// The format: 8 bytes of length (little endian), a JSON object {name: {dtype, shape,
// data_offsets}}, then the data without holes.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "zoo/raw_file.h"
#include "zoo/state_dict.h"

namespace cachectl::zoo {

namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kLongestHeader = 100'000'000;  // the limit of the reference implementation
constexpr std::size_t kLengthBytes = 8;

struct NamedType {
  const char* name;
  at::ScalarType type;
};
constexpr NamedType kTypes[] = {{"F32", at::kFloat},
                                {"F16", at::kHalf},
                                {"BF16", at::kBFloat16},
                                {"F64", at::kDouble},
                                {"I64", at::kLong}};

at::ScalarType type_from_name(const std::string& name, const std::string& where) {
  for (const NamedType& known : kTypes) {
    if (known.name == name) return known.type;
  }
  fail(ExitCode::kCorrupt, "{}: dtype '{}'; expected F32, F16, BF16, F64 or I64", where, name);
}

const char* name_of(at::ScalarType type, const std::string& where) {
  for (const NamedType& known : kTypes) {
    if (known.type == type) return known.name;
  }
  fail(ExitCode::kInternal, "{}: no safetensors dtype for {}", where, c10::toString(type));
}

struct Entry {
  std::string name;
  at::ScalarType type;
  std::vector<std::int64_t> shape;
  std::uint64_t begin, end;
};

std::uint64_t unsigned_of(const Json& value, const std::string& where) {
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
    fail(ExitCode::kCorrupt, "{}: {}; expected a whole number from 0 on", where,
         value.dump().substr(0, 40));
  }
  return value.get<std::uint64_t>();
}

Entry parse_entry(const std::string& name, const Json& json, std::uint64_t data_size,
                  const std::string& where) {
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets")) {
    fail(ExitCode::kCorrupt, "{}: expected an object with dtype, shape and data_offsets", where);
  }
  const Json &dtype = json["dtype"], &shape = json["shape"], &offsets = json["data_offsets"];
  if (!dtype.is_string()) fail(ExitCode::kCorrupt, "{}: dtype is no text", where);
  if (!shape.is_array()) fail(ExitCode::kCorrupt, "{}: shape is no list", where);
  if (!offsets.is_array() || offsets.size() != 2) {
    fail(ExitCode::kCorrupt, "{}: data_offsets is no pair", where);
  }
  Entry entry{name, type_from_name(dtype.get<std::string>(), where), {}, 0, 0};
  for (const Json& size : shape) {
    entry.shape.push_back(static_cast<std::int64_t>(unsigned_of(size, where + ": shape")));
  }
  entry.begin = unsigned_of(offsets[0], where + ": data_offsets");
  entry.end = unsigned_of(offsets[1], where + ": data_offsets");
  if (entry.begin > entry.end || entry.end > data_size) {
    fail(ExitCode::kCorrupt, "{}: data_offsets {} to {} lie outside the {} bytes of data", where,
         entry.begin, entry.end, data_size);
  }
  const std::uint64_t element = c10::elementSize(entry.type);
  const std::uint64_t bytes = entry.end - entry.begin;
  const std::int64_t count =
      checked_elements(entry.shape, static_cast<std::int64_t>(data_size / element), where);
  if (static_cast<std::uint64_t>(count) * element != bytes) {
    fail(ExitCode::kCorrupt, "{}: shape {} of {} takes {} bytes; its data_offsets span {}", where,
         text::shape(entry.shape), dtype.get<std::string>(),
         static_cast<std::uint64_t>(count) * element, bytes);
  }
  return entry;
}

Json parse_header(const std::vector<char>& header, const std::string& path) {
  std::set<std::string> seen;
  std::string repeated;
  const auto note_keys = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::key && depth == 1 && !seen.insert(value).second) {
      repeated = value.get<std::string>();
    }
    return true;
  };
  Json json;
  try {
    json = Json::parse(header.begin(), header.end(), note_keys);
  } catch (const Json::exception& error) {
    fail(ExitCode::kCorrupt, "{}: the header is no JSON: {}", path, error.what());
  }
  if (!json.is_object()) fail(ExitCode::kCorrupt, "{}: the header is no JSON object", path);
  if (!repeated.empty()) {
    fail(ExitCode::kCorrupt, "{}: tensor {} is there twice", path, repeated);
  }
  return json;
}

void read_metadata(const Json& json, const std::string& path,
                   std::map<std::string, std::string>* metadata) {
  if (!json.is_object()) fail(ExitCode::kCorrupt, "{}: __metadata__ is no object", path);
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      fail(ExitCode::kCorrupt, "{}: __metadata__: {} is no text", path, key);
    }
    if (metadata != nullptr) (*metadata)[key] = value.get<std::string>();
  }
}

}  // namespace

StateDict read_safetensors(const std::filesystem::path& path,
                           std::map<std::string, std::string>* metadata) {
  const RawFile file(path);
  std::uint64_t length = 0;  // the machine is little endian, as LibTorch's tensors are here
  file.read(0, kLengthBytes, &length, "length of the header");
  if (length > kLongestHeader) {
    fail(ExitCode::kCorrupt, "{}: a header of {} bytes; no safetensors file has more than {}",
         file.path(), length, kLongestHeader);
  }
  const Json json = parse_header(file.read(kLengthBytes, length, "header"), file.path());
  const std::uint64_t data_start = kLengthBytes + length;
  const std::uint64_t data_size = file.size() - data_start;

  std::vector<Entry> entries;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      read_metadata(value, file.path(), metadata);
    } else {
      entries.push_back(parse_entry(name, value, data_size, file.path() + ": " + name));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered) {
      fail(ExitCode::kCorrupt, "{}: {}: starts at {}, {} the tensor before it, which ends at {}",
           file.path(), entry.name, entry.begin,
           entry.begin < covered ? "inside" : "with a hole behind", covered);
    }
    covered = entry.end;
  }
  if (covered != data_size) {
    fail(ExitCode::kCorrupt, "{}: {} bytes of data belong to no tensor", file.path(),
         data_size - covered);
  }

  StateDict tensors;
  for (const Entry& entry : entries) {
    at::Tensor tensor = at::empty(entry.shape, entry.type);
    file.read(data_start + entry.begin, entry.end - entry.begin, tensor.data_ptr(), entry.name);
    tensors.emplace(entry.name, std::move(tensor));
  }
  return tensors;
}

void write_safetensors(const std::filesystem::path& path, const StateDict& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::vector<at::Tensor> in_order;
  std::uint64_t end = 0;
  for (const auto& [name, value] : tensors) {
    const at::Tensor& tensor = in_order.emplace_back(value.detach().cpu().contiguous());
    const std::uint64_t begin = end;
    end += tensor.nbytes();
    json[name] = {{"dtype", name_of(tensor.scalar_type(), name)},
                  {"shape", tensor.sizes().vec()},
                  {"data_offsets", {begin, end}}};
  }
  std::string header = json.dump();
  header.resize((header.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  const std::uint64_t length = header.size();
  write_atomically(path, [&](std::ostream& out) {
    out.write(reinterpret_cast<const char*>(&length), kLengthBytes);
    out.write(header.data(), static_cast<std::streamsize>(header.size()));
    for (const at::Tensor& tensor : in_order) {
      out.write(static_cast<const char*>(tensor.data_ptr()),
                static_cast<std::streamsize>(tensor.nbytes()));
    }
  });
}

}  // namespace cachectl::zoo
