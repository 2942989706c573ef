// More connections than there are places: who makes way, who stays, and what the others are told.
#include <gmock/gmock.h>

#include "tests/integration/gateway_fixture.h"

namespace allod::gateway::gateway_crowd_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;

constexpr int kPlaces = 4;
using Clients = std::vector<std::unique_ptr<HttpClient>>;

class GatewayCrowd : public GatewayTest {
 protected:
  // Starts anew with few places, in all or from one address, and waits until none is taken.
  void StartWith(const std::function<void(http::ServerConfig&)>& change) {
    adjust_ = [change](GatewayConfig& config) { change(config.http); };
    RestartGateway();
    ASSERT_TRUE(Eventually([&] { return HasSubstrOf(Metrics().body, "\nallod_gateway_connections 0\n"); }));
  }
  static bool HasSubstrOf(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

  // Connections without a byte, in order.
  Clients Squat(int count) {
    Clients out;
    for (int i = 0; i < count; ++i) {
      out.push_back(std::make_unique<HttpClient>(port()));
      EXPECT_TRUE(Eventually([&] {
        return HasSubstrOf(Metrics().body, ("\nallod_gateway_connections " + std::to_string(i + 1) + "\n").c_str());
      }));
    }
    return out;
  }
  // Until released_ the worker says nothing.
  Clients KeepBusy(int count) {
    worker_.script = [this](grpc::ServerContext& context, const auto& request, WorkerPeer::Writer& writer) {
      Eventually([&] { return released_ || context.IsCancelled(); });
      return WorkerPeer::Greet(context, request, writer);
    };
    Clients out;
    for (int i = 0; i < count; ++i) {
      out.push_back(std::make_unique<HttpClient>(port()));
      out.back()->Send("POST", "/v1/chat/completions", key_, ChatBody());
    }
    EXPECT_TRUE(Eventually([&] { return worker_.calls == count; }));
    return out;
  }

  std::atomic<bool> released_{false};
};

TEST_F(GatewayCrowd, SilentStrangersMakeWayForWhoeverComes) {
  for (const bool by_address : {false, true}) {
    StartWith([by_address](http::ServerConfig& http) {
      (by_address ? http.connections_per_address_max : http.connections_max) = kPlaces;
    });
    Clients squatters = Squat(kPlaces);
    EXPECT_EQ(Chat().status, 200);
    EXPECT_EQ(squatters.front()->ReceiveAll(), "") << "who was silent for longest is gone";
    squatters.back()->Send("GET", "/healthz", "");
    EXPECT_EQ(squatters.back()->Receive().status, 200) << "and nobody else";
  }
}

TEST_F(GatewayCrowd, StrangersWhoWereAnsweredMakeWayBeforeIdleClients) {
  StartWith([](http::ServerConfig& http) { http.connections_max = kPlaces; });
  HttpClient client(port());
  client.Send("GET", "/v1/models", key_);
  EXPECT_EQ(client.Receive().status, 200);
  Clients strangers;
  for (int i = 0; i < kPlaces + 2; ++i) {
    strangers.push_back(std::make_unique<HttpClient>(port()));
    strangers.back()->Send("GET", i % 2 == 0 ? "/v1/models" : "/healthz", "");
    EXPECT_EQ(strangers.back()->Receive().status, i % 2 == 0 ? 401 : 200);
  }
  client.Send("GET", "/v1/models", key_);
  EXPECT_EQ(client.Receive().status, 200) << "its connection was kept";
}

TEST_F(GatewayCrowd, RequestsInProgressAreNotCutAndWhoIsRefusedIsTold) {
  for (const bool by_address : {false, true}) {
    released_ = false;
    worker_.calls = 0;
    StartWith([by_address](http::ServerConfig& http) {
      (by_address ? http.connections_per_address_max : http.connections_max) = kPlaces;
    });
    Clients busy = KeepBusy(kPlaces);
    // What it sends is not read by anybody who would answer it; its answer comes all the same.
    HttpClient newcomer(port());
    newcomer.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"user":")" + std::string(200'000, 'x') + "\""));
    const auto refused = newcomer.Receive();
    EXPECT_EQ(refused.status, 503);
    EXPECT_EQ(ErrorCode(refused), "too_many_connections");
    EXPECT_THAT(refused.head, HasSubstr("retry-after: 1\r\n"));
    released_ = true;
    for (const auto& client : busy) EXPECT_EQ(client->Receive().status, 200);
    worker_.script = WorkerPeer::Greet;
    // The gateway may be a moment behind a client that has its whole answer.
    EXPECT_TRUE(Eventually([&] { return Chat().status == 200; })) << "clients between two requests make way";
  }
}

TEST_F(GatewayCrowd, SilenceIsGivenNoMoreTimeThanAHead) {
  constexpr int kHeaderTimeoutMs = 300;
  StartWith([](http::ServerConfig& http) { http.header_timeout_ms = kHeaderTimeoutMs; });
  const auto start = steady_clock::now();
  HttpClient silent(port());
  HttpClient slow(port());
  HttpClient client(port());
  client.Send("GET", "/v1/models", key_);
  EXPECT_EQ(client.Receive().status, 200);
  slow.SendRaw("GET ");
  EXPECT_EQ(silent.ReceiveAll(), "");
  EXPECT_THAT(slow.ReceiveAll(), HasSubstr("408"));
  const auto waited = steady_clock::now() - start;
  EXPECT_GE(waited, milliseconds(kHeaderTimeoutMs));
  EXPECT_LT(waited, milliseconds(10'000));
  client.Send("GET", "/v1/models", key_);
  EXPECT_EQ(client.Receive().status, 200) << "who had an answer may be idle for longer";
}

}  // namespace
}  // namespace allod::gateway::gateway_crowd_test
