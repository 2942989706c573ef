// Where one request ends and the next begins, and what a connection is worth whose client sends ahead or has closed one
// side of it.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <thread>

#include "tests/integration/gateway_fixture.h"

namespace allod::gateway::gateway_http_connection_test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr char kHealth[] = "GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n";

int CountAnswers(const std::string& received) {
  int count = 0;
  for (std::size_t at = 0; (at = received.find("HTTP/1.1 ", at)) != std::string::npos; ++at) ++count;
  return count;
}

class GatewayConnections : public GatewayTest {
 protected:
  // Until Release() (or its caller leaves) the worker says nothing.
  void HoldWorker() {
    worker_.script = [this](grpc::ServerContext& context, const auto& request, WorkerPeer::Writer& writer) {
      Eventually([&] { return released_ || context.IsCancelled(); });
      if (!released_) return grpc::Status::CANCELLED;
      return WorkerPeer::Greet(context, request, writer);
    };
  }
  std::string ChatRequest(const std::string& more_headers = "") const {
    const std::string body = ChatBody();
    return "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer " + key_ + "\r\n" +
           more_headers + "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  std::atomic<bool> released_{false};
};

// RFC 9112 section 6: what another reader might take for the end of the request is never taken for it here.
TEST_F(GatewayConnections, ARequestWhoseEndIsInDoubtEndsTheConnection) {
  const std::string table[] = {"transfer-encoding: xchunked\r\n",
                               "transfer-encoding: identity\r\n",
                               "transfer-encoding: gzip, chunked\r\n",
                               "transfer-encoding: chunked, gzip\r\n",
                               "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
                               "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
                               "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
                               "content-length: 5\r\ntransfer-encoding: chunked\r\n",
                               "transfer-encoding: identity\r\ncontent-length: 5\r\n",
                               "content-length: 0\r\ncontent-length: 44\r\n",
                               "content-length: 0\r\ncontent-length: 0\r\n",
                               "content-length: 0, 44\r\n",
                               "content-length: -1\r\n",
                               "content-length: +0\r\n",
                               "content-length: 99999999999999999999\r\n",
                               "content-length : 0\r\n",
                               "host: other\r\n",
                               "transfer-encoding:\r\n chunked\r\n",
                               "x: a\r\n b\r\n",
                               "x: a\r\n\tb\r\n",
                               "authorization: Bearer other\r\n"};
  for (const std::string& headers : table) {
    HttpClient client(port());
    client.SendRaw("POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer " + key_ + "\r\n" +
                   headers + "\r\n" + kHealth + kHealth);
    client.CloseSending();
    const std::string received = client.ReceiveAll();
    EXPECT_THAT(received, StartsWith("HTTP/1.1 400 Bad Request\r\n")) << headers;
    EXPECT_THAT(received, HasSubstr("connection: close\r\n")) << headers;
    EXPECT_EQ(CountAnswers(received), 1) << headers << "\n" << received;
  }
  HttpClient old(port());
  old.SendRaw("POST /v1/models HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
  EXPECT_THAT(old.ReceiveAll(), StartsWith("HTTP/1.1 400 ")) << "HTTP/1.0 has no chunks";
  HttpClient nameless(port());
  nameless.SendRaw("GET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_THAT(nameless.ReceiveAll(), StartsWith("HTTP/1.1 400 ")) << "HTTP/1.1 asks for a Host";
}

TEST_F(GatewayConnections, AHostThatIsNoneEndsTheConnection) {
  for (const char* host : {"", "a b", "a/b", "user@x", "x:99999", "x:abc", "[::1", "a,b"}) {
    HttpClient client(port());
    client.SendRaw("GET /healthz HTTP/1.1\r\nhost: " + std::string(host) + "\r\n\r\n");
    EXPECT_THAT(client.ReceiveAll(), StartsWith("HTTP/1.1 400 ")) << host;
  }
  for (const char* host : {"localhost", "127.0.0.1:1", "attacker.example"}) {
    HttpClient client(gateway_->operators_port());
    client.SendRaw("GET /metrics HTTP/1.1\r\nconnection: close\r\nhost: " + std::string(host) + "\r\n\r\n");
    const bool is_ours = std::string(host) != "attacker.example";
    EXPECT_THAT(client.ReceiveAll(), StartsWith(is_ours ? "HTTP/1.1 200 " : "HTTP/1.1 400 ")) << host;
  }
}

// A head is read as it comes, byte by byte or with what follows it.
TEST_F(GatewayConnections, AHeadMayComeInPieces) {
  HttpClient client(port());
  const std::string request = kHealth;
  for (const char c : request) client.SendRaw(std::string(1, c));
  client.SendRaw(request + request);
  client.CloseSending();
  EXPECT_EQ(CountAnswers(client.ReceiveAll()), 3);
}

TEST_F(GatewayConnections, ABodyInChunksIsABodyAndItsTrailersAreNothing) {
  const std::string body = ChatBody();
  const std::string head = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ntransfer-encoding: Chunked\r\n";
  const std::string chunks = "1\r\n{\r\n" + fmt::format("{:X};x=y\r\n", body.size() - 1) + body.substr(1) +
                             "\r\n0\r\nauthorization: Bearer " + key_ + "\r\ncontent-length: 3\r\n\r\n";
  HttpClient client(port());
  client.SendRaw(head + "authorization: Bearer " + key_ + "\r\n\r\n" + chunks + kHealth);
  client.CloseSending();
  // The chat is cancelled when the client is seen to have ended; either way the next request begins where it should.
  EXPECT_THAT(client.ReceiveAll(), HasSubstr(R"({"status":"ok"})"));
  HttpClient patient(port());
  patient.SendRaw(head + "authorization: Bearer " + key_ + "\r\n\r\n" + chunks);
  EXPECT_EQ(patient.Receive().status, 200);
  HttpClient keyless(port());
  keyless.SendRaw(head + "\r\n" + chunks);
  EXPECT_EQ(keyless.Receive().status, 401) << "a key behind the body is none";
  for (const char* broken : {"x\r\n", "5\r\nhelloworld\r\n", "ffffffff\r\n", "1 \r\n{\r\n", "0\r\nno colon\r\n\r\n"}) {
    HttpClient other(port());
    other.SendRaw(head + "authorization: Bearer " + key_ + "\r\n\r\n" + broken + kHealth);
    other.CloseSending();
    EXPECT_EQ(CountAnswers(other.ReceiveAll()), 1) << broken;
  }
}

TEST_F(GatewayConnections, WhoeverClosesTheSendingSideStillGetsWhatNeedsNoComputing) {
  HttpClient client(port());
  client.SendRaw(std::string(kHealth) + kHealth + "GET /v1/models HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer " +
                 key_ + "\r\n\r\n" + "GET /nothing HTTP/1.1\r\nhost: gateway\r\n\r\n");
  client.CloseSending();
  const std::string received = client.ReceiveAll();
  EXPECT_EQ(CountAnswers(received), 4) << received;
  EXPECT_THAT(received, HasSubstr(R"("id":"assistant")"));
  EXPECT_THAT(received, HasSubstr("unknown_path"));
}

TEST_F(GatewayConnections, WhoeverClosesTheSendingSideHasLeftWhatIsBeingComputed) {
  HoldWorker();
  HttpClient client(port());
  client.SendRaw(ChatRequest());
  ASSERT_TRUE(Eventually([&] { return worker_.calls == 1; }));
  client.CloseSending();
  const auto response = client.Receive();
  EXPECT_EQ(response.status, 400) << response.body;
  EXPECT_EQ(ErrorCode(response), "sending_side_closed");
  EXPECT_TRUE(Eventually([&] { return worker_.cancelled == 1; }));
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_CLIENT_CANCELLED);
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens(), 0);
}

TEST_F(GatewayConnections, WhatIsSentFarAheadWaitsAndIsAnsweredInOrder) {
  HoldWorker();
  HttpClient client(port());
  constexpr int kAhead = 6000;  // 250 KiB
  std::thread sender([&] {
    std::string ahead = ChatRequest();
    for (int i = 0; i < kAhead; ++i) ahead += kHealth;
    EXPECT_TRUE(client.SendRaw(ahead + ChatRequest("connection: close\r\n")));
  });
  EXPECT_TRUE(Eventually([&] { return worker_.calls == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(worker_.cancelled, 0) << "it was cut off for what it sent ahead";
  released_ = true;
  const std::string received = client.ReceiveAll();
  sender.join();
  EXPECT_EQ(CountAnswers(received), kAhead + 2);
  const std::size_t first = received.find("asubuhi");
  EXPECT_LT(first, received.find(R"({"status":"ok"})"));
  EXPECT_GT(received.rfind("asubuhi"), received.rfind(R"({"status":"ok"})"));
}

TEST_F(GatewayConnections, ALeavingIsNoticedBehindWhatWasSentFarAhead) {
  HoldWorker();
  HttpClient client(port());
  std::string ahead = ChatRequest();
  for (int i = 0; i < 2500; ++i) ahead += kHealth;  // more than is read ahead, less than sockets take
  ASSERT_TRUE(client.SendRaw(ahead));
  ASSERT_TRUE(Eventually([&] { return worker_.calls == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  client.Reset();
  EXPECT_TRUE(Eventually([&] { return worker_.cancelled == 1; }));
}

}  // namespace
}  // namespace allod::gateway::gateway_http_connection_test
