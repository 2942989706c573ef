// What the gateway does about money when something is away or has died.
#include <gmock/gmock.h>

#include "tests/integration/gateway_fixture.h"

namespace allod::gateway::gateway_billing_test {
namespace {

using testing::HasSubstr;

class GatewayBilling : public GatewayTest {};

TEST_F(GatewayBilling, NothingRunsWhileBillingIsAway) {
  billing_server_.reset();
  const auto response = Chat();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(ErrorCode(response), "billing_unavailable");
  EXPECT_THAT(response.head, HasSubstr("retry-after: "));
  EXPECT_EQ(worker_.calls, 0);
}

TEST_F(GatewayBilling, WhatWasNotAdmittedLeavesNothingBehind) {
  billing_server_.reset();
  EXPECT_EQ(Chat().status, 503);
  EXPECT_EQ(gateway_->pending_settlements(), 0U);
  StartPeer(billing_server_, "billing", {&billing_});
  EXPECT_TRUE(Eventually([&] { return Chat().status == 200; }));
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens(), 3);
}

TEST_F(GatewayBilling, WhatIsLeasedIsSpentWhileBillingIsAway) {
  EXPECT_EQ(Chat().status, 200);
  ASSERT_TRUE(Eventually([&] { return billing_.Settled().size() == 1 && gateway_->pending_settlements() == 0; }));
  billing_server_.reset();
  EXPECT_EQ(Chat().status, 200) << "the lease has some more than the first needed";
  EXPECT_TRUE(Eventually([&] { return gateway_->pending_settlements() == 1; }));
  StartPeer(billing_server_, "billing", {&billing_});
  EXPECT_TRUE(Eventually([&] { return billing_.Settled().size() == 2; }));
  EXPECT_EQ(billing_.conflicts, 0);
}

TEST_F(GatewayBilling, NothingIsAdmittedFromALeaseThatIsTooOld) {
  billing_.admit_s = 0;
  EXPECT_EQ(Chat().status, 503);
  EXPECT_EQ(worker_.calls, 0);
  billing_.admit_s = 60;
  EXPECT_TRUE(Eventually([&] { return Chat().status == 200; })) << "renewed";
}

TEST_F(GatewayBilling, ALeaseThatBillingMakesTooLateIsUsedByTheNext) {
  billing_.adjust_ms = 800;  // the gateway waits 300 ms for it
  EXPECT_EQ(Chat().status, 503);
  EXPECT_EQ(worker_.calls, 0);
  billing_.adjust_ms = 0;
  EXPECT_TRUE(Eventually([&] { return Chat().status == 200; }));
  EXPECT_EQ(billing_.conflicts, 0);
}

TEST_F(GatewayBilling, AnAdjustmentWhoseAnswerIsLostIsMadeOnce) {
  billing_.lost_answers = 2;
  EXPECT_EQ(Chat().status, 200);
  EXPECT_EQ(billing_.conflicts, 0);
  EXPECT_EQ(billing_.lost_answers, 0);
}

TEST_F(GatewayBilling, ALeaseThatBillingHasEndedIsMadeAnew) {
  EXPECT_EQ(Chat().status, 200);
  EXPECT_TRUE(Eventually([&] { return gateway_->pending_settlements() == 0; }));
  billing_.ForgetLeases();
  const int before = billing_.adjust_calls;
  EXPECT_TRUE(Eventually([&] { return billing_.adjust_calls > before; })) << "it would give back what is free";
  EXPECT_EQ(Chat().status, 200);
  EXPECT_EQ(billing_.lease_count(), 1U);
  EXPECT_EQ(billing_.conflicts, 0);
}

TEST_F(GatewayBilling, AClientThatLeavesWhileMoneyIsLeasedLeavesNothingOpen) {
  billing_.adjust_ms = 50;
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody());
  ASSERT_TRUE(Eventually([&] { return billing_.adjusting.load(); }));
  client.Close();
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_CLIENT_CANCELLED);
  EXPECT_TRUE(Eventually([&] { return gateway_->pending_settlements() == 0; }));
  EXPECT_EQ(worker_.calls, 0);
}

