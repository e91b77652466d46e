#include "serve/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "base/error.h"
#include "serve/plan_watcher.h"
#include "unit/serve/running_server.h"

namespace cachectl::serve {
namespace {

using namespace std::chrono_literals;
using namespace test;
using testing::HasSubstr;
using testing::StartsWith;

std::string answer_to(RunningServer& server, const std::string& bytes) {
  RawClient client(server.port());
  client.send(bytes);
  client.end_sending();
  return client.receive_all();
}

// Until it holds, for ten seconds at most.
bool soon(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(10ms);
  return condition();
}

void open_stream(RawClient& client) {
  client.send(handshake());
  EXPECT_THAT(client.receive_until("\r\n\r\n"), StartsWith("HTTP/1.1 101"));
}

double seconds_since(Clock::time_point start) {
  return seconds_of(Clock::now() - start);
}

TEST(Server, AnswersPipelinedRequestsInTheirOrder) {
  RunningServer server;
  RawClient client(server.port());
  client.send(http("GET /v2") + http(kInfer, infer_json(2, R"("id": "one", )")) +
              http("GET /v2/health/live") + http(kInfer, infer_json(1, R"("id": "two", )")) +
              http("GET /nothing", "", "Connection: close\r\n"));
  const std::string all = client.receive_all();
  const std::size_t server_at = all.find("cachectl-serve\",\"version\""), one = all.find("\"one\""),
                    two = all.find("\"two\""), none = all.find("404 Not Found");
  EXPECT_LT(server_at, one);
  EXPECT_LT(one, two);
  EXPECT_LT(two, none);
  EXPECT_NE(none, std::string::npos);
}

TEST(Server, WhatIsTooLargeIsRefused) {
  RunningServer server([](Options& options) {
    options.max_body_mb = 0.1;
    options.buffered_mb = 0.15;
  });
  EXPECT_THAT(answer_to(server, http(kInfer, "", "Content-Length: 200000\r\n")),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(answer_to(server, http("GET /v2", "", "X: " + std::string(20'000, 'x') + "\r\n")),
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(answer_to(server, http("GET /v2", std::string(50'000, 'x'))),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(answer_to(server, "nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  std::string chunks;
  for (int i = 0; i < 200; ++i) chunks += "400\r\n" + std::string(1024, ' ') + "\r\n";
  EXPECT_THAT(
      answer_to(server, http(kInfer, "", "Transfer-Encoding: chunked\r\n") + chunks + "0\r\n\r\n"),
      StartsWith("HTTP/1.1 413"));

  // Two bodies are more than may be read at once: the second has to come again.
  RawClient first(server.port());
  first.send(http(kInfer, "", "Content-Length: 90000\r\nExpect: 100-continue\r\n"));
  EXPECT_THAT(first.receive_until("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  const std::string second = answer_to(server, http(kInfer, "", "Content-Length: 90000\r\n"));
  EXPECT_THAT(second, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(second, HasSubstr("Retry-After: "));
}

TEST(Server, LargeFramesShareWhatMayBeBuffered) {
  RunningServer server([](Options& options) {
    options.max_body_mb = 0.5;
    options.buffered_mb = 0.5;
    options.body_seconds = 30;
  });
  RawClient first(server.port()), second(server.port());
  open_stream(first);
  open_stream(second);
  const std::string frame_text = frame(std::string(500'000, ' '));
  first.send(frame_text.substr(0, 450'000));
  ASSERT_TRUE(soon([&] { return !server.service().bodies().take(200'000); }));
  second.send(frame_text.substr(0, 450'000));
  EXPECT_EQ(second.receive_all(), "");  // closed
  EXPECT_EQ(server.metric("cachectl_refused_total{reason=\"memory\"}"), "1");
  first.send(frame_text.substr(450'000));
  EXPECT_THAT(first.receive_until("}"), HasSubstr("\"status\":400"));
  EXPECT_TRUE(soon([&] { return bool(server.service().bodies().take(500'000)); }));
  first.send(frame(std::string(600'000, ' ')));
  first.receive_all();
  EXPECT_TRUE(
      soon([&] { return server.metric("cachectl_refused_total{reason=\"frame\"}") == "1"; }));
}

TEST(Server, AFullQueueIsSaidWithWhenToRetry) {
  RunningServer server([](Options& options) {
    options.queue_items = 4;
    options.max_items = 4;
    options.delay_ms = 3000;
  });
  RawClient waiting(server.port());
  waiting.send(http(kInfer, infer_json(3)));
  ASSERT_TRUE(soon([&] { return server.service().batcher().queued() == 3; }));
  const std::string refused = answer_to(server, http(kInfer, infer_json(2)));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(refused, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_THAT(waiting.receive_until("]}"), StartsWith("HTTP/1.1 200"))
      << waiting.end() << ", left: " << server.metric("cachectl_refused_total{reason=\"left\"}");
  EXPECT_EQ(server.metric("cachectl_refused_total{reason=\"queue\"}"), "1");
}

TEST(Server, DeadlinesThatPassAreSaid) {
  RunningServer server([](Options& options) { options.workers = 1; });
  const std::string late = R"("parameters": {"deadline_ms": 0.0001}, )";
  RawClient client(server.port());
  client.send(http(kInfer, infer_json(2, late)));
  EXPECT_THAT(client.receive_until("}"), StartsWith("HTTP/1.1 504"));
  RawClient stream(server.port());
  open_stream(stream);
  stream.send(frame(infer_json(2, late)));
  const std::string said = stream.receive_until("\"summary\":{");
  EXPECT_THAT(said, HasSubstr("\"status\":504"));
  EXPECT_THAT(stream.receive_until("}}"), HasSubstr("\"expired\":2"));
}

TEST(Server, ConnectionsBeyondTheLimitAreTold) {
  RunningServer server([](Options& options) { options.connections = 2; });
  RawClient one(server.port()), two(server.port());
  one.send(http("GET /v2"));
  one.receive_until("}");
  two.send(http("GET /v2"));
  two.receive_until("}");
  EXPECT_THAT(answer_to(server, http("GET /v2")), StartsWith("HTTP/1.1 503"));
}

TEST(Server, SlowAndSilentConnectionsAreClosed) {
  RunningServer server([](Options& options) {
    options.header_seconds = 0.3;
    options.body_seconds = 0.3;
    options.idle_seconds = 0.6;
  });
  for (const std::string& start :
       {std::string(), std::string("GET /v2 HT"), http(kInfer, "", "Content-Length: 100\r\n") + "{",
        handshake(), frame("{\"a").substr(0, 5)}) {
    RawClient client(server.port());
    if (start.substr(0, 1) == "\x81") open_stream(client);
    client.send(start);
    const Clock::time_point sent = Clock::now();
    client.receive_all();  // up to the end that the server makes
    EXPECT_LT(seconds_since(sent), 8) << start.substr(0, 20);
  }
  EXPECT_TRUE(soon([&] {
    return server.service().http_connections == 0 && server.service().stream_connections == 0;
  }));
}

TEST(Server, AReaderThatDoesNotReadIsCutOff) {
  RunningServer server([](Options& options) { options.write_seconds = 0.5; });
  RawClient client(server.port(), 4096);
  open_stream(client);
  // Each is answered with a refusal that nobody takes.
  std::string bad;
  for (int i = 0; i < 20'000; ++i) bad += frame("{");
  std::size_t sent = 0;
  const bool cut = soon([&] {
    while (const std::size_t some = client.send_some(bad.substr(sent))) {
      sent = (sent + some) % bad.size();
    }
    return server.metric("cachectl_refused_total{reason=\"slow_reader\"}") == "1";
  });
  EXPECT_TRUE(cut);
  EXPECT_TRUE(soon([&] { return server.service().stream_connections == 0; }));
}

TEST(Server, WhoLeavesIsNotComputedFor) {
  RunningServer server([](Options& options) { options.delay_ms = 700; });
  {
    RawClient http_client(server.port()), stream(server.port());
    http_client.send(http(kInfer, infer_json(2)));
    open_stream(stream);
    stream.send(frame(infer_json(3)));
    ASSERT_TRUE(soon([&] { return server.service().batcher().queued() == 5; }));
  }
  EXPECT_TRUE(soon([&] { return server.service().batcher().queued() == 0; }));
  EXPECT_TRUE(
      soon([&] { return server.metric("cachectl_refused_total{reason=\"left\"}") == "2"; }));
  EXPECT_EQ(server.metrics().find("cachectl_exits_total{"), std::string::npos);
}

TEST(Server, EndingAnswersWhatWasAccepted) {
  RunningServer server([](Options& options) { options.delay_ms = 500; });
  RawClient waiting(server.port()), idle(server.port()), stream(server.port());
  waiting.send(http(kInfer, infer_json(2)));
  idle.send(http("GET /v2"));
  idle.receive_until("}");
  open_stream(stream);
  stream.send(frame(infer_json(3)));
  ASSERT_TRUE(soon([&] { return server.service().batcher().queued() == 5; }));
  const RawClient in_the_kernel(server.port());
  EXPECT_TRUE(server.drain());
  const std::string answered = waiting.receive_all();
  EXPECT_THAT(answered, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answered, HasSubstr("Connection: close"));
  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_THAT(stream.receive_all(), HasSubstr("\"answered\":3"));
}

TEST(Server, ReadinessEndsWithTheDraining) {
  RunningServer server([](Options& options) { options.delay_ms = 600; });
  RawClient waiting(server.port()), asking(server.port());
  waiting.send(http(kInfer, infer_json(1)));
  asking.send(http("GET /v2/health/ready"));
  EXPECT_THAT(asking.receive_until("{\"ready\":true}"), StartsWith("HTTP/1.1 200"));
  server.service().start_draining();
  asking.send(http("GET /v2/health/ready"));
  EXPECT_THAT(asking.receive_all(), StartsWith("HTTP/1.1 503"));
}

TEST(Server, AsksForTheToken) {
  const Scratch scratch;
  std::ofstream(scratch.path("token")) << "0123456789";
  RunningServer server({}, Access::from_file(scratch.path("token")));
  const std::string token = "Authorization: Bearer 0123456789\r\n";
  const std::string refused = answer_to(server, http(kInfer, infer_json(1)));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(refused, HasSubstr("WWW-Authenticate: Bearer"));
  EXPECT_THAT(answer_to(server, http("GET /metrics")), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(answer_to(server, handshake()), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(answer_to(server, http("GET /v2/health/live")), StartsWith("HTTP/1.1 200"));
  RawClient allowed(server.port());
  allowed.send(http(kInfer, infer_json(1), token + "Connection: close\r\n"));
  EXPECT_THAT(allowed.receive_all(), StartsWith("HTTP/1.1 200"));
  RawClient browser(server.port());
  browser.send(handshake("Sec-WebSocket-Protocol: cachectl, bearer.MDEyMzQ1Njc4OQ\r\n"));
  const std::string upgraded = browser.receive_until("\r\n\r\n");
  EXPECT_THAT(upgraded, StartsWith("HTTP/1.1 101"));
  EXPECT_THAT(upgraded, HasSubstr("Sec-WebSocket-Protocol: cachectl\r\n"));
}

TEST(Server, APlanThatCanNotBeTakenLeavesTheOldOne) {
  RunningServer server([](Options& options) { options.watch_seconds = 0.02; });
  const auto hash = [&] { return server.service().models().get()->facts().hash; };
  const std::string first = hash();
  PlanWatcher watcher(server.service());

  std::ofstream(server.served().plan_path(), std::ios::trunc) << "no plan";
  EXPECT_TRUE(soon(
      [&] { return server.metric("cachectl_plan_reloads_total{result=\"kept_old\"}") == "1"; }));
  EXPECT_EQ(hash(), first);

  const CachedBackbone another(7);
  CommonOptions common;
  common.force = true;
  artifact::write_plan(server.served().plan_path(),
                       another.plan(CachedBackbone::layers(), {0.5, 0.5, 0.5}), common, {});
  EXPECT_TRUE(soon(
      [&] { return server.metric("cachectl_plan_reloads_total{result=\"kept_old\"}") == "2"; }));
  EXPECT_EQ(hash(), first);

  server.served().write_plan({0, 0, 0});
  EXPECT_TRUE(
      soon([&] { return server.metric("cachectl_plan_reloads_total{result=\"taken\"}") == "1"; }));
  EXPECT_NE(hash(), first);
  RawClient client(server.port());
  client.send(http(kInfer, infer_json(3), "Connection: close\r\n"));
  EXPECT_THAT(client.receive_all(), HasSubstr("\"exits\":\"relu@1,relu@1,relu@1\""));
  watcher.look();
  EXPECT_TRUE(
      soon([&] { return server.metric("cachectl_plan_reloads_total{result=\"taken\"}") == "2"; }));
}

TEST(Server, AnAddressInUseIsNamed) {
  RunningServer server;
  Served other;
  other.options.port = server.port();
  Service service(other.options, other.load(), {});
  try {
    const Server second(service);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kCannotOpen);
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(server.port())));
  }
}

}  // namespace
}  // namespace cachectl::serve
