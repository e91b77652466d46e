#pragma once

#include <string>
#include <string_view>

namespace cachectl::serve {

// Who may ask.
class Access {
 public:
  Access() = default;  // everybody
  // The first line of the file is the token. Throws Error: unreadable, or no token in it.
  static Access from_file(const std::string& path);

  bool asks_for_token() const { return !token_.empty(); }
  // authorization: that header's value. protocols: Sec-WebSocket-Protocol, for browsers, whose
  // WebSockets carry no headers: "bearer." and the token in base64url without padding.
  bool allows(std::string_view authorization, std::string_view protocols) const;

 private:
  std::string token_;
};

// Whether a request that names an Origin comes from a page of this server itself. Pages of
// others must not ask in the name of whoever looks at them.
bool same_origin(std::string_view origin, std::string_view host);

// Whether a list of tokens, separated by commas, holds this one.
bool lists(std::string_view list, std::string_view token);

}  // namespace cachectl::serve
