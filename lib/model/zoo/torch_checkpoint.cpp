// torch.save's two formats: a zip archive of data.pkl and one entry per storage, and,
// before 1.6, pickles in a row followed by the storages. Both are described by
// torch/serialization.py.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "zoo/pickle.h"
#include "zoo/state_dict.h"
#include "zoo/zip.h"

namespace cachectl::zoo {

namespace {

using Kind = Pickle::Kind;
using Value = Pickle::Value;

constexpr std::uint64_t kLargestPickle = 64 << 20;
// Views may share a storage; a file whose tensors together are this much larger was made to hurt.
constexpr std::uint64_t kMostSharing = 8;

struct StorageType {
  const char* name;
  at::ScalarType type;
};
constexpr StorageType kStorageTypes[] = {
    {"torch FloatStorage", at::kFloat},   {"torch HalfStorage", at::kHalf},
    {"torch DoubleStorage", at::kDouble}, {"torch BFloat16Storage", at::kBFloat16},
    {"torch LongStorage", at::kLong},     {"torch IntStorage", at::kInt},
    {"torch ShortStorage", at::kShort},   {"torch CharStorage", at::kChar},
    {"torch ByteStorage", at::kByte},     {"torch BoolStorage", at::kBool}};

at::ScalarType type_of_storage(const std::string& name, const std::string& where) {
  for (const StorageType& known : kStorageTypes) {
    if (known.name == name) return known.type;
  }
  fail(ExitCode::kCorrupt, "{}: '{}' is no kind of storage", where, name);
}

struct StorageName {
  std::string key;
  at::ScalarType type;
  std::int64_t elements;
};

// ('storage', type, key, place, elements[, view]).
StorageName storage_name(const Pickle& pickle, const Value& stored, const std::string& where) {
  const Value* tuple = stored.kind == Kind::kStored ? &pickle.at(stored.items[0]) : nullptr;
  if (tuple == nullptr || tuple->kind != Kind::kTuple || tuple->items.size() < 5) {
    fail(ExitCode::kCorrupt, "{}: a tensor without a storage", where);
  }
  const auto part = [&](std::size_t i) -> const Value& { return pickle.at(tuple->items[i]); };
  if (part(0).text != "storage" || part(2).kind != Kind::kText || part(4).kind != Kind::kInt ||
      part(4).number < 0) {
    fail(ExitCode::kCorrupt, "{}: a storage without type, key and size", where);
  }
  if (tuple->items.size() > 5 && part(5).kind != Kind::kNone) {
    fail(ExitCode::kCorrupt, "{}: a storage that is a view of another (torch before 0.4)", where);
  }
  return {part(2).text, type_of_storage(part(1).text, where), part(4).number};
}

std::vector<std::int64_t> numbers(const Pickle& pickle, const Value& tuple,
                                  const std::string& where) {
  if (tuple.kind != Kind::kTuple && tuple.kind != Kind::kList) {
    fail(ExitCode::kCorrupt, "{}: sizes or strides are no tuple", where);
  }
  std::vector<std::int64_t> result;
  for (const Pickle::Index index : tuple.items) {
    const Value& value = pickle.at(index);
    if (value.kind != Kind::kInt || value.number < 0) {
      fail(ExitCode::kCorrupt, "{}: a size or stride is no whole number from 0 on", where);
    }
    result.push_back(value.number);
  }
  return result;
}

// The storages of a file, each read once, as flat tensors.
class Storages {
 public:
  virtual ~Storages() = default;
  at::Tensor get(const StorageName& name, const std::string& where) {
    const auto found = read_.find(name.key);
    at::Tensor tensor = found != read_.end() ? found->second : read(name, where);
    if (tensor.scalar_type() != name.type || tensor.numel() < name.elements) {
      fail(ExitCode::kCorrupt, "{}: its storage {} has {} elements of {}; expected {} of {}", where,
           name.key, tensor.numel(), c10::toString(tensor.scalar_type()), name.elements,
           c10::toString(name.type));
    }
    read_.insert_or_assign(name.key, tensor);
    return tensor;
  }

 protected:
  virtual at::Tensor read(const StorageName& name, const std::string& where) = 0;

