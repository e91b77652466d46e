#include "serve/stream_session.h"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "serve/messages.h"
#include "serve/refusal.h"

namespace cachectl::serve {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;

constexpr const char* kProtocol = "cachectl";  // offered beside a token in the protocol list
// While more than this waits to be taken by the client, no further query is read.
constexpr std::size_t kOutgoingBytes = 1 << 20;
constexpr std::size_t kPieceBytes = 64 * 1024;  // that are read at once; the first are free
constexpr double kLastCallSeconds = 0.25;

// A frame's JSON and the raw tensors behind it: text frames are JSON alone; binary ones
// start with the JSON's length, 4 bytes little endian.
struct Frame {
  std::string_view json, tail;
};

Frame split_frame(std::string_view bytes, bool binary) {
  if (!binary) return {bytes, {}};
  if (bytes.size() < 4) throw Refusal(400, "a binary frame starts with the length of its JSON");
  std::size_t length = 0;
  for (std::size_t i = 4; i-- > 0;) length = length << 8 | static_cast<std::uint8_t>(bytes[i]);
  bytes.remove_prefix(4);
  if (length > bytes.size()) throw Refusal(400, "a binary frame shorter than its JSON");
  return {bytes.substr(0, length), bytes.substr(length)};
}

class StreamSession : public Connection, public std::enable_shared_from_this<StreamSession> {
 public:
  StreamSession(beast::tcp_stream stream, http::request<http::string_body> upgrade,
                Service& service, Connections& connections)
      : socket_(std::move(stream)),
        read_limit_(socket_.get_executor()),
        write_limit_(socket_.get_executor()),
        last_call_(socket_.get_executor()),
        upgrade_(std::move(upgrade)),
        service_(service),
        connections_(connections) {
    ++service_.stream_connections;
  }
  ~StreamSession() override {
    --service_.stream_connections;
    connections_.remove(this);
  }

  void start() {
    connections_.add(shared_from_this());
    websocket::stream_base::timeout limits;
    limits.handshake_timeout = seconds(service_.options().header_seconds);
    limits.idle_timeout = seconds(service_.options().idle_seconds);
    limits.keep_alive_pings = true;  // a peer that is alive is not idle
    socket_.set_option(limits);
    const auto offered = upgrade_[http::field::sec_websocket_protocol];
    const bool named = lists({offered.data(), offered.size()}, kProtocol);
    socket_.set_option(
        websocket::stream_base::decorator([named](websocket::response_type& response) {
          response.set(http::field::server, "cachectl-serve");
          if (named) response.set(http::field::sec_websocket_protocol, kProtocol);
        }));
    socket_.read_message_max(service_.options().max_body_bytes());
    socket_.async_accept(upgrade_, [self = shared_from_this()](error_code error) {
      self->service_.metrics().request("http", error ? 400 : 101);
      if (error) return self->end();
      self->open_ = true;
      if (self->service_.draining()) self->drain();
      self->read();
    });
  }

  void drain() override {
    net::post(socket_.get_executor(), [self = shared_from_this()] {
      // Queries that are on their way are still taken.
      self->last_call_.expires_after(seconds(kLastCallSeconds));
      self->last_call_.async_wait([self](error_code error) {
        if (error) return;
        self->draining_ = true;
        self->close_when_done();
      });
    });
  }

 private:
  void read() {
    if (reading_ || !open_ || outgoing_bytes_ > kOutgoingBytes) return;
    reading_ = true;
    read_piece();
  }

  // A frame comes in pieces, so that a large one takes its share of what may be buffered as it
  // grows, and a slow one has an end.
  void read_piece() {
    socket_.async_read_some(
        buffer_, kPieceBytes,
        [self = shared_from_this()](error_code error, std::size_t) { self->on_piece(error); });
  }

  void on_piece(error_code error) {
    if (error == websocket::error::message_too_big) service_.metrics().refused("frame");
    if (error) return end();
    if (!socket_.is_message_done()) {
      if (!std::exchange(in_frame_, true)) limit_reading();
      if (buffer_.size() < kPieceBytes * (shares_.size() + 1)) return read_piece();
      shares_.push_back(service_.bodies().take(kPieceBytes));
      if (shares_.back()) return read_piece();
      service_.metrics().refused("memory");
      return end();
    }
    read_limit_.cancel();
    reading_ = in_frame_ = false;
    on_frame();
    buffer_.consume(buffer_.size());
    if (!shares_.empty()) buffer_.shrink_to_fit();
    shares_.clear();
    read();
  }

  void limit_reading() {
    read_limit_.expires_after(seconds(service_.options().body_seconds));
    read_limit_.async_wait([self = shared_from_this()](error_code error) {
      if (error) return;
      self->service_.metrics().refused("timeout");
      self->end();
    });
  }

