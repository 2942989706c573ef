// What a request runs on is what money is held for, also when its instance is updated while it waits; and what is
// delivered is told to billing whatever billing says.
#include <gmock/gmock.h>

#include <thread>

#include "services/common/metrics.h"
#include "tests/integration/gateway_program_fixture.h"

namespace allod::gateway::gateway_hold_test {
namespace {

using testing::HasSubstr;

// All the money is held for the beginning of an answer. When that was written there is more, which billing is slow to
// give, for what follows; nothing else is written.
void GrowSlowly(BillingPeer& billing, WorkerPeer& worker, int adjust_ms) {
  billing.SetLimit(BillingPeer::CostOf(2000, 512));
  worker.script = [&billing, adjust_ms](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 1; i < 512; ++i) WorkerPeer::Delta(writer, "word ", 1);
    billing.SetLimit(BillingPeer::CostOf(1'000'000, 0));
    billing.adjust_ms = adjust_ms;
    billing.adjusting = false;
    WorkerPeer::Delta(writer, "end of what is held", 1);
    WorkerPeer::Delta(writer, "beyond", 1);
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
}

// The instance's only replica cannot be reached, so that requests wait until it is updated.
class GatewayHold : public GatewayTest {
 protected:
  void SetUp() override {
    GatewayTest::SetUp();
    routes_.SetTargets({Target("gone")});
    RestartGateway();
  }
  void TearDown() override {
    if (waiting_.joinable()) waiting_.join();
    GatewayTest::TearDown();
  }
  // A request that waits; its answer is there after Join().
  void StartChat(const std::string& more = "") {
    waiting_ = std::thread([this, more] { response_ = Chat(more); });
    ASSERT_TRUE(Eventually([&] { return billing_.held() > Amount(); }));
  }
  const HttpClient::Response& Join() {
    waiting_.join();
    return response_;
  }
  // There is money for requests on the first route, and no more.
  void LimitToFirstRoute() { billing_.SetLimit(BillingPeer::CostOf(512, 512)); }
  // One that answers with as many tokens as it may.
  static grpc::Status AsLongAsItMay(grpc::ServerContext&, const inference::v1::GenerateRequest& request,
                                    WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < request.max_completion_tokens(); ++i) WorkerPeer::Delta(writer, "word ", 1);
    WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_LENGTH);
    return grpc::Status::OK;
  }

  std::thread waiting_;
  HttpClient::Response response_;
};

TEST_F(GatewayHold, ARequestThatRunsWithMoreContextIsHeldForIt) {
  worker_.script = AsLongAsItMay;
  StartChat();
  routes_.Update([](auto& route) { route.set_context_tokens(2000); }, Target("worker"));
  EXPECT_EQ(Join().status, 200);
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.prompt_tokens_max(), 2000);
  EXPECT_EQ(settled.completion_tokens(), 2000) << "everything delivered is settled";
  EXPECT_EQ(settled.completion_tokens_max(), 2000);
  EXPECT_EQ(billing_.beyond_hold, 0);
  EXPECT_EQ(billing_.conflicts, 0);
}

TEST_F(GatewayHold, ARequestThatRunsInADearerClassOrAnotherVariantIsHeldForThat) {
  StartChat(R"(,"max_tokens":5)");
  routes_.Update(
      [](auto& route) {
        route.set_isolation_class(scheduling::v1::ISOLATION_CLASS_DEDICATED);
        route.set_variant("models/m/versions/v1/variants/f16");
        route.set_price_book("priceBooks/01890000-0000-7000-8000-000000000001");
      },
      Target("worker"));
  EXPECT_EQ(Join().status, 200);
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.terms().isolation_class(), "dedicated");
  EXPECT_EQ(settled.terms().variant(), "models/m/versions/v1/variants/f16");
  EXPECT_EQ(settled.terms().price_book(), "priceBooks/01890000-0000-7000-8000-000000000001");
  EXPECT_EQ(settled.completion_tokens(), 3);
}

TEST_F(GatewayHold, OneHoldIsEnoughForWhatItCovers) {
  StartChat();
  routes_.Update([](auto& route) { route.set_context_tokens(256); }, Target("worker"));
  EXPECT_EQ(Join().status, 200);
  EXPECT_EQ(billing_.OnlySettlement().prompt_tokens_max(), 512);
}