 private:
  std::map<std::string, at::Tensor> read_;
};

at::Tensor tensor_of(const Pickle& pickle, const Value& value, Storages& storages,
                     const std::string& where) {
  const at::Tensor storage =
      storages.get(storage_name(pickle, pickle.at(value.items[0]), where), where);
  const Value& offset = pickle.at(value.items[1]);
  const auto sizes = numbers(pickle, pickle.at(value.items[2]), where);
  const auto strides = numbers(pickle, pickle.at(value.items[3]), where);
  if (offset.kind != Kind::kInt || offset.number < 0 || strides.size() != sizes.size()) {
    fail(ExitCode::kCorrupt, "{}: offset, sizes and strides don't fit together", where);
  }
  // The last element it reaches must lie in the storage; no product below can overflow.
  const std::int64_t stored = storage.numel();
  const std::int64_t count = checked_elements(sizes, stored, where);
  std::int64_t last = offset.number;
  for (std::size_t i = 0; i < sizes.size() && count > 0; ++i) {
    if (strides[i] > stored) last = std::numeric_limits<std::int64_t>::max();
    if (last <= stored) last += (sizes[i] - 1) * strides[i];
  }
  if (count > 0 && last >= stored) {
    fail(ExitCode::kCorrupt, "{}: reaches beyond the {} elements of its storage", where, stored);
  }
  if (count == 0) return at::empty(sizes, storage.options());
  return storage.as_strided(sizes, strides, offset.number).contiguous();
}

// The dict of tensors: the value itself, or below the usual keys of training checkpoints.
const Value& find_state_dict(const Pickle& pickle, const std::string& where) {
  const Value* dict = &pickle.root();
  for (const char* key : {"state_dict", "model_state_dict", "model", "net"}) {
    const Value* inner = pickle.find(*dict, key);
    if (inner != nullptr && inner->kind == Kind::kDict) {
      dict = inner;
      break;
    }
  }
  if (dict->kind != Kind::kDict) {
    fail(ExitCode::kIncompatible,
         "{}: holds {} instead of a state dict: save model.state_dict(), or the model with "
         "torch.jit.script, which needs no import",
         where, dict->kind == Kind::kOpaque ? "an object of " + dict->text : "something else");
  }
  return *dict;
}

StateDict tensors_of(const Pickle& pickle, Storages& storages, const RawFile& file) {
  const Value& dict = find_state_dict(pickle, file.path());
  StateDict tensors;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const Value &name = pickle.at(dict.items[i]), &value = pickle.at(dict.items[i + 1]);
    if (name.kind != Kind::kText || value.kind != Kind::kTensor) continue;
    const std::string where = file.path() + ": " + name.text;
    at::Tensor tensor = tensor_of(pickle, value, storages, where);
    bytes += tensor.nbytes();
    if (bytes / kMostSharing > file.size()) {
      fail(ExitCode::kCorrupt, "{}: tensors of {} in a file of {}", where,
           text::bytes(static_cast<double>(bytes)), text::bytes(static_cast<double>(file.size())));
    }
    if (!tensors.emplace(name.text, std::move(tensor)).second) {
      fail(ExitCode::kCorrupt, "{}: is there twice", where);
    }
  }
  if (tensors.empty()) {
    fail(ExitCode::kIncompatible, "{}: no tensor in it; expected a state dict", file.path());
  }
  return tensors;
}

// --- zip archives ---

class ZipStorages : public Storages {
 public:
  ZipStorages(const RawFile& file, const ZipArchive& archive, std::string folder)
      : file_(file), archive_(archive), folder_(std::move(folder)) {}

 protected:
  at::Tensor read(const StorageName& name, const std::string& where) override {
    const std::string entry = folder_ + "data/" + name.key;
    if (!archive_.contains(entry)) {
      fail(ExitCode::kCorrupt, "{}: the archive has no entry {}", where, entry);
    }
    // Entries of a sound archive don't overlap.
    total_ += archive_.size(entry);
    if (total_ > file_.size()) {
      fail(ExitCode::kCorrupt, "{}: the archive's entries overlap", where);
    }
    const std::vector<char> bytes = archive_.read(entry);
    const auto element = static_cast<std::int64_t>(c10::elementSize(name.type));
    at::Tensor tensor = at::empty({static_cast<std::int64_t>(bytes.size()) / element}, name.type);
    std::copy_n(bytes.data(), tensor.nbytes(), static_cast<char*>(tensor.data_ptr()));
    return tensor;
  }

