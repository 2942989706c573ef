// What billing and the client are told of a request that has no answer, or not all of one.
#include <gmock/gmock.h>

#include "tests/integration/gateway_fixture.h"

namespace allod::gateway::gateway_endings_test {
namespace {

using testing::HasSubstr;

class GatewayEndings : public GatewayTest {
 protected:
  // Answers two tokens, and then that what the caller asked cannot be followed any further.
  void EndWith(const Error& error, int tokens = 2) {
    worker_.script = [error, tokens](grpc::ServerContext&, const auto&, WorkerPeer::Writer& writer) {
      WorkerPeer::Started(writer, 7);
      for (int i = 0; i < tokens; ++i) WorkerPeer::Delta(writer, "word ", 1);
      return ToGrpc(error);
    };
  }
  void ExpectSettled(billing::v1::Outcome outcome, int prompt_tokens, int completion_tokens) {
    const auto settled = billing_.OnlySettlement();
    EXPECT_EQ(settled.outcome(), outcome);
    EXPECT_EQ(settled.prompt_tokens(), prompt_tokens);
    EXPECT_EQ(settled.completion_tokens(), completion_tokens);
  }

  const Error too_costly_{Code::kInvalidArgument, "CONSTRAINT_TOO_COSTLY", "it cannot be followed any further"};
  const std::string grammar_ = R"(,"grammar":"root ::= [a-z ]*")";
};

TEST_F(GatewayEndings, AConstraintTooCostlyInAStreamIsSettledLikeAClientThatLeft) {
  EndWith(too_costly_);
  const auto response = Chat(grammar_ + R"(,"stream":true)");
  EXPECT_EQ(response.status, 200);
  EXPECT_FALSE(response.complete) << "never ended cleanly";
  const auto error = Events(response.body).back();
  EXPECT_EQ(error["error"]["code"], "constraint_too_costly");
  EXPECT_EQ(error["error"]["type"], "invalid_request_error");
  EXPECT_EQ(error["error"]["param"], "grammar");
  ExpectSettled(billing::v1::OUTCOME_CLIENT_CANCELLED, 7, 2);
}

TEST_F(GatewayEndings, AReaderTooSlowIsSettledLikeAClientThatLeft) {
  EndWith({Code::kFailedPrecondition, "READER_TOO_SLOW", "nothing was read while others waited"});
  const auto error = Events(Chat(R"(,"stream":true)").body).back();
  EXPECT_EQ(error["error"]["code"], "reader_too_slow");
  EXPECT_EQ(error["error"]["type"], "invalid_request_error");
  ExpectSettled(billing::v1::OUTCOME_CLIENT_CANCELLED, 7, 2);
}

TEST_F(GatewayEndings, BeforeItsFirstTokenNothingWasDelivered) {
  EndWith(too_costly_, 0);
  const auto response = Chat(grammar_ + R"(,"stream":true)");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(ErrorCode(response), "constraint_too_costly");
  ExpectSettled(billing::v1::OUTCOME_CLIENT_CANCELLED, 7, 0);
}

TEST_F(GatewayEndings, AConstraintTooCostlyInAWholeAnswerIsRecordedAndNothingWasDelivered) {
  EndWith(too_costly_);
  const auto response = Chat(grammar_);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(ErrorCode(response), "constraint_too_costly");
  ExpectSettled(billing::v1::OUTCOME_CLIENT_CANCELLED, 7, 0);
}

TEST_F(GatewayEndings, WhatIsRefusedBeforeAnythingWasComputedHasNoTokens) {
  for (const char* more : {"", R"(,"stream":true)"}) {
    worker_.script = [this](auto&, const auto&, auto&) { return ToGrpc(too_costly_); };
    EXPECT_EQ(Chat(grammar_ + more).status, 400);
  }
  ASSERT_TRUE(Eventually([&] { return billing_.Settled().size() == 2; }));
  for (const auto& settled : billing_.Settled()) {
    EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_COMPLETED);
    EXPECT_EQ(settled.prompt_tokens() + settled.completion_tokens(), 0);
  }
}

TEST_F(GatewayEndings, TheNextGatewaySaysTheSameOfAConstraintTooCostly) {
  billing_.settle_failures = 1'000'000;
  EndWith(too_costly_);
  EXPECT_FALSE(Chat(grammar_ + R"(,"stream":true)").complete);
  gateway_->Stop();
  gateway_.reset();
  billing_.settle_failures = 0;
  StartGateway();
  ExpectSettled(billing::v1::OUTCOME_CLIENT_CANCELLED, 7, 2);
}

TEST_F(GatewayEndings, NothingElseIsTheCallersDoingOnceTextWasDelivered) {
  EndWith({Code::kInvalidArgument, "CONTEXT_LENGTH_EXCEEDED", "said too late to be true"});
  const auto response = Chat(R"(,"stream":true)");
  EXPECT_FALSE(response.complete);
  EXPECT_EQ(Events(response.body).back()["error"]["code"], "worker_failed");
  ExpectSettled(billing::v1::OUTCOME_FAULT, 7, 2);
}

TEST_F(GatewayEndings, WhatAWorkerSaysOfTheGatewayIsNotTheClients) {
  worker_.script = [](auto&, const auto&, auto&) {
    return ToGrpc(Error{Code::kPermissionDenied, "WRONG_TENANT", "it is another's"});
  };
  const auto response = Chat();
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(ErrorCode(response), "worker_failed");
  ExpectSettled(billing::v1::OUTCOME_FAULT, 0, 0);
}

TEST_F(GatewayEndings, AWorkerThatLacksSomethingIsOverloaded) {
  worker_.script = [](auto&, const auto&, auto&) {
    return ToGrpc(Error{Code::kResourceExhausted, "NO_THREAD", "no thread could be started"});
  };
  const auto response = Chat();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(ErrorCode(response), "overloaded");
  EXPECT_THAT(response.head, HasSubstr("retry-after: "));
  ExpectSettled(billing::v1::OUTCOME_FAULT, 0, 0);
}

// A stream whose worker ends while `change` was made to the instance.
class GatewayChanges : public GatewayEndings {
 protected:
  nlohmann::json StreamThatEnds(const std::function<void()>& change, const grpc::Status& end) {
    worker_.script = [&](grpc::ServerContext&, const auto&, WorkerPeer::Writer& writer) {
      WorkerPeer::Started(writer, 7);
      for (int i = 0; i < 2; ++i) WorkerPeer::Delta(writer, "word ", 1);
      change();
      return end;
    };
    const auto response = Chat(R"(,"stream":true)");
    EXPECT_FALSE(response.complete) << "never ended cleanly";
    return Events(response.body).back()["error"];
  }
  // Until the gateway has the routes as they are now.
  void AwaitRoute() {
    EXPECT_TRUE(Eventually([&] { return routes_.acknowledged(); }));
  }

