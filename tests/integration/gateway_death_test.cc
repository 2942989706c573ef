// kill -9 of a real gateway process in the middle of an answer: what had been delivered until then, and what was being
// handed over, is settled by the next one.
#include <gmock/gmock.h>

#include "tests/integration/gateway_program_fixture.h"

namespace allod::gateway::gateway_death_test {
namespace {

class GatewayDeath : public GatewayProgramTest {
 protected:
  // More than sockets hold, so that a client that reads no further keeps the gateway handing it over.
  static constexpr int kManyTokens = 2000;
  static constexpr int kBytesPerToken = 3000;

  void SetUp() override {
    GatewayProgramTest::SetUp();
    routes_.Update([](auto& route) { route.set_context_tokens(4096); }, Target("worker"));
  }
  // Kills the gateway while it hands an answer to a client that has read its beginning and no more.
  billing::v1::LeasedUsage KilledWhileHandingOver(const std::string& path, const std::string& body) {
    int port = 0;
    auto first = StartProgram("first.log", port);
    HttpClient client(port);
    client.Send("POST", path, key_, body);
    EXPECT_TRUE(client.ReadUntil("HTTP/1.1 200")) << first->Output();
    first->Signal(SIGKILL);
    EXPECT_TRUE(first->Wait(std::chrono::seconds(5)));
    EXPECT_FALSE(client.Receive().complete);
    EXPECT_TRUE(billing_.Settled().empty());
    auto second = StartProgram("second.log", port);
    const auto settled = billing_.OnlySettlement();
    EXPECT_EQ(second->Stop(), 0);
    return settled;
  }
};

TEST_F(GatewayDeath, WhatWasDeliveredBeforeKillNineIsSettledByTheNextGateway) {
  worker_.script = [](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < 4; ++i) WorkerPeer::Delta(writer, "token" + std::to_string(i), 1);
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
  int port = 0;
  auto first = StartProgram("first.log", port);
  HttpClient client(port);
  client.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(client.ReadUntil("token3"));
  first->Signal(SIGKILL);
  ASSERT_TRUE(first->Wait(std::chrono::seconds(5)));
  EXPECT_FALSE(client.Receive().complete);
  EXPECT_TRUE(billing_.Settled().empty());

  auto second = StartProgram("second.log", port);
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_GATEWAY_LOST);
  EXPECT_EQ(settled.prompt_tokens(), 7);
  EXPECT_EQ(settled.completion_tokens(), 4);
  EXPECT_TRUE(Eventually([&] { return billing_.lease_count() == 0; })) << "what the dead one had leased is free again";
  EXPECT_EQ(second->Stop(), 0);
  EXPECT_TRUE(Eventually([&] { return worker_.cancelled == 1; })) << "the worker notices too";
}

TEST_F(GatewayDeath, APieceThatWasBeingHandedOverIsSettled) {
  worker_.script = [](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, std::string(1'000 * kBytesPerToken, 'a'), 1'000);
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
  const auto settled = KilledWhileHandingOver("/v1/chat/completions", ChatBody(R"(,"stream":true)"));
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_GATEWAY_LOST);
  EXPECT_EQ(settled.prompt_tokens(), 7);
  EXPECT_EQ(settled.completion_tokens(), 1'000);
}

TEST_F(GatewayDeath, AWholeAnswerThatWasBeingHandedOverIsSettledAsAnswered) {
  worker_.script = [](grpc::ServerContext&, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < kManyTokens; ++i) WorkerPeer::Delta(writer, std::string(kBytesPerToken, 'a'), 1);
    WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_STOP);
    return grpc::Status::OK;
  };
  const auto settled = KilledWhileHandingOver("/v1/chat/completions", ChatBody());
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_COMPLETED);
  EXPECT_EQ(settled.prompt_tokens(), 7);
  EXPECT_EQ(settled.completion_tokens(), kManyTokens);
}

TEST_F(GatewayDeath, EmbeddingsThatWereBeingHandedOverAreSettledAsAnswered) {
  worker_.embed_script = [](grpc::ServerContext&, const auto& request, inference::v1::EmbedResponse& response) {
    for (int i = 0; i < request.inputs_size(); ++i) {
      auto& embedding = *response.add_embeddings();
      for (int k = 0; k < 500'000 / request.inputs_size(); ++k) embedding.add_values(0.123456F);
    }
    response.set_prompt_tokens(9);
    return grpc::Status::OK;
  };
  std::string inputs = R"("a")";
  for (int i = 1; i < 9; ++i) inputs += R"(,"a")";
  const auto settled = KilledWhileHandingOver("/v1/embeddings", R"({"model":"assistant","input":[)" + inputs + "]}");
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_COMPLETED);
  EXPECT_EQ(settled.prompt_tokens(), 9);
}

}  // namespace
}  // namespace allod::gateway::gateway_death_test
