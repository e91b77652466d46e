#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace cachectl {

// SHA-256, fed in pieces. hex() may be called once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& update(const void* data, std::size_t size);
  // Strings are framed by their length, so that ("ab","c") differs from ("a","bc").
  Sha256& update(std::string_view text);
  Sha256& update(std::uint64_t value);
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_of_file(const std::filesystem::path& path);  // throws Error when unreadable

}  // namespace cachectl
