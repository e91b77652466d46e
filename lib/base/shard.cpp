#include "base/shard.h"

#include <charconv>

#include "base/error.h"

namespace cachectl {

std::optional<Shard> parse_shard(const std::string& text) {
  Shard shard;
  const char* const end = text.data() + text.size();
  const auto number = std::from_chars(text.data(), end, shard.number);
  if (number.ec != std::errc() || number.ptr == end || *number.ptr != '/') return std::nullopt;
  const auto of = std::from_chars(number.ptr + 1, end, shard.of);
  if (of.ec != std::errc() || of.ptr != end) return std::nullopt;
  if (shard.number < 1 || shard.number > shard.of) return std::nullopt;
  return shard;
}

Shard shard_of_flag(const std::string& text) {
  if (text.empty()) return {};
  const auto shard = parse_shard(text);
  if (!shard) {
    fail(ExitCode::kUsage, "--shard {}: expected i/n with i from 1 to n, as 2/5", text);
  }
  return *shard;
}

}  // namespace cachectl
