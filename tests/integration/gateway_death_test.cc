// kill -9 of a real gateway process in the middle of a stream: what had been delivered until then is settled by the
// next one.
#include <gmock/gmock.h>

#include "tests/integration/gateway_program_fixture.h"

namespace allod::gateway {
namespace {

class GatewayDeath : public GatewayProgramTest {};

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
  // The count is stored right after the write that the client has just seen.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  first->Signal(SIGKILL);
  ASSERT_TRUE(first->Wait(std::chrono::seconds(5)));
  EXPECT_FALSE(client.Receive().complete);
  EXPECT_TRUE(billing_.Settled().empty());

  auto second = StartProgram("second.log", port);
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_GATEWAY_LOST);
  EXPECT_EQ(settled.prompt_tokens(), 7);
  EXPECT_EQ(settled.completion_tokens(), 4);
  EXPECT_EQ(second->Stop(), 0);
  EXPECT_TRUE(Eventually([&] { return worker_.cancelled == 1; })) << "the worker notices too";
}

}  // namespace
}  // namespace allod::gateway