  void on_frame() {
    const Clock::time_point arrival = Clock::now();
    std::string id;
    try {
      if (draining_) throw Refusal(503, "the server is ending", 1);
      submit(arrival, id);
    } catch (const Refusal& refused) {
      service_.metrics().request("websocket", refused.status());
      send(stream_error(id, refused.status(), refused.what(), refused.retry_after()));
    } catch (const std::exception& error) {
      log::error("a frame failed: {}", error.what());
      service_.metrics().request("websocket", 500);
      send(stream_error(id, 500, "internal error", 0));
    }
  }

  void submit(Clock::time_point arrival, std::string& id) {
    const auto bytes = buffer_.cdata();
    const Frame frame =
        split_frame({static_cast<const char*>(bytes.data()), bytes.size()}, socket_.got_binary());
    const InferRequest request = read_infer_request(
        frame.json, frame.tail, *service_.models().get(), service_.limits(), &id);
    // A worker hands over its messages; the strand sends them in order.
    auto self = shared_from_this();
    const auto on_item = [self, id, all = request.probabilities](const ItemAnswer& item) {
      if (item.outcome == Outcome::kCancelled) return;
      net::post(self->socket_.get_executor(), [self, text = stream_item(id, item, all)]() mutable {
        self->send(std::move(text));
      });
    };
    auto query = std::make_shared<std::weak_ptr<Query>>();
    const auto on_end = [self, id, query, arrival](const QuerySummary& summary) {
      net::post(self->socket_.get_executor(), [self, id, query, arrival, summary] {
        self->running_.erase(query->lock());
        self->on_answered(id, arrival, summary);
      });
    };
    const std::shared_ptr<Query> submitted = service_.submit(request, arrival, {on_item, on_end});
    *query = submitted;  // before on_end's handler: that one waits for this strand
    running_.insert(submitted);
  }

  void on_answered(const std::string& id, Clock::time_point arrival, const QuerySummary& summary) {
    const int status = summary.failed > 0 ? 500 : summary.expired > 0 ? 504 : 200;
    if (summary.expired > 0) service_.metrics().refused("deadline");
    if (summary.cancelled > 0) {
      service_.metrics().refused("left");
    } else {
      service_.metrics().request("websocket", status);
      service_.metrics().request_took("websocket", Clock::now() - arrival,
                                      seconds(summary.first_milliseconds / 1000));
      send(stream_summary(id, summary));
    }
    close_when_done();
  }

  void send(std::string text) {
    if (!open_) return;
    outgoing_bytes_ += text.size();
    outgoing_.push_back(std::move(text));
    if (!writing_) write();
  }

  void write() {
    writing_ = true;
    write_limit_.expires_after(seconds(service_.options().write_seconds));
    write_limit_.async_wait([self = shared_from_this()](error_code error) {
      if (error) return;
      self->service_.metrics().refused("slow_reader");
      self->end();
    });
    socket_.text(true);
    socket_.async_write(net::buffer(outgoing_.front()),
                        [self = shared_from_this()](error_code error, std::size_t) {
                          self->writing_ = false;
                          self->write_limit_.cancel();
                          if (error) return self->end();
                          self->outgoing_bytes_ -= self->outgoing_.front().size();
                          self->outgoing_.pop_front();
                          if (!self->outgoing_.empty()) return self->write();
                          self->read();
                          self->close_when_done();
                        });
  }

  void close_when_done() {
    if (!draining_ || !open_ || !running_.empty() || writing_) return;
    open_ = false;
    socket_.async_close(websocket::close_code::going_away,
                        [self = shared_from_this()](error_code) { self->end(); });
  }

  // Nothing more is said or heard; what still waits for it is given up.
  void end() {
    open_ = false;
    for (const std::shared_ptr<Query>& query : running_) query->cancel();
    read_limit_.cancel();
    write_limit_.cancel();
    last_call_.cancel();
    beast::get_lowest_layer(socket_).close();
  }

  websocket::stream<beast::tcp_stream> socket_;
  beast::flat_buffer buffer_;
  net::steady_timer read_limit_, write_limit_, last_call_;
  std::vector<MemoryBudget::Share> shares_;  // of the frame that is being read
  const http::request<http::string_body> upgrade_;
  Service& service_;
  Connections& connections_;

  std::set<std::shared_ptr<Query>> running_;
  std::deque<std::string> outgoing_;
  std::size_t outgoing_bytes_ = 0;
  bool open_ = false, reading_ = false, in_frame_ = false, writing_ = false, draining_ = false;
};

}  // namespace

void start_stream_session(beast::tcp_stream stream, http::request<http::string_body> upgrade,
                          Service& service, Connections& connections) {
  std::make_shared<StreamSession>(std::move(stream), std::move(upgrade), service, connections)
      ->start();
}

}  // namespace cachectl::serve
