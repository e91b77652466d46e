#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "serve/service.h"

namespace cachectl::serve {

// A port that is listened on, and the connections that came in there.
class Server {
 public:
  // Listens; connections wait until run(). service: must outlive the server. Throws
  // Error(kCannotOpen) when the address can't be listened on, kUsage when it is none.
  explicit Server(Service& service);
  ~Server();

  std::uint16_t port() const;
  std::string address() const;  // "http://127.0.0.1:8080"

  // Serves until drain() is through or stop() is called. True when all that was accepted got
  // its answer.
  bool run();
  // Takes no new connections, answers what was accepted, then ends run(); after
  // Options::drain_seconds it ends all the same. From any thread.
  void drain();
  void stop();  // ends run() at once

  // Called from run()'s threads.
  void on_signal(std::function<void(int signal)> action);  // SIGHUP, SIGINT, SIGTERM

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cachectl::serve
