// What a client can make the gateway hold before its request is complete, and in which forms a body may come.
#include <gmock/gmock.h>
#include <zlib.h>

#include <thread>

#include "tests/integration/gateway_program_fixture.h"

namespace allod::gateway::gateway_http_body_test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using SteadyClock = std::chrono::steady_clock;

std::string Head(const std::string& key, std::size_t bytes, const std::string& more = "", const char* version = "1.1") {
  return std::string("POST /v1/chat/completions HTTP/") + version + "\r\nhost: gateway\r\n" +
         (key.empty() ? "" : "authorization: Bearer " + key + "\r\n") + more +
         "content-length: " + std::to_string(bytes) + "\r\n\r\n";
}

std::string Gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class GatewayBodies : public GatewayTest {};

TEST_F(GatewayBodies, WithoutAKeyTheHeadIsEnoughForA401) {
  for (const std::string& key : {std::string(), std::string("sk-junk"), FormatApiKey(NewApiKey())}) {
    HttpClient client(port());
    client.SendRaw(Head(key, 1 << 20));  // and nothing of the body
    const auto start = SteadyClock::now();
    const auto response = client.Receive();
    EXPECT_EQ(response.status, 401);
    EXPECT_THAT(response.head, HasSubstr("connection: close"));
    EXPECT_LT(SteadyClock::now() - start, std::chrono::seconds(5));
  }
  HttpClient unknown(port());
  unknown.SendRaw("POST /nothing HTTP/1.1\r\nhost: gateway\r\ncontent-length: 1000\r\n\r\n");
  EXPECT_EQ(unknown.Receive().status, 404) << "nor is a body read that nothing takes";
  HttpClient open(port());
  open.SendRaw("GET /healthz HTTP/1.1\r\nhost: gateway\r\ncontent-length: 1000\r\n\r\n");
  EXPECT_EQ(open.Receive().status, 400);
}

