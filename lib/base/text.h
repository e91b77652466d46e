#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cachectl::text {

std::string bytes(double count);       // "1.5 GiB"
std::string count(double value);       // "125.5 M": metric prefix, for FLOPs and parameters
std::string duration(double seconds);  // "1 h 12 min", "4.2 s", "310 ms"
std::string significant(double value, int digits);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string shape(const std::vector<std::int64_t>& sizes);  // "16x32x32"; "scalar" when empty
std::vector<std::string> split(std::string_view text, char separator);
std::string trim(std::string_view text);

// The known word nearest to a misspelt one, or "" when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace cachectl::text
