// Requests and frames that are broken at random. The server must answer or close, keep its
// memory, and serve the next one as if nothing had been.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "serve/process.h"
#include "unit/serve/running_server.h"

namespace cachectl::serve {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::StartsWith;

// One to four small damages: bytes changed, cut out, doubled, put in, or the end cut off.
std::string broken(std::string text, Rng& rng) {
  static const std::vector<std::string> insertions = {"\"",
                                                      "[",
                                                      "{",
                                                      "}",
                                                      "]",
                                                      "\r\n",
                                                      "\r\n\r\n",
                                                      std::string(1, '\0'),
                                                      "\xff",
                                                      "1e999",
                                                      "-1",
                                                      "null",
                                                      ":",
                                                      "%00",
                                                      "\\ud800",
                                                      "99999999999999999999",
                                                      "[[[[[[",
                                                      "{\"a\":",
                                                      "Content-Length: 5\r\n",
                                                      "Transfer-Encoding: chunked\r\n",
                                                      "0\r\n\r\n"};
  const std::uint64_t damages = 1 + rng.below(4);
  for (std::uint64_t i = 0; i < damages && !text.empty(); ++i) {
    // The start holds what is parsed; a tensor's middle seldom matters.
    const std::size_t span =
        rng.below(3) == 0 ? text.size() : std::min<std::size_t>(text.size(), 400);
    const std::size_t at = rng.below(span);
    const std::size_t count = std::min<std::size_t>(text.size() - at, 1 + rng.below(20));
    switch (rng.below(6)) {
      case 0:
        text[at] = static_cast<char>(rng.below(256));
        break;
      case 1:
        text.erase(at, count);
        break;
      case 2:
        text.insert(at, text.substr(at, count));
        break;
      case 3:
        text.insert(at, insertions[rng.below(insertions.size())]);
        break;
      case 4:
        text.resize(at);
        break;
      default:
        text[at] = static_cast<char>(text[at] ^ (1 << rng.below(8)));
        break;
    }
  }
  return text;
}

void expect_well(RunningServer& server) {
  RawClient client(server.port());
  client.send(http(kInfer, infer_json(3), "Connection: close\r\n"));
  const std::string answer = client.receive_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("\"shape\":[3,7]"));
}

TEST(MalformedRequests, AreAnsweredOrClosed) {
  RunningServer server([](Options& options) { options.max_body_mb = 1; });
  Rng rng(20261121);
  std::size_t json_bytes = 0;
  const std::string raw = infer_raw(2, json_bytes);
  const std::vector<std::string> sound = {
      http(kInfer, infer_json(1)),
      http(kInfer, infer_json(2, R"("id": "a", "parameters": {"deadline_ms": 1000}, )")),
      http(kInfer, raw, "Inference-Header-Content-Length: " + std::to_string(json_bytes) + "\r\n"),
      http("GET /v2/models/m"),
      http("GET /metrics", "", "Accept: */*\r\n"),
      http(kInfer, "", "Transfer-Encoding: chunked\r\n") + "5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n",
      handshake()};
  int answered = 0;
  for (int i = 0; i < 5000; ++i) {
    RawClient client(server.port());
    ASSERT_TRUE(client.connected()) << "request " << i;
    client.send(broken(sound[rng.below(sound.size())], rng));
    client.end_sending();
    const std::string answer = client.receive_all();
    if (answer.empty()) continue;
    ++answered;
    ASSERT_THAT(answer, StartsWith("HTTP/1.1 ")) << "request " << i;
    ASSERT_EQ(answer.find("HTTP/1.1 500"), std::string::npos) << "request " << i << ": " << answer;
    if (i % 1000 == 0) expect_well(server);
  }
  EXPECT_GT(answered, 2000) << "most were not even looked at";
  expect_well(server);
  EXPECT_TRUE(server.drain());
  EXPECT_EQ(server.service().http_connections, 0);
}

// The line in front of a chunk has no limit of its own.
TEST(MalformedRequests, AChunkWhoseSizeNeverEndsIsNotKept) {
  RunningServer server([](Options& options) { options.max_body_mb = 1; });
  RawClient client(server.port());
  client.send(http(kInfer, "", "Transfer-Encoding: chunked\r\n") + "5;" +
              std::string(1 << 20, 'a'));
  EXPECT_THAT(client.receive_all(), StartsWith("HTTP/1.1 400"));
  expect_well(server);
}

// What stands in a sound frame is broken: an answer comes each time, on the same connection.
TEST(MalformedFrames, AreAnsweredOnTheSameConnection) {
  RunningServer server([](Options& options) { options.max_body_mb = 1; });
  Rng rng(7);
  std::size_t json_bytes = 0;
  const std::string tensors = infer_raw(2, json_bytes);
  std::string binary;
  for (int shift = 0; shift < 32; shift += 8) binary += static_cast<char>(json_bytes >> shift);
  binary += tensors;
  const std::string text = infer_json(1);
  RawClient client(server.port());
  client.send(handshake());
  EXPECT_THAT(client.receive_until("\r\n\r\n"), StartsWith("HTTP/1.1 101"));
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    // A connection whose text frame is no UTF-8 is closed, as the protocol has it.
    std::string payload = broken(rng.below(2) == 0 ? text : binary, rng);
    const bool ascii = std::all_of(payload.begin(), payload.end(),
                                   [](char c) { return static_cast<unsigned char>(c) < 128; });
    ASSERT_TRUE(client.send(frame(payload, ascii ? 1 : 2))) << "frame " << i;
    // The last message of a query: its summary, or that it was refused.
    std::string said;
    do {
      said = client.receive_until("}");
      ASSERT_FALSE(said.empty()) << "frame " << i << ": closed";
    } while (said.find("\"status\":") == std::string::npos &&
             said.find("\"summary\":") == std::string::npos);
    if (said.find("\"status\":4") != std::string::npos) ++refused;
    ASSERT_EQ(said.find("\"status\":500"), std::string::npos) << said;
    if (said.find("\"summary\":") != std::string::npos) client.receive_until("}}");
  }
  EXPECT_GT(refused, 2000);
  expect_well(server);
}

// Frames themselves are broken: bad opcodes, lengths that lie, no mask.
TEST(MalformedFrames, CloseTheirConnection) {
  RunningServer server([](Options& options) {
    options.max_body_mb = 1;
    options.idle_seconds = 5;
  });
  Rng rng(8);
  for (int i = 0; i < 1000; ++i) {
    RawClient client(server.port());
    ASSERT_TRUE(client.connected());
    client.send(handshake());
    ASSERT_THAT(client.receive_until("\r\n\r\n"), StartsWith("HTTP/1.1 101"));
    const std::string whole = frame(infer_json(1)) + frame("ping", 9) + frame("\x03\xe8", 8);
    client.send(broken(whole, rng));
    client.end_sending();
    client.receive_all();
  }
  expect_well(server);
  EXPECT_TRUE(server.drain());
  EXPECT_EQ(server.service().stream_connections, 0);
}

}  // namespace
}  // namespace cachectl::serve
