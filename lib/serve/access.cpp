#include "serve/access.h"

#include <algorithm>
#include <cstdint>
#include <fstream>

#include "base/error.h"
#include "base/text.h"

namespace cachectl::serve {
namespace {

// Takes as long for a wrong token as for the right one.
bool equal(std::string_view one, std::string_view other) {
  std::uint8_t differing = one.size() == other.size() ? 0 : 1;
  for (std::size_t i = 0; i < one.size(); ++i) {
    const char against = other.empty() ? '\0' : other[i % other.size()];
    differing |= static_cast<std::uint8_t>(one[i] ^ against);
  }
  return differing == 0;
}

std::string base64url(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  std::uint32_t held = 0;
  int bits = 0;
  for (const char byte : bytes) {
    held = held << 8 | static_cast<std::uint8_t>(byte);
    for (bits += 8; bits >= 6; bits -= 6) text += kDigits[held >> (bits - 6) & 63];
  }
  if (bits > 0) text += kDigits[held << (6 - bits) & 63];
  return text;
}

bool starts_with_ignoring_case(std::string_view text, std::string_view start) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return text.size() >= start.size() &&
         std::equal(start.begin(), start.end(), text.begin(),
                    [&](char a, char b) { return lower(a) == lower(b); });
}

}  // namespace

Access Access::from_file(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) {
    fail(ExitCode::kCannotOpen, "{}: no token can be read: {}", path, errno_text());
  }
  Access access;
  access.token_ = text::trim(line);
  if (access.token_.size() < 8 || access.token_.find_first_of(" \t,") != std::string::npos) {
    fail(ExitCode::kUsage,
         "{}: expected a token of 8 characters or more in the first line, no blanks", path);
  }
  return access;
}

bool Access::allows(std::string_view authorization, std::string_view protocols) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (token_.empty()) return true;
  if (starts_with_ignoring_case(authorization, kScheme)) {
    return equal(text::trim(authorization.substr(kScheme.size())), token_);
  }
  const std::string wanted = "bearer." + base64url(token_);
  bool found = false;
  for (const std::string& protocol : text::split(protocols, ',')) {
    found |= equal(text::trim(protocol), wanted);
  }
  return found;
}

bool same_origin(std::string_view origin, std::string_view host) {
  const std::size_t scheme = origin.find("://");
  return scheme != std::string_view::npos && origin.substr(scheme + 3) == host;
}

bool lists(std::string_view list, std::string_view token) {
  for (const std::string& one : text::split(list, ',')) {
    if (text::trim(one) == token) return true;
  }
  return false;
}

}  // namespace cachectl::serve
