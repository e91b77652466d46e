#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "serve/server.h"
#include "unit/serve/raw_client.h"
#include "unit/serve/served.h"

namespace cachectl::serve::test {

// A server of the small model on a free port, in threads of this process.
class RunningServer {
 public:
  explicit RunningServer(const std::function<void(Options&)>& adjust = {},
                         const Access& access = {}) {
    Options& options = served_.options;
    options.port = 0;
    options.common.threads = 2;
    options.delay_ms = 0;
    if (adjust) adjust(options);
    service_ = std::make_unique<Service>(options, served_.load(), access);
    server_ = std::make_unique<Server>(*service_);
    thread_ = std::thread([this] { all_answered_ = server_->run(); });
  }
  ~RunningServer() {
    if (thread_.joinable()) server_->stop();
    join();
    server_.reset();
  }

  // Whether all that was accepted was answered.
  bool drain() {
    server_->drain();
    join();
    return all_answered_;
  }
  std::uint16_t port() const { return server_->port(); }
  Service& service() { return *service_; }
  const Served& served() const { return served_; }
  std::string metrics() { return service_->metrics().registry().text(); }
  // Of a metric's line, its labels with it; "" where there is none.
  std::string metric(const std::string& name) {
    const std::string text = "\n" + metrics();
    const std::size_t at = text.find("\n" + name + " ");
    if (at == std::string::npos) return "";
    const std::size_t value = at + name.size() + 2;
    return text.substr(value, text.find('\n', value) - value);
  }

 private:
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  Served served_{{0.22, 0.24, 0.3}};
  std::unique_ptr<Service> service_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  bool all_answered_ = false;
};

// Requests for it.
inline std::string http(const std::string& line, const std::string& body = "",
                        const std::string& headers = "") {
  return line + " HTTP/1.1\r\nHost: here\r\n" + headers +
         (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" +
         body;
}
inline std::string infer_json(int items, const std::string& top = "") {
  std::string text = "{" + top + R"("inputs": [{"name": "input", "datatype": "FP32", "shape": [)" +
                     std::to_string(items) + R"(, 3, 16, 16], "data": [)";
  for (int i = 0; i < items * static_cast<int>(Served::kValues); ++i) {
    text += (i > 0 ? "," : "") + std::to_string(i * 7 % 13 - 6);
  }
  return text + "]}]}";
}
inline std::string infer_raw(int items, std::size_t& json_bytes, const std::string& top = "") {
  const auto bytes = static_cast<std::size_t>(items * Served::kValues) * sizeof(float);
  std::string text = "{" + top + R"("inputs": [{"name": "input", "datatype": "FP32", "shape": [)" +
                     std::to_string(items) +
                     R"(, 3, 16, 16], "parameters": {"binary_data_size": )" +
                     std::to_string(bytes) + "}}]}";
  json_bytes = text.size();
  for (std::size_t i = 0; i < bytes / sizeof(float); ++i) {
    const float value = static_cast<float>(i * 7 % 13) - 6;
    text.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return text;
}
inline const char* const kInfer = "POST /v2/models/m/infer";

// A WebSocket's handshake and frames, as a client sends them.
inline std::string handshake(const std::string& headers = "") {
  return http("GET /v2/models/m/stream", "",
              "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                  headers);
}
inline std::string frame(const std::string& payload, int opcode = 1) {
  std::string bytes(1, static_cast<char>(0x80 | opcode));
  const std::size_t size = payload.size();
  if (size < 126) {
    bytes += static_cast<char>(0x80 | size);
  } else if (size < 65536) {
    bytes += static_cast<char>(0x80 | 126);
    for (const int shift : {8, 0}) bytes += static_cast<char>(size >> shift);
  } else {
    bytes += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  }
  const std::string mask = "\x11\x22\x33\x44";
  bytes += mask;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(payload[i] ^ mask[i % 4]);
  return bytes;
}

}  // namespace cachectl::serve::test
