#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

namespace cachectl::serve::test {

// A TCP connection to a port of this machine that sends any bytes.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer = 0) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    const timeval patience = {20, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (receive_buffer > 0) {
      setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0;
  }
  ~RawClient() { close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  // False where the other side has closed.
  bool send(const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t sent = ::send(socket_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return false;
      at += static_cast<std::size_t>(sent);
    }
    return true;
  }
  // What fits into the buffers on the way.
  std::size_t send_some(const std::string& bytes) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  void end_sending() { shutdown(socket_, SHUT_WR); }
  // What is there next; "" at the end, or after 20 seconds of nothing.
  std::string receive_some() {
    char bytes[65536];
    ssize_t got = 0;
    do {  // a process that was stopped and goes on is told so where there is a time limit
      got = recv(socket_, bytes, sizeof(bytes), 0);
    } while (got < 0 && errno == EINTR);
    end_ = got > 0 ? "" : got == 0 ? "closed" : std::strerror(errno);
    return got > 0 ? std::string(bytes, static_cast<std::size_t>(got)) : "";
  }
  std::string receive_all() {
    std::string all;
    for (std::string some = receive_some(); !some.empty(); some = receive_some()) all += some;
    return all;
  }
  // Why there is nothing more.
  const std::string& end() const { return end_; }
  // Up to and with this text; all there was when it does not come.
  std::string receive_until(const std::string& text) {
    while (received_.find(text) == std::string::npos) {
      const std::string some = receive_some();
      if (some.empty()) return std::exchange(received_, "");
      received_ += some;
    }
    const std::size_t end = received_.find(text) + text.size();
    const std::string found = received_.substr(0, end);
    received_.erase(0, end);
    return found;
  }

 private:
  int socket_ = -1;
  bool connected_ = false;
  std::string received_, end_;
};

}  // namespace cachectl::serve::test