TEST_F(GatewayHold, WithoutTheMoneyForItNothingRuns) {
  LimitToFirstRoute();
  StartChat();
  routes_.Update([](auto& route) { route.set_context_tokens(2000); }, Target("worker"));
  EXPECT_EQ(Join().status, 429);
  EXPECT_EQ(ErrorCode(response_), "insufficient_quota");
  EXPECT_EQ(worker_.calls, 0);
  EXPECT_EQ(billing_.OnlySettlement().prompt_tokens() + billing_.OnlySettlement().completion_tokens(), 0);
  EXPECT_TRUE(Eventually([&] { return gateway_->pending_settlements() == 0; })) << "the first hold is not left open";
  EXPECT_TRUE(Eventually([&] { return billing_.held() == Amount(); }));
}

TEST_F(GatewayHold, NothingRunsWhenBillingGoesAwayBeforeTheMoneyIsHeldAgain) {
  LimitToFirstRoute();
  StartChat();
  billing_server_.reset();
  routes_.Update([](auto& route) { route.set_context_tokens(2000); }, Target("worker"));
  EXPECT_EQ(Join().status, 503);
  EXPECT_EQ(ErrorCode(response_), "billing_unavailable");
  EXPECT_EQ(worker_.calls, 0);
  StartPeer(billing_server_, "billing", {&billing_});
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_FAULT);
}

TEST_F(GatewayHold, AReplacementThatBillingMakesTooLateRunsNothingAndIsSettled) {
  LimitToFirstRoute();
  StartChat();
  billing_.SetLimit(BillingPeer::CostOf(1'000'000, 0));
  billing_.adjust_ms = 800;  // the gateway waits 300 ms for it
  routes_.Update([](auto& route) { route.set_context_tokens(2000); }, Target("worker"));
  EXPECT_EQ(Join().status, 503);
  EXPECT_EQ(worker_.calls, 0);
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens(), 0);
}

// Of answers longer than what is held for at first.
class GatewayLongAnswers : public GatewayHold {
 protected:
  void SetUp() override {
    GatewayHold::SetUp();
    routes_.Update([](auto& route) { route.set_context_tokens(2000); }, Target("worker"));
    RestartGateway();
    worker_.script = AsLongAsItMay;
  }
};

TEST_F(GatewayLongAnswers, AreHeldForAsTheyGrow) {
  worker_.script = [this](auto& context, const auto& request, WorkerPeer::Writer& writer) {
    EXPECT_LT(billing_.held(), BillingPeer::CostOf(5 * 2000, 5 * 1000)) << "not for the longest answer";
    return AsLongAsItMay(context, request, writer);
  };
  for (const char* more : {"", R"(,"stream":true)"}) EXPECT_EQ(Chat(more).status, 200);
  ASSERT_TRUE(Eventually([&] { return billing_.Settled().size() == 2; }));
  for (const auto& settled : billing_.Settled()) {
    EXPECT_EQ(settled.completion_tokens(), 2000);
    EXPECT_EQ(settled.completion_tokens_max(), 2000);
  }
  EXPECT_EQ(billing_.beyond_hold, 0);
  EXPECT_EQ(billing_.conflicts, 0);
}

TEST_F(GatewayLongAnswers, EndWhereTheMoneyEnds) {
  adjust_ = [](GatewayConfig& config) { config.serving.reserve_timeout_ms = 5000; };  // however busy the machine
  RestartGateway();
  for (const char* more : {R"(,"stream":true)", ""}) {
    const Amount limit = BillingPeer::CostOf(2000, 700);
    billing_.SetLimit(Amount::FromPico(billing_.spent().pico() + limit.pico()));
    const std::size_t before = billing_.Settled().size();
    const int cancelled = worker_.cancelled;
    const auto response = Chat(more);
    EXPECT_EQ(response.status, 200);
    EXPECT_TRUE(response.complete);
    EXPECT_THAT(response.body, HasSubstr(R"("finish_reason":"length")"));
    ASSERT_TRUE(Eventually([&] { return billing_.Settled().size() == before + 1; }));
    const auto settled = billing_.Settled().back();
    EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_COMPLETED);
    EXPECT_EQ(settled.completion_tokens(), 700) << "to the last token that there is money for";
    EXPECT_EQ(settled.completion_tokens_max(), 700);
    EXPECT_TRUE(Eventually([&] { return worker_.cancelled == cancelled + 1; })) << "nothing is computed in vain";
    EXPECT_TRUE(Eventually([&] { return billing_.held() == Amount(); }));
  }
  EXPECT_EQ(billing_.beyond_hold, 0);
  EXPECT_EQ(billing_.conflicts, 0);
}

