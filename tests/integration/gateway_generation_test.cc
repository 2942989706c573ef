// Generations through the real gateway: what the client sees, what the worker is told, what billing hears.
#include <gmock/gmock.h>

#include "tests/integration/gateway_fixture.h"

namespace allod::gateway::gateway_generation_test {
namespace {

using billing::v1::OUTCOME_CLIENT_CANCELLED;
using billing::v1::OUTCOME_COMPLETED;
using billing::v1::OUTCOME_FAULT;
using testing::HasSubstr;
using testing::Not;

class GatewayGeneration : public GatewayTest {};

TEST_F(GatewayGeneration, AnswersWholeAndSettlesWhatWasDelivered) {
  const auto response = Chat();
  ASSERT_EQ(response.status, 200) << response.body;
  const auto json = nlohmann::json::parse(response.body);
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["choices"][0]["message"]["content"], "Habari ya asubuhi");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json["usage"]["total_tokens"], 10);
  EXPECT_THAT(response.head, HasSubstr("x-request-id: "));
  EXPECT_THAT(response.head, HasSubstr("x-ratelimit-remaining-requests: 599"));

  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), OUTCOME_COMPLETED);
  EXPECT_EQ(settled.prompt_tokens(), 7);
  EXPECT_EQ(settled.completion_tokens(), 3);
  EXPECT_THAT(response.head, HasSubstr("x-request-id: " + settled.request_id()));
  EXPECT_EQ(settled.prompt_tokens_max(), 512);
  EXPECT_EQ(settled.completion_tokens_max(), 512);
  EXPECT_EQ(settled.instance(), kInstance);
  EXPECT_EQ(settled.terms().isolation_class(), "pooled");
  EXPECT_THAT(settled.api_key(), HasSubstr("tenants/ke/projects/services/apiKeys/"));
}

TEST_F(GatewayGeneration, StreamsRoleTextFinishUsageAndDone) {
  const auto response = Chat(R"(,"stream":true,"stream_options":{"include_usage":true},"max_tokens":5)");
  EXPECT_TRUE(response.complete);
  EXPECT_THAT(response.head, HasSubstr("content-type: text/event-stream"));
  EXPECT_THAT(response.head, HasSubstr("cache-control: no-cache"));
  std::vector<nlohmann::json> events;
  std::string rest = response.body;
  while (rest.starts_with("data: {")) {
    const std::size_t end = rest.find("\n\n");
    events.push_back(nlohmann::json::parse(rest.substr(6, end - 6)));
    rest = rest.substr(end + 2);
  }
  EXPECT_EQ(rest, "data: [DONE]\n\n");
  ASSERT_EQ(events.size(), 6U);
  EXPECT_EQ(events[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(events[1]["choices"][0]["delta"]["content"], "Habari");
  EXPECT_EQ(events[4]["choices"][0]["finish_reason"], "stop");
  EXPECT_TRUE(events[5]["choices"].empty());
  EXPECT_EQ(events[5]["usage"]["completion_tokens"], 3);
  for (const auto& event : events) EXPECT_EQ(event["id"], events[0]["id"]);
  EXPECT_EQ(billing_.OnlySettlement().outcome(), OUTCOME_COMPLETED);
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens_max(), 5);
}

TEST_F(GatewayGeneration, DisconnectCancelsTheWorkerAndSettlesWhatWasDelivered) {
  worker_.script = [](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, "one", 1);
    WorkerPeer::Delta(writer, " two", 1);
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(client.ReadUntil(" two"));
  client.Close();
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), OUTCOME_CLIENT_CANCELLED);
  EXPECT_EQ(settled.completion_tokens(), 2);
  EXPECT_TRUE(Eventually([&] { return worker_.cancelled == 1; }));
}

TEST_F(GatewayGeneration, DisconnectBeforeAWholeAnswerBillsNoOutput) {
  worker_.script = [](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, "never read", 2);
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody());
  ASSERT_TRUE(Eventually([&] { return worker_.calls == 1; }));
  client.Close();
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), OUTCOME_CLIENT_CANCELLED);
  EXPECT_EQ(settled.completion_tokens(), 0);
}

TEST_F(GatewayGeneration, WorkerDyingMidStreamIsAnErrorEventAndAFault) {
  worker_.script = [](grpc::ServerContext&, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, "half", 1);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  };
  const auto response = Chat(R"(,"stream":true)");
  EXPECT_FALSE(response.complete) << "a failed stream must not end cleanly";
  EXPECT_THAT(response.body, HasSubstr("half"));
  EXPECT_THAT(response.body, HasSubstr(R"(data: {"error":{)"));
  EXPECT_THAT(response.body, HasSubstr(R"("code":"worker_lost")"));
  EXPECT_THAT(response.body, Not(HasSubstr("[DONE]")));
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), OUTCOME_FAULT);
  EXPECT_EQ(settled.completion_tokens(), 1);
}

