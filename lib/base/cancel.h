#pragma once

#include <stdexcept>

// SIGINT and SIGTERM end a long stage at its next safe point: the stage calls
// throw_if_requested() where its partial file is whole, and app::run answers
// with 128 + the signal. A second signal ends the process at once.
namespace cachectl::cancel {

class Cancelled : public std::runtime_error {
 public:
  explicit Cancelled(int signal);
  int signal() const { return signal_; }

 private:
  int signal_;
};

void install_handlers();
void request(int signal);  // as if the signal had come; for tests
int requested();           // the signal, or 0
void throw_if_requested();

}  // namespace cachectl::cancel
