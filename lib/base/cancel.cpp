#include "base/cancel.h"

#include <atomic>
#include <csignal>

namespace cachectl::cancel {
namespace {

std::atomic<int> g_signal = 0;  // read on any thread
static_assert(std::atomic<int>::is_always_lock_free, "a handler sets it");

void on_signal(int signal) {
  if (g_signal != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  g_signal = signal;
}

}  // namespace

Cancelled::Cancelled(int signal)
    : std::runtime_error(signal == SIGTERM ? "ended by SIGTERM" : "interrupted"), signal_(signal) {}

void install_handlers() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a failed write, not a death
}

void request(int signal) {
  g_signal = signal;
}
int requested() {
  return g_signal;
}

void throw_if_requested() {
  if (const int signal = g_signal) throw Cancelled(signal);
}

}  // namespace cachectl::cancel