TEST_F(GatewayBodies, ABodyThatDoesNotComeIsGivenUp) {
  adjust_ = [](GatewayConfig& config) { config.http.body_timeout_ms = 300; };
  RestartGateway();
  HttpClient client(port());
  client.SendRaw(Head(key_, 1000) + "{");
  std::thread dribble([&] {
    while (client.SendRaw(" ")) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  const auto response = client.Receive();
  EXPECT_EQ(response.status, 408) << "however steadily it drips";
  EXPECT_EQ(ErrorCode(response), "request_timeout");
  client.ReceiveAll();
  dribble.join();
}

TEST_F(GatewayBodies, OneKeyAndOneTenantCannotTakeTheWholeBudget) {
  adjust_ = [](GatewayConfig& config) { config.body_bytes_in_flight_max = 8 << 20; };
  tenancy_server_.reset();
  const std::string second = tenancy_.AddKey(kProject, {});
  const std::string third = tenancy_.AddKey(kProject, {});
  const std::string stranger = tenancy_.AddKey("tenants/tz/projects/services", {});
  StartPeer(tenancy_server_, "tenancy", {&tenancy_, &projects_, &identities_});
  RestartGateway();
  std::vector<std::unique_ptr<HttpClient>> slow;
  const auto hold = [&](const std::string& key) {
    slow.push_back(std::make_unique<HttpClient>(port()));
    slow.back()->SendRaw(Head(key, 1 << 20, "expect: 100-continue\r\n"));
    return slow.back()->ReadUntil("HTTP/1.1 ") && slow.back()->ReadUntil("\r\n\r\n");
  };
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(hold(key_));
  const auto refused = Fetch(port(), "POST", "/v1/chat/completions", key_, std::string(1 << 20, ' '));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(ErrorCode(refused), "bodies_in_flight");
  EXPECT_THAT(refused.head, HasSubstr("retry-after: 1\r\n"));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(hold(second));
  const auto tenant = Fetch(port(), "POST", "/v1/chat/completions", third, std::string(1 << 20, ' '));
  EXPECT_EQ(ErrorCode(tenant), "bodies_in_flight") << "more keys are not more room";
  EXPECT_EQ(Fetch(port(), "POST", "/v1/chat/completions", stranger, ChatBody()).status, 404) << "was read";
  // Those that were let in are served to their end.
  for (auto& client : slow) {
    ASSERT_TRUE(client->SendRaw(std::string(1 << 20, ' ')));
    ASSERT_TRUE(client->ReadUntil("HTTP/1.1 400")) << "an empty body is no JSON, but it was read";
  }
  EXPECT_EQ(Chat().status, 200);
}

TEST_F(GatewayBodies, AnExpectationIsMetInAnyCaseOnceTheHeadIsGood) {
  const std::string body = ChatBody();
  for (const char* expect : {"expect: 100-continue\r\n", "Expect: 100-Continue\r\n"}) {
    HttpClient client(port());
    client.SendRaw(Head(key_, body.size(), expect));
    ASSERT_TRUE(client.ReadUntil("HTTP/1.1 100 Continue\r\n\r\n")) << expect;
    client.SendRaw(body);
    EXPECT_TRUE(client.ReadUntil("HTTP/1.1 200 OK")) << expect;
  }
  HttpClient old(port());
  old.SendRaw(Head(key_, body.size(), "expect: 100-continue\r\n", "1.0") + body);
  EXPECT_THAT(old.ReceiveAll(), StartsWith("HTTP/1.1 200 ")) << "HTTP/1.0 knows no 100";
  HttpClient keyless(port());
  keyless.SendRaw(Head("", body.size(), "expect: 100-continue\r\n"));
  EXPECT_EQ(keyless.Receive().status, 401) << "is not asked for its body";
  HttpClient large(port());
  large.SendRaw(Head(key_, 2 << 20, "expect: 100-continue\r\n"));
  EXPECT_EQ(large.Receive().status, 413);
  HttpClient odd(port());
  odd.SendRaw(Head(key_, body.size(), "expect: wonders\r\n"));
  EXPECT_EQ(odd.Receive().status, 417);
}

TEST_F(GatewayBodies, CompressedBodiesAreExpandedWithinTheLimit) {
  const auto send = [&](const std::string& body, const std::string& encoding) {
    return Fetch(port(), "POST", "/v1/chat/completions", key_, body, "content-encoding: " + encoding + "\r\n");
  };
  EXPECT_EQ(send(Gzip(ChatBody()), "gzip").status, 200);
  EXPECT_EQ(send(ChatBody(), "identity").status, 200);
  const auto bomb = send(Gzip(std::string(100 << 20, ' ')), "gzip");
  EXPECT_EQ(bomb.status, 413);
  EXPECT_THAT(bomb.body, HasSubstr("expands"));
  const auto damaged = send(Gzip(ChatBody()).substr(0, 20), "gzip");
  EXPECT_EQ(damaged.status, 400);
  EXPECT_EQ(ErrorCode(damaged), "invalid_encoding");
  for (const char* other : {"br", "zstd", "gzip, gzip"}) {
    const auto refused = send(ChatBody(), other);
    EXPECT_EQ(refused.status, 415) << other;
    EXPECT_EQ(ErrorCode(refused), "unsupported_content_encoding");
    EXPECT_THAT(refused.head, HasSubstr("accept-encoding: gzip, deflate, identity\r\n"));
  }
}

class GatewayBodiesOfStrangers : public GatewayProgramTest {};

TEST_F(GatewayBodiesOfStrangers, HoldNoMemoryAndOthersAreServed) {
  int port = 0;
  const auto program = StartProgram("gateway.log", port);
  ASSERT_EQ(Fetch(port, "POST", "/v1/chat/completions", key_, ChatBody()).status, 200);
  const std::int64_t before = OwnMemoryBytes(program->pid());
  if (before == 0) GTEST_SKIP() << "needs CAP_SYS_PTRACE to see what a confined process uses";
  constexpr int kStrangers = 200;
  std::vector<std::unique_ptr<HttpClient>> strangers;
  std::int64_t most = 0;
  for (int i = 0; i < kStrangers; ++i) {
    strangers.push_back(std::make_unique<HttpClient>(port));
    strangers.back()->SendRaw(Head("", 1 << 20) + std::string(900 << 10, ' '));
    if (i % 20 == 19) most = std::max(most, OwnMemoryBytes(program->pid()));
  }
  EXPECT_EQ(Fetch(port, "POST", "/v1/chat/completions", key_, ChatBody()).status, 200);
  most = std::max(most, OwnMemoryBytes(program->pid()));
  for (auto& stranger : strangers) EXPECT_EQ(stranger->Receive().status, 401);
  printf("%d unfinished bodies of 900 KiB without a key: %lld KiB more\n", kStrangers,
         static_cast<long long>((most - before) >> 10));
  EXPECT_LT(most - before, 16 << 20);
}

}  // namespace
}  // namespace allod::gateway::gateway_http_body_test
