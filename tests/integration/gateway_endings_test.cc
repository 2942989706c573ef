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

// The worker would go on for ever: it is the gateway that ends the answer, and the call.
TEST_F(GatewayChanges, AnAnswerOfAnInstanceThatIsStoppedEndsAtOnce) {
  std::atomic<bool> is_cancelled = false;
  worker_.script = [&](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < 2; ++i) WorkerPeer::Delta(writer, "word ", 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the client has them
    routes_.Update([](auto& route) { route.set_stopped(true); }, Target("worker"));
    for (int i = 0; i < 500 && !context.IsCancelled(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    is_cancelled = context.IsCancelled();
    return grpc::Status::OK;
  };
  const auto begin = std::chrono::steady_clock::now();
  const auto response = Chat(R"(,"stream":true)");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_FALSE(response.complete) << "never ended cleanly";
  EXPECT_EQ(Events(response.body).back()["error"]["code"], "instance_changed");
  ExpectSettled(billing::v1::OUTCOME_CLIENT_CANCELLED, 7, 2);
  EXPECT_TRUE(Eventually([&] { return is_cancelled.load(); }));
  const auto refused = Chat();
  EXPECT_EQ(refused.status, 404) << "it is not routed to";
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

// Requests that may take so long only.
class GatewayLimit : public GatewayEndings {
 protected:
  void SetUp() override {
    GatewayEndings::SetUp();
    adjust_ = [](GatewayConfig& config) { config.http.request_timeout_ms = 1500; };
    routes_.Update([](auto& route) { route.set_context_tokens(4096); }, Target("worker"));
    RestartGateway();
  }
  // Accepts the prompt, answers that many tokens, and does not go on.
  void AnswerAndWait(int tokens) {
    worker_.script = [tokens](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
      WorkerPeer::Started(writer, 7);
      for (int i = 0; i < tokens; ++i) WorkerPeer::Delta(writer, "word ", 1);
      HoldUntilCancelled(context);
      return grpc::Status::CANCELLED;
    };
  }
};

TEST_F(GatewayLimit, AStreamEndsWithWhatWasDeliveredWhichIsBilled) {
  AnswerAndWait(2);
  const auto response = Chat(R"(,"stream":true,"stream_options":{"include_usage":true})");
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.complete);
  EXPECT_THAT(response.body, HasSubstr("data: [DONE]"));
  const auto events = Events(response.body);
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(events[events.size() - 2]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(events.back()["usage"]["completion_tokens"], 2);
  ExpectSettled(billing::v1::OUTCOME_COMPLETED, 7, 2);
  EXPECT_TRUE(Eventually([&] { return worker_.cancelled == 1; }));
}

TEST_F(GatewayLimit, AWholeAnswerIsWhatThereIsOfItAndIsBilled) {
  AnswerAndWait(2);
  const auto response = Chat();
  EXPECT_EQ(response.status, 200) << response.body;
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  EXPECT_EQ(json["choices"][0]["message"]["content"], "word word ");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(json["usage"]["completion_tokens"], 2);
  ExpectSettled(billing::v1::OUTCOME_COMPLETED, 7, 2);
  EXPECT_TRUE(Eventually([&] { return worker_.cancelled == 1; }));
}

TEST_F(GatewayLimit, AnAnswerOfWhichNothingCameFailsAndIsFree) {
  AnswerAndWait(0);
  worker_.embed_script = [](grpc::ServerContext& context, const auto&, auto&) {
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
  const auto whole = Chat();
  EXPECT_EQ(whole.status, 504);
  EXPECT_EQ(ErrorCode(whole), "no_answer_in_time");
  const auto stream = Chat(R"(,"stream":true)");  // which has had comments
  EXPECT_FALSE(stream.complete);
  EXPECT_EQ(Events(stream.body).back()["error"]["code"], "no_answer_in_time");
  const auto vectors = Fetch(port(), "POST", "/v1/embeddings", key_, R"({"model":"assistant","input":"Habari"})");
  EXPECT_EQ(vectors.status, 504);
  EXPECT_EQ(ErrorCode(vectors), "no_answer_in_time");
  ASSERT_TRUE(Eventually([&] { return billing_.Settled().size() == 3; }));
  for (const auto& settled : billing_.Settled()) {
    EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_FAULT);
    EXPECT_EQ(settled.completion_tokens(), 0);
  }
}

TEST_F(GatewayLimit, AReplicaThatDoesNotComeInTimeIsNotWaitedForAnyLonger) {
  adjust_ = [](GatewayConfig& config) {
    config.http.request_timeout_ms = 500;
    config.serving.wake_wait_ms_max = 60'000;
  };
  routes_.SetTargets({});
  RestartGateway();
  const auto response = Chat();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(ErrorCode(response), "no_ready_replica");
  ExpectSettled(billing::v1::OUTCOME_FAULT, 0, 0);
}

TEST_F(GatewayLimit, AReaderThatIsSlowIsBilledWhatItTook) {
  // More than sockets hold.
  worker_.script = [](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < 4000 && !context.IsCancelled(); ++i) WorkerPeer::Delta(writer, std::string(3000, 'a'), 1);
    return grpc::Status::OK;
  };
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(Eventually([&] { return worker_.cancelled == 1; }));
  EXPECT_TRUE(client.ReadUntil(R"("finish_reason":"length")"));
  EXPECT_TRUE(client.ReadUntil("[DONE]"));
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_COMPLETED);
  EXPECT_GT(settled.completion_tokens(), 0);
}

// Clients that take what they want of an answer and break the connection in the middle of it.
class GatewayBrokenOff : public GatewayEndings {
 protected:
  void SetUp() override {
    GatewayEndings::SetUp();
    routes_.Update([](auto& route) { route.set_context_tokens(4096); }, Target("worker"));
    RestartGateway();
  }
  void TakeAndReset(const std::string& path, const std::string& body) {
    HttpClient client(port(), 2048);
    client.Send("POST", path, key_, body);
    ASSERT_TRUE(client.ReadBytes(3000));
    client.Reset();
  }
};

TEST_F(GatewayBrokenOff, AWholeAnswerOfWhichAPartWasTakenIsBilledWhole) {
  // More than sockets hold.
  worker_.script = [](grpc::ServerContext&, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < 2000; ++i) WorkerPeer::Delta(writer, std::string(3000, 'a'), 1);
    WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_STOP);
    return grpc::Status::OK;
  };
  TakeAndReset("/v1/chat/completions", ChatBody());
  ExpectSettled(billing::v1::OUTCOME_COMPLETED, 7, 2000);
}

