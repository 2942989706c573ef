// What refused and failed requests cost their key: the limits count work, not success.
#include <gmock/gmock.h>

#include "tests/integration/gateway_fixture.h"

namespace allod::gateway::gateway_limits_test {
namespace {

class GatewayLimits : public GatewayTest {
 protected:
  // Few enough that what one request costs is seen beside what flows back meanwhile, 100 tokens a second.
  static constexpr int kTokensPerMinute = 6000;

  void SetUp() override {
    GatewayTest::SetUp();
    rate_limits_.key.tokens_per_minute = kTokensPerMinute;
    rate_limits_.key.requests_per_minute = 60;
    RestartGateway();
  }
  // What the headers of an answer say is left: before the request's own tokens, after the request itself.
  static int Remaining(const HttpClient::Response& response, const std::string& kind) {
    const std::string name = "x-ratelimit-remaining-" + kind + ": ";
    const std::size_t at = response.head.find(name);
    return at == std::string::npos ? -1 : std::atoi(response.head.c_str() + at + name.size());
  }
  int RemainingTokens() { return Remaining(Chat(), "tokens"); }
  static grpc::Status Refuse(const char* reason) {
    return ToGrpc(Error{Code::kInvalidArgument, reason, "refused by the worker"});
  }
  HttpClient::Response LongChat(const std::string& more = "") {
    return Fetch(port(), "POST", "/v1/chat/completions", key_,
                 R"({"model":"assistant","messages":[{"role":"user","content":")" + std::string(8000, 'x') + "\"}]" +
                     more + "}");
  }
};

TEST_F(GatewayLimits, WhatAWorkerRefusesCostsWhatReadingItDoes) {
  const int before = RemainingTokens();
  ASSERT_GT(before, kTokensPerMinute - 100);
  worker_.script = [](auto&, const auto&, auto&) { return Refuse("CONTEXT_LENGTH_EXCEEDED"); };
  EXPECT_EQ(LongChat().status, 400);
  worker_.script = WorkerPeer::Greet;
  EXPECT_TRUE(Eventually([&] { return RemainingTokens() < before - 1500; })) << "8000 characters are about 2000 tokens";
}

TEST_F(GatewayLimits, ARefusedSchemaCostsByItsSize) {
  const int before = RemainingTokens();
  worker_.script = [](auto&, const auto&, auto&) { return Refuse("INVALID_CONSTRAINT"); };
  EXPECT_EQ(Chat(R"(,"grammar":"root ::= \")" + std::string(8000, 'x') + R"(\"")").status, 400);
  worker_.script = WorkerPeer::Greet;
  EXPECT_TRUE(Eventually([&] { return RemainingTokens() < before - 1500; }));
}

TEST_F(GatewayLimits, RefusalsUseUpTheTokensOfAKey) {
  worker_.script = [](auto&, const auto&, auto&) { return Refuse("CONTEXT_LENGTH_EXCEEDED"); };
  int status = 400;
  for (int i = 0; i < 10 && status == 400; ++i) status = LongChat().status;
  EXPECT_EQ(status, 429);
  EXPECT_EQ(ErrorCode(LongChat()), "rate_limit_exceeded");
}

TEST_F(GatewayLimits, WhatIsRefusedHereCountsAsARequestToo) {
  int status = 400;
  int refused = 0;
  for (; refused < 100 && status == 400; ++refused) status = Chat(R"(,"temperature":3)").status;
  EXPECT_EQ(status, 429);
  EXPECT_GE(refused, 55);
  EXPECT_EQ(worker_.calls, 0);
}

TEST_F(GatewayLimits, AnAnswerThatNobodyTookWasComputed) {
  worker_.script = [](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < 4; ++i) WorkerPeer::Delta(writer, std::string(100, 'a'), 100);
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
  {
    HttpClient client(port());
    client.Send("POST", "/v1/chat/completions", key_, ChatBody());
    ASSERT_TRUE(Eventually([&] { return worker_.calls == 1; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    client.Close();
  }
  ASSERT_TRUE(Eventually([&] { return worker_.cancelled == 1; }));
  worker_.script = WorkerPeer::Greet;
  EXPECT_TRUE(Eventually([&] { return RemainingTokens() < kTokensPerMinute - 200; }));
}

TEST_F(GatewayLimits, APromptThatIsLeftBeforeItIsReadIsReadAllTheSame) {
  worker_.script = [](grpc::ServerContext& context, const auto&, auto&) {
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
  {
    HttpClient client(port());
    client.Send("POST", "/v1/chat/completions", key_,
                R"({"model":"assistant","messages":[{"role":"user","content":")" + std::string(8000, 'x') + "\"}]}");
    ASSERT_TRUE(Eventually([&] { return worker_.calls == 1; }));
    client.Close();
  }
  ASSERT_TRUE(Eventually([&] { return worker_.cancelled == 1; }));
  worker_.script = WorkerPeer::Greet;
  EXPECT_TRUE(Eventually([&] { return RemainingTokens() < kTokensPerMinute - 1000; }));
}

TEST_F(GatewayLimits, OfAModelHoldBackItsCallersOnlyAndAreGivenBackOutside) {
  tenancy::v1::TenantLimits limits;
  limits.set_tenant("tenants/ke");
  auto& project = *limits.add_projects();
  project.set_project(kProject);
  project.mutable_limits()->set_requests_per_minute(50);
  auto& model = *project.add_instances();
  model.set_instance(std::string(kProject) + "/instances/assistant");
  model.mutable_limits()->set_requests_per_minute(2);
  tenancy_server_.reset();
  tenancy_.SetLimits(limits);
  StartPeer(tenancy_server_, "tenancy", {&tenancy_, &projects_, &identities_});
  RestartGateway();
  const auto first = Chat();
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(Remaining(first, "requests"), 1) << "of the model's, which leaves least";
  EXPECT_EQ(Chat().status, 200);
  for (int i = 0; i < 3; ++i) {
    const auto refused = Chat();
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(ErrorCode(refused), "rate_limit_exceeded");
    EXPECT_EQ(Remaining(refused, "requests"), 0);
    EXPECT_THAT(refused.body, testing::HasSubstr("this model"));
  }
  const auto portal = Fetch(port(), "GET", "/portal/v1/tenants/ke/projects", key_);
  EXPECT_NE(portal.status, 429);
  EXPECT_EQ(Remaining(portal, "requests"), 47) << "of the project's 50 two were used before, and this one";
}

TEST_F(GatewayLimits, WhatNoWorkerLookedAtCostsNoTokens) {
  worker_.script = [](auto&, const auto&, auto&) {
    return ToGrpc(Error{Code::kResourceExhausted, "QUEUE_FULL", "as many as it takes"});
  };
  EXPECT_GE(LongChat().status, 429);
  worker_.script = WorkerPeer::Greet;
  EXPECT_GT(RemainingTokens(), kTokensPerMinute - 100);
}

}  // namespace
}  // namespace allod::gateway::gateway_limits_test
