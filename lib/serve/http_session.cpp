#include "serve/http_session.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "serve/refusal.h"
#include "serve/routes.h"
#include "serve/stream_session.h"

namespace cachectl::serve {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using net::ip::tcp;

constexpr std::uint32_t kHeaderBytes = 16 * 1024;
constexpr std::uint64_t kOtherBodies = std::uint64_t{16} * 1024;  // of requests that need none
// Bytes that are read and not understood yet. A chunk's size line has no other limit.
constexpr std::size_t kUnreadBytes = std::size_t{128} * 1024;
// After a server's last word a client may still be sending; it is heard out that long, so
// that the word is not lost to a reset.
constexpr double kLingerSeconds = 2;
// When the server ends, a request that is on its way on an idle connection is still taken.
constexpr double kLastCallSeconds = 0.25;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

// What of the header decides about a request before its body is read.
struct Head {
  Route route = Route::kNone;
  bool keep_alive = false;
  bool is_head = false;
  std::optional<std::size_t> json_bytes;  // Inference-Header-Content-Length
};

class HttpSession : public Connection, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(tcp::socket socket, Service& service, Connections& connections)
      : stream_(std::move(socket)),
        last_call_(stream_.get_executor()),
        service_(service),
        connections_(connections) {
    ++service_.http_connections;
  }
  ~HttpSession() override {
    --service_.http_connections;
    connections_.remove(this);
  }

  void start() {
    connections_.add(shared_from_this());
    // One that came in after the others were told.
    if (service_.draining()) drain();
    net::dispatch(stream_.get_executor(),
                  [self = shared_from_this()] { self->wait_for_request(); });
  }

  void refuse() {
    connections_.add(shared_from_this());
    net::dispatch(stream_.get_executor(), [self = shared_from_this()] {
      self->send(refusal(503, "too many connections", 1), true);
    });
  }

  void drain() override {
    net::post(stream_.get_executor(), [self = shared_from_this()] {
      self->draining_ = true;
      if (!self->idle_) return;
      self->last_call_.expires_after(seconds(kLastCallSeconds));
      self->last_call_.async_wait([self](error_code error) {
        if (!error && self->idle_) self->stream_.cancel();
      });
    });
  }

 private:
  void wait_for_request() {
    parser_.reset();
    body_share_ = {};
    items_.clear();
    if (buffer_.size() > 0) return read_header();
    idle_ = true;
    const double limit = draining_ ? kLastCallSeconds : service_.options().idle_seconds;
    stream_.expires_after(seconds(limit));
    stream_.async_read_some(buffer_.prepare(4096),
                            [self = shared_from_this()](error_code error, std::size_t bytes) {
                              self->idle_ = false;
                              if (error) return self->close();
                              self->buffer_.commit(bytes);
                              self->read_header();
                            });
  }