TEST_F(GatewayBilling, WhatNobodyUsesIsGivenBackAndALastWordEndsTheLease) {
  EXPECT_EQ(Chat().status, 200);
  EXPECT_GT(billing_.held(), Amount());
  EXPECT_TRUE(Eventually([&] { return billing_.held() == Amount(); })) << "after two seconds";
  EXPECT_EQ(billing_.lease_count(), 1U);
  EXPECT_EQ(billing_.spent(), BillingPeer::CostOf(7, 3));
  EXPECT_EQ(Chat().status, 200);
  gateway_->Stop();
  EXPECT_EQ(billing_.lease_count(), 0U);
  EXPECT_EQ(billing_.spent(), BillingPeer::CostOf(14, 6));
  EXPECT_EQ(billing_.conflicts, 0);
}

TEST_F(GatewayBilling, MissingFundsAreInsufficientQuotaAndNotRetried) {
  billing_.no_funds = true;
  const auto response = Chat();
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(ErrorCode(response), "insufficient_quota");
  EXPECT_THAT(response.head, HasSubstr("x-should-retry: false"));
  EXPECT_EQ(worker_.calls, 0);
  EXPECT_EQ(gateway_->pending_settlements(), 0U);
}

TEST_F(GatewayBilling, FailedSettlementsAreTriedAgainUntilAcknowledged) {
  billing_.settle_failures = 3;
  EXPECT_EQ(Chat().status, 200);
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens(), 3);
  EXPECT_EQ(billing_.settle_calls, 4);
  EXPECT_TRUE(Eventually([&] { return gateway_->pending_settlements() == 0; }));
}

TEST_F(GatewayBilling, SettlementsSurviveARestartOfTheGateway) {
  billing_.settle_failures = 1'000'000;
  EXPECT_EQ(Chat().status, 200);
  gateway_->Stop();
  gateway_.reset();
  EXPECT_TRUE(billing_.Settled().empty());
  billing_.settle_failures = 0;
  StartGateway();
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens(), 3);
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_COMPLETED);
}

TEST_F(GatewayBilling, EveryRequestIsSettledExactlyOnceWhateverClientsAndWorkersDo) {
  worker_.script = [](grpc::ServerContext& context, const auto& request, WorkerPeer::Writer& writer) {
    const int fate = request.sampling().seed() % 5;
    if (fate == 0) return grpc::Status(grpc::StatusCode::INTERNAL, "broken");
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < 20 && WorkerPeer::Delta(writer, "word ", 1); ++i) {
      if (fate == 1 && i == 10) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_STOP);
    return context.IsCancelled() ? grpc::Status::CANCELLED : grpc::Status::OK;
  };
  wake_wait_ms_ = 300;
  RestartGateway();
  constexpr int kThreads = 8;
  constexpr int kRequests = 30;
  std::atomic<int> delivered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRequests; ++i) {
        const int number = t * kRequests + i;
        HttpClient client(port());
        client.Send("POST", "/v1/chat/completions", key_,
                    ChatBody(R"(,"seed":)" + std::to_string(number) + (number % 3 ? R"(,"stream":true)" : "")));
        if (number % 4 == 0) {
          client.ReadUntil("\r\n\r\n");  // then leaves, in the middle of a stream if it is one
        } else if (client.Receive().complete) {
          ++delivered;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(delivered, 0);
  EXPECT_TRUE(Eventually([&] { return gateway_->pending_settlements() == 0 && billing_.Settled().size() == 240; }));
  EXPECT_EQ(billing_.conflicts, 0);
  EXPECT_LT(billing_.adjust_calls, 100) << "far fewer than requests";
  for (const auto& settled : billing_.Settled()) EXPECT_LE(settled.completion_tokens(), 20);
}

TEST_F(GatewayBilling, TwoGatewaysNeverShareAJournal) {
  const auto second = Gateway::Start(Config(), kPepper);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "JOURNAL_IN_USE");
}

}  // namespace
}  // namespace allod::gateway::gateway_billing_test