TEST_F(GatewayLongAnswers, ThatCannotBeHeldForBecauseBillingIsAwayAreOurFault) {
  billing_.SetLimit(BillingPeer::CostOf(2000, 600));
  worker_.script = [this](auto& context, const auto& request, WorkerPeer::Writer& writer) {
    billing_server_.reset();
    return AsLongAsItMay(context, request, writer);
  };
  const auto response = Chat(R"(,"stream":true)");
  EXPECT_FALSE(response.complete);
  EXPECT_THAT(response.body, HasSubstr("billing_unavailable"));
  StartPeer(billing_server_, "billing", {&billing_});
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_FAULT);
  EXPECT_EQ(billing_.beyond_hold, 0);
}

TEST_F(GatewayLongAnswers, AClientThatLeavesWhileTheHoldGrowsPaysOnceForWhatItGot) {
  GrowSlowly(billing_, worker_, 200);  // the gateway waits 300 ms for it
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(client.ReadUntil("end of what is held"));
  ASSERT_TRUE(Eventually([&] { return billing_.adjusting.load(); }));
  client.Close();
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_CLIENT_CANCELLED);
  EXPECT_EQ(settled.prompt_tokens(), 7);
  EXPECT_EQ(settled.completion_tokens(), 512) << "what waited for money was not delivered";
  EXPECT_TRUE(Eventually([&] { return worker_.cancelled == 1; }));
  EXPECT_TRUE(Eventually([&] { return billing_.held() == Amount(); })) << "what it had grown by is free again";
  EXPECT_EQ(billing_.Settled().size(), 1U);
  EXPECT_EQ(billing_.beyond_hold, 0);
  EXPECT_EQ(billing_.conflicts, 0);
}

TEST_F(GatewayLongAnswers, AGatewayThatStopsWhileTheHoldGrowsBillsNothing) {
  GrowSlowly(billing_, worker_, 250);
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(client.ReadUntil("end of what is held"));
  ASSERT_TRUE(Eventually([&] { return billing_.adjusting.load(); }));
  gateway_->Stop();
  EXPECT_THAT(client.Receive().body, HasSubstr("shutting_down"));
  gateway_.reset();
  StartGateway();
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_FAULT);
  EXPECT_TRUE(Eventually([&] { return billing_.lease_count() == 0; })) << "the next one ends what it left";
  EXPECT_EQ(billing_.spent(), Amount());
  EXPECT_EQ(billing_.conflicts, 0);
}

TEST_F(GatewayHold, AWorkerWithMoreContextThanItsRouteSaysIsNotUsedBeforeTheRouteIsThere) {
  worker_.script = [this](grpc::ServerContext&, const auto&, WorkerPeer::Writer& writer) {
    if (worker_.calls == 1) routes_.Update([](auto& route) { route.set_context_tokens(2000); }, Target("worker"));
    WorkerPeer::Started(writer, 700);  // more than 512
    WorkerPeer::Delta(writer, "long", 1);
    WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_STOP);
    return grpc::Status::OK;
  };
  routes_.SetTargets({Target("worker")});
  EXPECT_EQ(Chat().status, 200);
  EXPECT_EQ(billing_.OnlySettlement().prompt_tokens(), 700);
  EXPECT_EQ(billing_.beyond_hold, 0);
}

