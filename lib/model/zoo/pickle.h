#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cachectl::zoo {

// What a pickle says, as plain values: nothing is imported, constructed or executed.
// Calls other than those that torch.save uses for tensors become kOpaque.
class Pickle {
 public:
  using Index = std::uint32_t;  // of a value
  enum class Kind : std::uint8_t {
    kNone,
    kBool,
    kInt,     // number
    kFloat,   // passed over: its value is not kept
    kText,    // text (also bytes, and whole numbers beyond 64 bits)
    kTuple,   // items
    kList,    // items
    kDict,    // items: key, value, key, value, ...
    kGlobal,  // text: "torch FloatStorage"
    kStored,  // items[0]: the tuple that names a storage
    kTensor,  // items: the arguments of torch._utils._rebuild_tensor_v2
    kOpaque   // text: what was called
  };
  struct Value {
    Kind kind = Kind::kNone;
    std::int64_t number = 0;
    std::string text;
    std::vector<Index> items;
  };

  // Reads one pickle of protocol 2 to 4 that begins at `offset`. where: for messages, which
  // are Error (corrupt).
  Pickle(const std::vector<char>& bytes, std::size_t offset, const std::string& where);

  const Value& root() const { return values_[root_]; }
  const Value& at(Index index) const { return values_.at(index); }
  // The value of a text key, or nullptr: of no dict, or without that key.
  const Value* find(const Value& dict, const std::string& key) const;
  Index size() const { return static_cast<Index>(values_.size()); }
  std::size_t end() const { return end_; }  // the offset behind it

 private:
  friend class PickleReader;
  std::vector<Value> values_;
  Index root_ = 0;
  std::size_t end_ = 0;
};

}  // namespace cachectl::zoo
