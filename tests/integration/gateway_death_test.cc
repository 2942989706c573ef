// kill -9 of a real gateway process in the middle of a stream: what had been delivered until then is settled by the
// next one.
#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/integration/gateway_fixture.h"
#include "tests/support/process.h"

namespace allod::gateway {
namespace {

class GatewayDeath : public GatewayTest {
 protected:
  void SetUp() override {
    GatewayTest::SetUp();
    gateway_->Stop();
    gateway_.reset();  // this test runs the program instead
    directory_.Write("pepper", kPepper);
    const nlohmann::json config = {{"http_listen", "127.0.0.1:0"},
                                   {"tenancy_target", Target("tenancy")},
                                   {"catalog_target", Target("catalog")},
                                   {"billing_target", Target("billing")},
                                   {"scheduling_target", Target("scheduling")},
                                   {"api_key_pepper_file", (directory_ / "pepper").string()},
                                   {"journal_dir", (directory_ / "journal").string()}};
    directory_.Write("gateway.json", config.dump());
  }

  // Starts the program and waits until it is ready; `port` is where.
  std::unique_ptr<Process> StartProgram(const std::string& log, int& port) {
    const char* build = std::getenv("ALLOD_BUILD_DIR");
    EXPECT_NE(build, nullptr) << "run this through ctest";
    auto process =
        std::make_unique<Process>(std::vector<std::string>{std::string(build ? build : ".") + "/bin/allod-gateway",
                                                           "--config", (directory_ / "gateway.json").string()},
                                  ProcessOptions{.output = directory_ / log});
    EXPECT_TRUE(Eventually([&] { return process->Output().find("port=") != std::string::npos; })) << process->Output();
    const std::string output = process->Output();
    port = std::atoi(output.substr(output.find("port=") + 5).c_str());
    EXPECT_TRUE(Eventually([&] { return Fetch(port, "GET", "/readyz", "").status == 200; }));
    return process;
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
