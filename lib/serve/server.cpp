#include "serve/server.h"

#include <atomic>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <csignal>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "serve/connection.h"
#include "serve/http_session.h"

namespace cachectl::serve {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;

namespace {

constexpr double kRetryAcceptSeconds = 0.1;  // where no descriptor was left
constexpr double kLookSeconds = 0.02;        // between looks whether all is answered
constexpr std::size_t kRefusedAtOnce = 128;  // beyond the limit, that are told so

}  // namespace

// Handlers know it by its address: it goes only when no thread runs the context any more, and
// the context with it, before the connections that handlers hold.
struct Server::State {
  explicit State(Service& the_service)
      : service(the_service),
        acceptor(net::make_strand(context)),
        again(acceptor.get_executor()),
        drained(acceptor.get_executor()),
        signals(context) {}

  void listen() {
    const Options& options = service.options();
    error_code error;
    const auto address = net::ip::make_address(options.host, error);
    if (error) {
      fail(ExitCode::kUsage, "--host {}: expected an IP address, 127.0.0.1 or 0.0.0.0 say",
           options.host);
    }
    const tcp::endpoint endpoint(address, static_cast<std::uint16_t>(options.port));
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(net::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(net::socket_base::max_listen_connections, error);
    if (!error) acceptor.non_blocking(true, error);
    if (error) {
      fail(ExitCode::kCannotOpen, "{}:{}: cannot listen there: {}", options.host, options.port,
           error.message());
    }
    bound = acceptor.local_endpoint();
  }

  // Throws nothing: the next connection is accepted, whatever becomes of this one.
  void take(tcp::socket socket) {
    try {
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      const std::size_t open = connections.count();
      const auto limit = static_cast<std::size_t>(service.options().connections);
      if (open < limit) {
        start_http_session(std::move(socket), service, connections);
      } else if (open < limit + kRefusedAtOnce) {
        refuse_connection(std::move(socket), service, connections);
      }
    } catch (const std::exception& error) {
      log::error("a connection could not be served: {}", error.what());
    }
  }

  void accept() {
    acceptor.async_accept(net::make_strand(context), [this](error_code error, tcp::socket socket) {
      // One that came in while the port was closed is answered as the others.
      if (!error) take(std::move(socket));
      if (!acceptor.is_open() || error == net::error::operation_aborted) return;
      if (!error) return accept();
      log::warning("a connection could not be accepted: {}", error.message());
      again.expires_after(seconds(kRetryAcceptSeconds));
      again.async_wait([this](error_code stopped) {
        if (!stopped) accept();
      });
    });
  }

  // Connections that wait in the kernel would be reset when the port is closed.
  void accept_those_waiting() {
    while (true) {
      error_code error;
      tcp::socket socket(net::make_strand(context));
      acceptor.accept(socket, error);
      if (error) return;
      take(std::move(socket));
    }
  }

  void begin_drain() {
    if (!acceptor.is_open()) return;
    service.start_draining();
    accept_those_waiting();
    error_code ignored;
    acceptor.close(ignored);
    again.cancel();
    connections.drain();
    limit = Clock::now() + seconds(service.options().drain_seconds);
    look_soon();  // not now: one that was accepted a moment ago may not be counted yet
  }

  void look_whether_drained() {
    all_answered = connections.count() == 0;
    if (all_answered || Clock::now() >= limit) return context.stop();
    look_soon();
  }

  void look_soon() {
    drained.expires_after(seconds(kLookSeconds));
    drained.async_wait([this](error_code error) {
      if (!error) look_whether_drained();
    });
  }

  void wait_for_signal() {
    signals.async_wait([this](error_code error, int signal) {
      if (error) return;
      if (signal_action) signal_action(signal);
      wait_for_signal();
    });
  }

  Service& service;
  Connections connections;
  net::io_context context;
  tcp::acceptor acceptor;
  net::steady_timer again, drained;
  net::signal_set signals;
  std::function<void(int)> signal_action;
  tcp::endpoint bound;
  Clock::time_point limit;
  std::atomic<bool> all_answered{false};
};

Server::Server(Service& service) : state_(std::make_unique<State>(service)) {
  state_->listen();
}

Server::~Server() {
  // Answers on their way hold their connections.
  state_->service.batcher().drain();
}

std::uint16_t Server::port() const {
  return state_->bound.port();
}

std::string Server::address() const {
  const auto address = state_->bound.address();
  const std::string host = address.is_v6() ? '[' + address.to_string() + ']' : address.to_string();
  return "http://" + host + ':' + std::to_string(port());
}

bool Server::run() {
  net::dispatch(state_->acceptor.get_executor(), [state = state_.get()] { state->accept(); });
  std::vector<std::thread> threads;
  for (std::int64_t i = 0; i < state_->service.options().io_threads; ++i) {
    threads.emplace_back([state = state_.get()] {
      while (true) {
        try {
          state->context.run();
          return;
        } catch (const std::exception& error) {
          log::error("a connection failed: {}", error.what());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return state_->all_answered;
}

void Server::drain() {
  net::post(state_->acceptor.get_executor(), [state = state_.get()] { state->begin_drain(); });
}

void Server::stop() {
  state_->context.stop();
}

void Server::on_signal(std::function<void(int)> action) {
  state_->signal_action = std::move(action);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) state_->signals.add(signal);
  state_->wait_for_signal();
}

}  // namespace cachectl::serve
