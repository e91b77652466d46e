#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace cachectl {

// One of several parts of a work that is shared out, as "2/5" says it: the second of five.
struct Shard {
  std::int64_t number = 1, of = 1;
};

std::optional<Shard> parse_shard(const std::string& text);  // nothing where it is none
Shard shard_of_flag(const std::string& text);               // of --shard; "": the whole. Else usage

}  // namespace cachectl
