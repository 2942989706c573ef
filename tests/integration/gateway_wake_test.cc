// Workers that sleep: who waits for them, how long, and who wakes them.
#include <gmock/gmock.h>

#include "tests/integration/gateway_fixture.h"
#include "tests/integration/gateway_sleeping_worker.h"

namespace allod::gateway::gateway_wake_test {
namespace {

using testing::HasSubstr;
using testing::Not;

class GatewayWake : public GatewayTest {
 protected:
  void SetUp() override {
    GatewayTest::SetUp();
    sleeper_ = std::make_unique<SleepingWorker>((directory_ / "sleeper.sock").string(), worker_);
    routes_.SetTargets({Target("sleeper")});
    // A request that finds the route's old worker would be answered by it.
    worker_server_.reset();
  }
  void TearDown() override {
    GatewayTest::TearDown();
    sleeper_.reset();
  }
  std::unique_ptr<HttpClient> StartChat(const std::string& more = "") {
    auto client = std::make_unique<HttpClient>(port());
    client->Send("POST", "/v1/chat/completions", key_, ChatBody(more));
    return client;
  }

  std::unique_ptr<SleepingWorker> sleeper_;
};

TEST_F(GatewayWake, ARequestWakesTheWorkerAndIsAnswered) {
  const auto client = StartChat();
  ASSERT_TRUE(Eventually([&] { return sleeper_->Knocked(); }));
  sleeper_->Wake();
  const auto response = client->Receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr("asubuhi"));
  EXPECT_EQ(worker_.calls, 1);
  EXPECT_EQ(sleeper_->connections, 1) << "the connection that knocked is the one that is used";
}

TEST_F(GatewayWake, AStreamGetsCommentsWhileItWaits) {
  const auto client = StartChat(R"(,"stream":true)");
  ASSERT_TRUE(client->ReadUntil(": keep-alive\n\n"));
  sleeper_->Wake();
  const auto response = client->Receive();
  EXPECT_TRUE(response.complete);
  EXPECT_THAT(response.body, HasSubstr("data: [DONE]"));
}

TEST_F(GatewayWake, NobodyWaitsLongerThanTheLimit) {
  wake_wait_ms_ = 200;
  RestartGateway();
  for (const bool stream : {false, true}) {
    const auto response = Chat(stream ? R"(,"stream":true)" : "");
    if (!stream) {
      EXPECT_EQ(response.status, 503);
      EXPECT_EQ(ErrorCode(response), "no_ready_replica");
      EXPECT_THAT(response.head, HasSubstr("retry-after: 2"));
      EXPECT_THAT(response.head, HasSubstr("retry-after-ms: 2000"));
    } else {
      EXPECT_FALSE(response.complete) << "comments were sent, so the head was: a failed stream never ends cleanly";
      EXPECT_THAT(response.body, HasSubstr(R"("code":"no_ready_replica")"));
    }
  }
  EXPECT_TRUE(Eventually([&] { return billing_.Settled().size() == 2; }));
  for (const auto& settled : billing_.Settled()) EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_FAULT);
}

TEST_F(GatewayWake, OnlySoManyWait) {
  waiting_per_instance_max_ = 2;
  wake_wait_ms_ = 5000;
  RestartGateway();
  const auto first = StartChat();
  const auto second = StartChat();
  ASSERT_TRUE(Eventually([&] {
    return Metrics().body.find("allod_gateway_waiting_requests{gen_ai_request_model=\"" + std::string(kInstance) +
                               "\"} 2") != std::string::npos;
  }));
  const auto third = Chat(R"(,"stream":true)");
  EXPECT_EQ(third.status, 503);
  EXPECT_EQ(ErrorCode(third), "too_many_waiting");
  EXPECT_THAT(third.head, HasSubstr("retry-after-ms: "));
  sleeper_->Wake();
  EXPECT_EQ(first->Receive().status, 200);
  EXPECT_EQ(second->Receive().status, 200);
}

TEST_F(GatewayWake, LeavesASleepingWorkerAloneUntilTheNextRequest) {
  sleeper_->Wake();
  EXPECT_EQ(Chat().status, 200);
  sleeper_->Sleep();
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_FALSE(sleeper_->Knocked()) << "the gateway connected although nobody asked for anything";
  const auto client = StartChat();
  ASSERT_TRUE(Eventually([&] { return sleeper_->Knocked(); }));
  sleeper_->Wake();
  EXPECT_EQ(client->Receive().status, 200);
  EXPECT_EQ(sleeper_->connections, 2);
}

TEST_F(GatewayWake, AWorkerThatEndsBeforeItStartedIsWokenAgain) {
  worker_.script = [this](grpc::ServerContext& context, const auto& request, WorkerPeer::Writer& writer) {
    if (worker_.calls == 1) {
      return ToGrpc(Error{Code::kUnavailable, "ENGINE_STOPPED", "the worker is stopping; try again"});
    }
    return WorkerPeer::Greet(context, request, writer);
  };
  sleeper_->Wake();
  const auto response = Chat();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(worker_.calls, 2);
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_COMPLETED);
}

TEST_F(GatewayWake, ASharedWorkerThatDoesNotKnowItsNewMemberYetIsAskedAgain) {
  worker_.script = [this](grpc::ServerContext& context, const auto& request, WorkerPeer::Writer& writer) {
    if (worker_.calls < 3) return ToGrpc(Error{Code::kNotFound, "UNKNOWN_INSTANCE", "no such member"});
    return WorkerPeer::Greet(context, request, writer);
  };
  sleeper_->Wake();
  EXPECT_EQ(Chat().status, 200);
  EXPECT_EQ(worker_.calls, 3);
}

TEST_F(GatewayWake, ARequestThatKillsItsWorkerIsNotTriedForLong) {
  worker_.script = [](grpc::ServerContext&, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  };
  sleeper_->Wake();
  const auto response = Chat();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(ErrorCode(response), "worker_lost");
  EXPECT_EQ(worker_.calls, 2);
}

TEST_F(GatewayWake, AClientThatLeavesWhileItWaitsIsCancelled) {
  auto client = StartChat(R"(,"stream":true)");
  ASSERT_TRUE(Eventually([&] { return sleeper_->Knocked(); }));
  client->Close();
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_CLIENT_CANCELLED);
  EXPECT_EQ(worker_.calls, 0);
}

TEST_F(GatewayWake, AReplicaWithAFullQueueIsNotWaitedFor) {
  worker_.script = [](grpc::ServerContext&, const auto&, WorkerPeer::Writer&) {
    return ToGrpc(Error{Code::kResourceExhausted, "QUEUE_FULL", "the queue is full"});
  };
  sleeper_->Wake();
  const auto response = Chat();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(ErrorCode(response), "overloaded");
  EXPECT_THAT(response.head, HasSubstr("retry-after: "));
  EXPECT_EQ(worker_.calls, 1);
}

}  // namespace
}  // namespace allod::gateway::gateway_wake_test
