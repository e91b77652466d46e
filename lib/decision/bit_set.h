#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cachectl::decision {

// A set of sample numbers. All operands of an operation have one length.
class BitSet {
 public:
  BitSet() = default;
  explicit BitSet(std::size_t bits, bool full = false);

  void insert(std::size_t bit) { words_[bit / 64] |= std::uint64_t{1} << (bit % 64); }
  bool contains(std::size_t bit) const { return (words_[bit / 64] >> (bit % 64)) & 1; }
  std::size_t count() const;
  std::size_t words() const { return words_.size(); }

  // *this = a \ b; returns the number of its members. *this may be a.
  std::size_t assign_difference(const BitSet& a, const BitSet& b);

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace cachectl::decision