TEST_F(GatewayGeneration, WorkerDyingBeforeTextIsTriedAgainAndNotNoticed) {
  worker_.script = [this](grpc::ServerContext& context, const auto& request, WorkerPeer::Writer& writer) {
    if (worker_.calls == 1) {
      WorkerPeer::Started(writer, 7);
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
    }
    return WorkerPeer::Greet(context, request, writer);
  };
  const auto response = Chat(R"(,"stream":true)");
  EXPECT_TRUE(response.complete);
  EXPECT_THAT(response.body, HasSubstr("asubuhi"));
  EXPECT_EQ(response.body.find(R"("role")"), response.body.rfind(R"("role")")) << "the role comes once";
  EXPECT_EQ(billing_.OnlySettlement().outcome(), OUTCOME_COMPLETED);
  EXPECT_EQ(worker_.calls, 2);
}

TEST_F(GatewayGeneration, WaitsWithCommentsForTheFirstReplica) {
  routes_.SetTargets({});
  HttpClient client(port());
  // The gateway knows of the empty route once a request for it waits.
  ASSERT_TRUE(Eventually([&] { return Fetch(port(), "GET", "/v1/models/assistant", key_).status == 200; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  client.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(client.ReadUntil(": keep-alive\n\n"));
  routes_.SetTargets({Target("worker")});
  const auto response = client.Receive();
  EXPECT_TRUE(response.complete);
  EXPECT_THAT(response.body, HasSubstr("data: [DONE]"));
}

TEST_F(GatewayGeneration, NoReplicaInTimeIs503WithRetryAfterAndAFault) {
  worker_server_.reset();
  const auto response = Chat();
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.head, HasSubstr("retry-after: "));
  EXPECT_THAT(response.head, HasSubstr("retry-after-ms: "));
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), OUTCOME_FAULT);
  EXPECT_EQ(settled.completion_tokens(), 0);
}

TEST_F(GatewayGeneration, RefusalsOfTheWorkerKeepTheirCode) {
  worker_.script = [](grpc::ServerContext&, const auto&, WorkerPeer::Writer&) {
    return ToGrpc(
        Error{Code::kInvalidArgument, "CONTEXT_LENGTH_EXCEEDED", "the prompt has 600 tokens, the context 512"});
  };
  for (const char* more : {"", R"(,"stream":true)"}) {
    const auto response = Chat(more);
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(ErrorCode(response), "context_length_exceeded");
  }
}

TEST_F(GatewayGeneration, AStalledReaderStopsTheWorkerFromRunningAhead) {
  constexpr int kTokens = 32;
  // Room for all that the worker would write if nothing stopped it.
  routes_.Update([](scheduling::v1::Route& route) { route.set_context_tokens(4096 * kTokens); }, Target("worker"));
  RestartGateway();
  std::atomic<int> written = 0;
  worker_.script = [&](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    // As many tokens as such a text has at least: a worker that counts fewer is taken for a liar.
    const std::string text(32 << 10, 'x');
    while (!context.IsCancelled() && written < 4096 && WorkerPeer::Delta(writer, text, kTokens)) ++written;
    return grpc::Status::CANCELLED;
  };
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(client.ReadUntil("xxx"));
  // Nobody reads: the kernel's buffers fill, then everything stands still.
  int before = -1;
  ASSERT_TRUE(Eventually([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    return std::exchange(before, written.load()) == written.load();
  }));
  EXPECT_LT(written, 4096);
  client.Close();
  EXPECT_EQ(billing_.OnlySettlement().outcome(), OUTCOME_CLIENT_CANCELLED);
  EXPECT_LE(billing_.OnlySettlement().completion_tokens(), written * kTokens);
}

TEST_F(GatewayGeneration, StopEndsAStreamWithAnErrorEvent) {
  worker_.script = [](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, "half", 1);
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(client.ReadUntil("half"));
  gateway_->Stop();
  const auto response = client.Receive();
  EXPECT_FALSE(response.complete);
  EXPECT_THAT(response.body, HasSubstr(R"("code":"shutting_down")"));
  EXPECT_EQ(billing_.OnlySettlement().outcome(), OUTCOME_FAULT);
}

}  // namespace
}  // namespace allod::gateway::gateway_generation_test