  void read_header() {
    head_ = {};
    parser_.emplace();
    parser_->header_limit(kHeaderBytes);
    parser_->body_limit(std::max(kOtherBodies, service_.options().max_body_bytes()));
    stream_.expires_after(seconds(service_.options().header_seconds));
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (error) return self->on_bad_request(error);
                              self->on_header();
                            });
  }

  void on_bad_request(error_code error) {
    if (error == http::error::body_limit) return refuse(413, "the body is too large");
    if (error == http::error::header_limit) return refuse(431, "the header is too large");
    if (error == beast::error::timeout) service_.metrics().refused("timeout");
    const bool spoke_http =
        error.category() == make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message;
    if (spoke_http) return refuse(400, "no valid HTTP request");
    close();
  }

  void refuse(int status, const std::string& text) { send(refusal(status, text), true); }

  void on_header() {
    arrival_ = Clock::now();
    const auto& request = parser_->get();
    const std::shared_ptr<const ServedModel> model = service_.models().get();
    head_ = {};
    head_.route = route_of(view(request.target()), model->name());
    head_.keep_alive = request.keep_alive();
    head_.is_head = request.method() == http::verb::head;
    // An answer before the body was read: only without one can the connection go on.
    const bool has_body = parser_->chunked() || parser_->content_length().value_or(0) > 0;
    const auto answer = [&](Reply reply) { send(std::move(reply), has_body); };
    try {
      check_header(request);
    } catch (const Refusal& refused) {
      return answer(refusal(refused.status(), refused.what(), refused.retry_after()));
    }
    if (head_.route == Route::kStream) return become_stream();
    const std::uint64_t expected = parser_->content_length().value_or(
        parser_->chunked() ? service_.options().max_body_bytes() : 0);
    if (head_.route != Route::kInfer && expected > kOtherBodies) {
      return answer(refusal(413, "no body is needed here"));
    }
    body_share_ = service_.bodies().take(expected);
    if (!body_share_) {
      service_.metrics().refused("memory");
      return answer(refusal(503, "too much is being read already", 1));
    }
    stream_.expires_after(seconds(service_.options().body_seconds));
    if (view(request[http::field::expect]) == "100-continue" && buffer_.size() == 0) {
      return send_continue();
    }
    read_body();
  }

  template <class Request>
  void check_header(const Request& request) {
    const auto method = request.method();
    if (head_.route == Route::kNone) throw Refusal(404, "nothing is served under this address");
    const bool fits = head_.route == Route::kInfer ? method == http::verb::post
                                                   : method == http::verb::get || head_.is_head;
    if (!fits) throw Refusal(405, std::string("expected ") + method_of(head_.route));
    if (!is_open(head_.route) &&
        !service_.access().allows(view(request[http::field::authorization]),
                                  view(request[http::field::sec_websocket_protocol]))) {
      throw Refusal(401, "a bearer token is needed");
    }
    const auto origin = request.find(http::field::origin);
    if (origin != request.end() &&
        (head_.route == Route::kInfer || head_.route == Route::kStream) &&
        !same_origin(view(origin->value()), view(request[http::field::host]))) {
      throw Refusal(403, "asked by a page of another origin");
    }
    if (head_.route != Route::kInfer) return;
    const std::string_view encoding = view(request[http::field::content_encoding]);
    if (!encoding.empty() && encoding != "identity") {
      throw Refusal(415, "compressed bodies are not taken");
    }
    const auto json_bytes = request.find("Inference-Header-Content-Length");
    if (json_bytes != request.end()) {
      const std::string_view text = view(json_bytes->value());
      if (text.empty() || text.size() > 12 || text.find_first_not_of("0123456789") != text.npos) {
        throw Refusal(400, "Inference-Header-Content-Length: expected a number of bytes");
      }
      head_.json_bytes = std::stoull(std::string(text));
    }
  }

  void send_continue() {
    static const std::string text = "HTTP/1.1 100 Continue\r\n\r\n";
    net::async_write(stream_, net::buffer(text),
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (error) return self->close();
                       self->read_body();
                     });
  }

  void read_body() {
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (error) return self->on_bad_request(error);
                       self->on_request();
                     });
  }

  void on_request() {
    if (head_.route != Route::kInfer) return send(reply_to(head_.route, service_));
    try {
      infer();
    } catch (const Refusal& refused) {
      send(refusal(refused.status(), refused.what(), refused.retry_after()));
    } catch (const std::exception& error) {
      log::error("a request failed: {}", error.what());
      send(refusal(500, "internal error"));
    }
  }

  void infer() {
    service_.require_room();
    model_ = service_.models().get();
    const std::string body = std::move(parser_->get().body());
    const std::size_t json_bytes = head_.json_bytes.value_or(body.size());
    if (json_bytes > body.size()) {
      throw Refusal(400, "Inference-Header-Content-Length is beyond the body's end");
    }
    const std::string_view all = body;
    request_ = read_infer_request(all.substr(0, json_bytes), all.substr(json_bytes), *model_,
                                  service_.limits());
    items_.resize(static_cast<std::size_t>(request_.inputs.size(0)));
    // Each item has a place of its own, so the workers need no lock.
    const auto on_item = [self = shared_from_this()](ItemAnswer item) {
      const auto index = static_cast<std::size_t>(item.index);
      self->items_[index] = std::move(item);
    };
    const auto on_end = [self = shared_from_this()](const QuerySummary& summary) {
      net::post(self->stream_.get_executor(), [self, summary] { self->on_answered(summary); });
    };
    query_ = service_.submit(request_, arrival_, {on_item, on_end});
    request_.inputs = at::Tensor();
    body_share_ = {};
    watch_for_leaving();
  }

  // Whoever closes the connection while waiting wants no answer any more. The wait goes on when the
  // answer is out, and must not keep the inputs until then.
  void watch_for_leaving() {
    const std::weak_ptr<Query> asked = query_;
    stream_.socket().async_wait(tcp::socket::wait_read,
                                [self = shared_from_this(), asked](error_code error) {
                                  const std::shared_ptr<Query> query = asked.lock();
                                  if (error || !query || self->query_ != query) return;
                                  char byte = 0;
                                  error_code failed;
                                  self->stream_.socket().non_blocking(true, failed);
                                  const std::size_t bytes = self->stream_.socket().receive(
                                      net::buffer(&byte, 1), tcp::socket::message_peek, failed);
                                  if (failed == net::error::would_block || (bytes > 0 && !failed))
                                    return;
                                  query->cancel();
                                });
  }

  void on_answered(const QuerySummary& summary) {
    query_.reset();
    if (summary.cancelled > 0) {
      service_.metrics().refused("left");
      service_.metrics().request("http", 499);
      return close();
    }
    if (summary.failed > 0) return send(refusal(500, "the batch failed"));
    if (summary.expired > 0) {
      service_.metrics().refused("deadline");
      return send(refusal(504, "the deadline passed before the answer"));
    }
    service_.metrics().request_took("http", Clock::now() - arrival_,
                                    seconds(summary.first_milliseconds / 1000));
    Reply reply;
    reply.body = infer_response(*model_, request_, items_);
    if (reply.body.json_bytes > 0) reply.type = "application/octet-stream";
    send(std::move(reply));
  }

  void become_stream() {
    if (!beast::websocket::is_upgrade(parser_->get())) {
      return refuse(426, "a stream is asked for as a WebSocket");
    }
    if (buffer_.size() > 0) return refuse(400, "frames before the handshake was answered");
    stream_.expires_never();
    start_stream_session(std::move(stream_), parser_->release(), service_, connections_);
  }

  void send(Reply reply, bool then_close = false) {
    auto response = std::make_shared<http::response<http::string_body>>(
        static_cast<http::status>(reply.status), 11);
    parser_.reset();  // what was read is not needed any more
    body_share_ = {};
    response->set(http::field::server, "cachectl-serve");
    response->set(http::field::content_type, reply.type);
    response->set(http::field::cache_control, "no-store");
    response->set("X-Content-Type-Options", "nosniff");
    if (reply.status == 401) response->set(http::field::www_authenticate, "Bearer");
    if (reply.status == 405) response->set(http::field::allow, method_of(head_.route));
    if (reply.status == 426) response->set(http::field::upgrade, "websocket");
    if (reply.retry_after > 0) {
      response->set(http::field::retry_after, std::to_string(reply.retry_after));
    }
    if (reply.body.json_bytes > 0) {
      response->set("Inference-Header-Content-Length", std::to_string(reply.body.json_bytes));
    }
    if (reply.status >= 200) service_.metrics().request("http", reply.status);
    const bool close = then_close || !head_.keep_alive || draining_ || service_.draining();
    response->keep_alive(!close);
    response->body() = std::move(reply.body.bytes);
    response->prepare_payload();
    if (head_.is_head) response->body().clear();  // its length stays in the header
    stream_.expires_after(seconds(service_.options().write_seconds));
    http::async_write(stream_, *response,
                      [self = shared_from_this(), response, close](error_code error, std::size_t) {
                        if (error == beast::error::timeout) {
                          self->service_.metrics().refused("slow_reader");
                        }
                        if (error) return self->close();
                        if (close) return self->linger();
                        self->wait_for_request();
                      });
  }

  // Ends our side and waits for the other's.
  void linger() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(seconds(kLingerSeconds));
    hear_out();
  }
  void hear_out() {
    buffer_.consume(buffer_.size());
    stream_.async_read_some(buffer_.prepare(65536),
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (error) return self->close();
                              self->hear_out();
                            });
  }

  void close() {
    last_call_.cancel();
    stream_.close();
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{kUnreadBytes};
  net::steady_timer last_call_;
  Service& service_;
  Connections& connections_;

  // Of the request at hand.
  std::optional<http::request_parser<http::string_body>> parser_;
  Head head_;
  Clock::time_point arrival_;
  MemoryBudget::Share body_share_;
  InferRequest request_;
  std::shared_ptr<const ServedModel> model_;
  std::shared_ptr<Query> query_;
  std::vector<ItemAnswer> items_;

  bool idle_ = false;
  bool draining_ = false;
};

}  // namespace

void start_http_session(tcp::socket socket, Service& service, Connections& connections) {
  std::make_shared<HttpSession>(std::move(socket), service, connections)->start();
}

void refuse_connection(tcp::socket socket, Service& service, Connections& connections) {
  service.metrics().refused("connections");
  std::make_shared<HttpSession>(std::move(socket), service, connections)->refuse();
}

}  // namespace cachectl::serve