  const grpc::Status lost_{grpc::StatusCode::UNAVAILABLE, "Socket closed"};
  const grpc::Status drained_ = ToGrpc(Error{Code::kUnavailable, "DRAINED", "the worker ends"});
};

TEST_F(GatewayChanges, WhatTheTenantChangedOrDeletedIsSettledLikeAClientThatLeft) {
  const auto update = [&] {
    routes_.Update([](auto& route) { route.set_generation(route.generation() + 1); }, Target("next"));
    AwaitRoute();
  };
  const auto move = [&] {
    routes_.SetTargets({Target("next")});
    AwaitRoute();
  };
  const auto remove = [&] {
    routes_.Remove();
    AwaitRoute();
  };
  const std::pair<std::function<void()>, grpc::Status> table[] = {
      {update, lost_}, {update, drained_}, {update, grpc::Status::CANCELLED}, {move, drained_}, {remove, lost_}};
  std::size_t settled = 0;
  for (const auto& [change, end] : table) {
    const auto error = StreamThatEnds(change, end);
    EXPECT_EQ(error["code"], "instance_changed") << settled;
    EXPECT_EQ(error["type"], "invalid_request_error");
    ++settled;
    ASSERT_TRUE(Eventually([&] { return billing_.Settled().size() == settled; }));
    routes_.SetTargets({Target("worker")});
    AwaitRoute();
  }
  for (const auto& one : billing_.Settled()) {
    EXPECT_EQ(one.outcome(), billing::v1::OUTCOME_CLIENT_CANCELLED);
    EXPECT_EQ(one.prompt_tokens(), 7);
    EXPECT_EQ(one.completion_tokens(), 2);
  }
}

TEST_F(GatewayChanges, AReplicaThatIsLostIsAFaultAlsoBesideAChangeThatLeftItAlone) {
  const auto nothing = [] {};
  const auto scale = [&] {
    routes_.Update([](auto& route) { route.set_generation(route.generation() + 1); }, Target("worker"));
    AwaitRoute();
  };
  const auto crash = [&] {
    routes_.SetTargets({});
    AwaitRoute();
  };
  const std::pair<std::function<void()>, grpc::Status> table[] = {
      {nothing, lost_}, {nothing, drained_}, {scale, lost_}, {crash, lost_}};
  std::size_t settled = 0;
  for (const auto& [change, end] : table) {
    routes_.SetTargets({Target("worker")});
    if (settled == 3) RestartGateway();  // a replica of the newest generation
    AwaitRoute();
    EXPECT_EQ(StreamThatEnds(change, end)["code"], "worker_lost") << settled;
    ++settled;
    ASSERT_TRUE(Eventually([&] { return billing_.Settled().size() == settled; }));
  }
  for (const auto& one : billing_.Settled()) EXPECT_EQ(one.outcome(), billing::v1::OUTCOME_FAULT);
}

TEST_F(GatewayEndings, AnAnswerThatItsReaderDidNotTakeInTimeIsTheReadersDoing) {
  adjust_ = [](GatewayConfig& config) { config.http.request_timeout_ms = 1500; };
  routes_.Update([](auto& route) { route.set_context_tokens(4096); }, Target("worker"));
  RestartGateway();
  // More than sockets hold.
  worker_.script = [](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < 4000 && !context.IsCancelled(); ++i) WorkerPeer::Delta(writer, std::string(3000, 'a'), 1);
    return grpc::Status::OK;
  };
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(Eventually([&] { return worker_.cancelled == 1; }));
  EXPECT_THAT(client.ReceiveAll(), HasSubstr("reader_too_slow"));
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_CLIENT_CANCELLED);
  EXPECT_GT(settled.completion_tokens(), 0);
}

TEST_F(GatewayEndings, AnAnswerThatTheSocketDidNotTakeIsTakenBack) {
  routes_.Update([](auto& route) { route.set_context_tokens(4096); }, Target("worker"));
  // More than sockets hold.
  worker_.script = [](grpc::ServerContext&, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < 2000; ++i) WorkerPeer::Delta(writer, std::string(3000, 'a'), 1);
    WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_STOP);
    return grpc::Status::OK;
  };
  RestartGateway();
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody());
  ASSERT_TRUE(client.ReadUntil("HTTP/1.1 200"));
  client.Reset();
  ExpectSettled(billing::v1::OUTCOME_CLIENT_CANCELLED, 7, 0);
}

}  // namespace
}  // namespace allod::gateway::gateway_endings_test
