#pragma once

#include <stdexcept>
#include <string>

namespace cachectl::serve {

// A request that is not served: the HTTP status and a sentence for the client. Holds nothing
// of this machine: no paths, no addresses.
class Refusal : public std::runtime_error {
 public:
  Refusal(int status, const std::string& message, int retry_after = 0)
      : std::runtime_error(message), status_(status), retry_after_(retry_after) {}
  int status() const { return status_; }
  int retry_after() const { return retry_after_; }  // seconds; 0: says nothing

 private:
  int status_, retry_after_;
};

}  // namespace cachectl::serve