TEST_F(GatewayHold, AWorkerThatCountsMoreThanItMayIsAFault) {
  worker_.script = [](grpc::ServerContext&, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, "two", 2);
    WorkerPeer::Delta(writer, "four", 4);
    WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_STOP);
    return grpc::Status::OK;
  };
  routes_.SetTargets({Target("worker")});
  EXPECT_EQ(Chat(R"(,"max_tokens":5)").status, 500);
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_FAULT);
  EXPECT_EQ(billing_.beyond_hold, 0);
}

TEST_F(GatewayHold, ASettlementThatBillingRefusesIsKeptShownAndTriedAgain) {
  billing_.refuses = true;
  routes_.SetTargets({Target("worker")});
  EXPECT_EQ(Chat().status, 200);
  const auto shown = [](const char* count) {
    return MetricsText().find(std::string("allod_gateway_settlements_refused ") + count) != std::string::npos;
  };
  EXPECT_TRUE(Eventually([&] { return shown("1"); }));
  EXPECT_EQ(gateway_->pending_settlements(), 1U);
  RestartGateway();
  EXPECT_EQ(gateway_->pending_settlements(), 1U) << "the journal keeps it for the next gateway";
  EXPECT_EQ(Chat().status, 200) << "and others are served meanwhile";
  billing_.refuses = false;
  EXPECT_TRUE(Eventually([&] { return billing_.Settled().size() == 2 && gateway_->pending_settlements() == 0; }));
  for (const auto& settled : billing_.Settled()) EXPECT_EQ(settled.completion_tokens(), 3);
  EXPECT_TRUE(Eventually([&] { return shown("0"); }));
}

class GatewayHoldDeath : public GatewayProgramTest {};

TEST_F(GatewayHoldDeath, KillNineWhileTheMoneyIsHeldAgainLeavesNothingOpen) {
  routes_.SetTargets({Target("gone")});
  billing_.SetLimit(BillingPeer::CostOf(512, 512));
  int port = 0;
  auto first = StartProgram("first.log", port);
  HttpClient client(port);
  client.Send("POST", "/v1/chat/completions", key_, ChatBody());
  ASSERT_TRUE(Eventually([&] { return billing_.held() > Amount(); }));
  billing_.SetLimit(BillingPeer::CostOf(1'000'000, 0));
  billing_.adjust_ms = 1000;
  billing_.adjusting = false;
  routes_.Update([](auto& route) { route.set_context_tokens(2000); }, Target("worker"));
  ASSERT_TRUE(Eventually([&] { return billing_.adjusting.load(); }));
  first->Signal(SIGKILL);
  ASSERT_TRUE(first->Wait(std::chrono::seconds(5)));

  auto second = StartProgram("second.log", port);
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_GATEWAY_LOST);
  EXPECT_EQ(settled.completion_tokens(), 0);
  EXPECT_EQ(worker_.calls, 0);
  EXPECT_EQ(billing_.Settled().size(), 1U);
  // What was on its way comes before the dead one's leases are ended, or finds none.
  EXPECT_TRUE(Eventually([&] { return billing_.held() == Amount(); }));
  EXPECT_EQ(second->Stop(), 0);
}

TEST_F(GatewayHoldDeath, KillNineWhileTheHoldGrowsSettlesWhatWasDelivered) {
  routes_.Update([](auto& route) { route.set_context_tokens(2000); }, Target("worker"));
  GrowSlowly(billing_, worker_, 1000);
  int port = 0;
  auto first = StartProgram("first.log", port);
  HttpClient client(port);
  client.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(client.ReadUntil("end of what is held"));
  ASSERT_TRUE(Eventually([&] { return billing_.adjusting.load(); }));
  first->Signal(SIGKILL);
  ASSERT_TRUE(first->Wait(std::chrono::seconds(5)));

  auto second = StartProgram("second.log", port);
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_GATEWAY_LOST);
  EXPECT_EQ(settled.completion_tokens(), 512);
  EXPECT_EQ(settled.completion_tokens_max(), 512) << "nothing was delivered on what was still to come";
  EXPECT_TRUE(Eventually([&] { return billing_.held() == Amount(); }));
  EXPECT_EQ(billing_.beyond_hold, 0);
  EXPECT_EQ(second->Stop(), 0);
}

}  // namespace
}  // namespace allod::gateway::gateway_hold_test