TEST_F(GatewayBrokenOff, TheTextBeforeItsLogProbabilitiesIsNotFree) {
  worker_.script = [](grpc::ServerContext&, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (int i = 0; i < 200; ++i) {
      inference::v1::GenerateResponse message;
      message.mutable_delta()->set_text("word ");
      message.mutable_delta()->set_token_count(1);
      auto& logprob = *message.mutable_delta()->add_logprobs();
      logprob.mutable_token()->set_token("word ");
      logprob.mutable_token()->set_logprob(-0.5F);
      for (int k = 0; k < 20; ++k) *logprob.add_top() = logprob.token();
      writer.Write(message);
    }
    WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_LENGTH);
    return grpc::Status::OK;
  };
  TakeAndReset("/v1/chat/completions", ChatBody(R"(,"max_tokens":200,"logprobs":true,"top_logprobs":20)"));
  ExpectSettled(billing::v1::OUTCOME_COMPLETED, 7, 200);
}

TEST_F(GatewayBrokenOff, APieceOfAStreamOfWhichAPartWasTakenIsBilled) {
  worker_.script = [](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, std::string(3'000'000, 'a'), 1000);
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
  TakeAndReset("/v1/chat/completions", ChatBody(R"(,"stream":true)"));
  ExpectSettled(billing::v1::OUTCOME_CLIENT_CANCELLED, 7, 1000);
}

TEST_F(GatewayBrokenOff, VectorsOfWhichAPartWasTakenAreBilled) {
  worker_.embed_script = [](grpc::ServerContext&, const auto& request, inference::v1::EmbedResponse& response) {
    for (int i = 0; i < request.inputs_size(); ++i) {
      auto& embedding = *response.add_embeddings();
      for (int k = 0; k < 50'000; ++k) embedding.add_values(0.1F * static_cast<float>(k % 7 + 1));
    }
    response.set_prompt_tokens(9);
    return grpc::Status::OK;
  };
  TakeAndReset("/v1/embeddings", R"({"model":"assistant","input":["a","b","c","d"]})");
  ExpectSettled(billing::v1::OUTCOME_COMPLETED, 9, 0);
}

TEST_F(GatewayBrokenOff, WhoLeavesBeforeAWholeAnswerIsThereIsNotBilled) {
  worker_.script = [](grpc::ServerContext& context, const auto&, WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, "word ", 1);
    HoldUntilCancelled(context);
    return grpc::Status::CANCELLED;
  };
  HttpClient client(port());
  client.Send("POST", "/v1/chat/completions", key_, ChatBody());
  ASSERT_TRUE(Eventually([&] { return worker_.calls == 1; }));
  client.Reset();
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_CLIENT_CANCELLED);
  EXPECT_EQ(settled.completion_tokens(), 0);
}

}  // namespace
}  // namespace allod::gateway::gateway_endings_test