 private:
  const RawFile& file_;
  const ZipArchive& archive_;
  const std::string folder_;
  std::uint64_t total_ = 0;
};

StateDict read_zip_checkpoint(const RawFile& file) {
  const ZipArchive archive(file);
  const std::string kPickle = "data.pkl";
  std::string folder, found;
  for (const std::string& name : archive.names()) {
    const std::size_t slash = name.find('/');
    if (slash == std::string::npos) continue;
    if (name.compare(slash + 1, std::string::npos, kPickle) == 0) {
      found = name;
      folder = name.substr(0, slash + 1);
    }
    if (name.compare(slash + 1, 5, "code/") == 0) {
      fail(ExitCode::kIncompatible,
           "{}: a whole TorchScript model, not a state dict: it needs no import, use it as it is",
           file.path());
    }
  }
  if (found.empty()) {
    fail(ExitCode::kCorrupt, "{}: a zip archive without {}; torch.save did not write it",
         file.path(), kPickle);
  }
  if (archive.contains(folder + "byteorder")) {
    const std::vector<char> order = archive.read(folder + "byteorder");
    if (std::string(order.begin(), order.end()) != "little") {
      fail(ExitCode::kIncompatible, "{}: written on a big-endian machine", file.path());
    }
  }
  if (archive.size(found) > kLargestPickle) {
    fail(ExitCode::kCorrupt, "{}: {}: {} bytes, more than any state dict's", file.path(), found,
         archive.size(found));
  }
  const Pickle pickle(archive.read(found), 0, file.path() + ": " + found);
  ZipStorages storages(file, archive, folder);
  return tensors_of(pickle, storages, file);
}

// --- the format before torch 1.6 ---

class LegacyStorages : public Storages {
 public:
  // Storages follow each other from `offset` on in the order of `keys`, each behind its
  // number of elements; their types are known from the pickle alone.
  LegacyStorages(const RawFile& file, std::uint64_t offset, const Pickle& keys,
                 const Pickle& pickle)
      : file_(file) {
    if (keys.root().kind != Kind::kList) {
      fail(ExitCode::kCorrupt, "{}: no list of storages", file.path());
    }
    collect_types(pickle);
    for (const Pickle::Index index : keys.root().items) {
      const std::string& key = keys.at(index).text;
      const auto type = types_.find(key);
      if (type == types_.end()) {
        fail(ExitCode::kCorrupt, "{}: storage {} belongs to no tensor", file.path(), key);
      }
      std::uint64_t elements = 0;
      file.read(offset, sizeof elements, &elements, "storage " + key);
      offset += sizeof elements;
      if (elements > file.size()) {
        fail(ExitCode::kCorrupt, "{}: storage {} claims {} elements in a file of {} bytes",
             file.path(), key, elements, file.size());
      }
      places_[key] = {offset, elements};
      offset += elements * c10::elementSize(type->second);
    }
  }

 protected:
  at::Tensor read(const StorageName& name, const std::string& where) override {
    const auto place = places_.find(name.key);
    if (place == places_.end()) {
      fail(ExitCode::kCorrupt, "{}: storage {} is missing", where, name.key);
    }
    const auto [offset, elements] = place->second;
    const std::uint64_t bytes = elements * c10::elementSize(name.type);
    if (offset > file_.size() || bytes > file_.size() - offset) {
      fail(ExitCode::kCorrupt, "{}: its storage {} is cut short", where, name.key);
    }
    at::Tensor tensor = at::empty({static_cast<std::int64_t>(elements)}, name.type);
    file_.read(offset, bytes, tensor.data_ptr(), where);
    return tensor;
  }

 private:
  void collect_types(const Pickle& pickle) {
    for (Pickle::Index index = 0; index < pickle.size(); ++index) {
      if (pickle.at(index).kind != Kind::kStored) continue;
      const StorageName name = storage_name(pickle, pickle.at(index), file_.path());
      types_.emplace(name.key, name.type);
    }
  }

  struct Place {
    std::uint64_t offset, elements;
  };
  const RawFile& file_;
  std::map<std::string, at::ScalarType> types_;
  std::map<std::string, Place> places_;
};

StateDict read_legacy_checkpoint(const RawFile& file) {
  // The pickles stand before the storages; how far they reach is known only by reading them.
  const std::vector<char> head =
      file.read(0, std::min<std::uint64_t>(file.size(), kLargestPickle), "head");
  const std::string kMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
  const Pickle magic(head, 0, file.path() + ": magic number");
  if (magic.root().text != kMagic) {
    fail(ExitCode::kCorrupt, "{}: a pickle, but not one of torch.save", file.path());
  }
  const Pickle protocol(head, magic.end(), file.path() + ": protocol");
  const Pickle system(head, protocol.end(), file.path() + ": system");
  const Pickle contents(head, system.end(), file.path() + ": contents");
  const Pickle keys(head, contents.end(), file.path() + ": keys");
  LegacyStorages storages(file, keys.end(), keys, contents);
  return tensors_of(contents, storages, file);
}

}  // namespace

StateDict read_torch_checkpoint(const std::filesystem::path& path) {
  const RawFile file(path);
  char first[4] = {};
  file.read(0, std::min<std::uint64_t>(sizeof first, file.size()), first, "magic");
  return first[0] == 'P' && first[1] == 'K' ? read_zip_checkpoint(file)
                                            : read_legacy_checkpoint(file);
}

StateDict read_state_dict(const std::filesystem::path& path) {
  const RawFile file(path);
  if (file.size() == 0) fail(ExitCode::kCorrupt, "{}: empty", file.path());
  unsigned char first[9] = {};
  file.read(0, std::min<std::uint64_t>(sizeof first, file.size()), first, "magic");
  const bool is_zip = first[0] == 'P' && first[1] == 'K';
  const bool is_pickle = first[0] == 0x80 && first[1] >= 2 && first[1] <= 5;
  // A safetensors header of 0x...0280 bytes begins like a pickle, but has a '{' at byte 8.
  if (first[8] == '{') return read_safetensors(path);
  if (is_zip || is_pickle) return read_torch_checkpoint(path);
  fail(ExitCode::kCorrupt,
       "{}: neither safetensors nor torch.save's format; expected .safetensors, .pth or .pt",
       file.path());
}

}  // namespace cachectl::zoo
