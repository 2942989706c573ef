// What clients may ask of an answer, through the real gateway: what the worker is told, and what comes back.
#include <gmock/gmock.h>

#include "services/common/ids.h"
#include "tests/integration/gateway_fixture.h"

namespace allod::gateway::gateway_features_test {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;
using testing::Not;

class GatewayFeatures : public GatewayTest {
 protected:
  // The worker's next answer; what it was asked is in asked_.
  void Answer(std::function<void(WorkerPeer::Writer&)> answer) {
    worker_.script = [this, answer = std::move(answer)](grpc::ServerContext&, const auto& request,
                                                        WorkerPeer::Writer& writer) {
      {
        const std::lock_guard lock(mutex_);
        asked_ = request;
      }
      answer(writer);
      WorkerPeer::Finished(writer, inference::v1::FINISH_REASON_STOP);
      return grpc::Status::OK;
    };
  }
  inference::v1::GenerateRequest asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  HttpClient::Response Embeddings(const std::string& more) {
    return Fetch(port(), "POST", "/v1/embeddings", key_, R"({"model":"assistant")" + more + "}");
  }

 private:
  std::mutex mutex_;
  inference::v1::GenerateRequest asked_;
};

void TwoChoices(WorkerPeer::Writer& writer) {
  WorkerPeer::Started(writer, 7, 4);
  WorkerPeer::Delta(writer, "one", 1, 0);
  WorkerPeer::Delta(writer, "zwei", 2, 1);
  WorkerPeer::ChoiceFinished(writer, 1, inference::v1::FINISH_REASON_LENGTH);
  WorkerPeer::Delta(writer, " more", 1, 0);
  WorkerPeer::ChoiceFinished(writer, 0, inference::v1::FINISH_REASON_STOP);
}

TEST_F(GatewayFeatures, TheWorkerIsToldWhoAsks) {
  Answer(TwoChoices);
  EXPECT_EQ(Chat(R"(,"n":2)").status, 200);
  EXPECT_EQ(asked().tenant_uid(), TenantId::FromName("tenants/ke")->ToString());
  EXPECT_EQ(asked().instance(), kInstance);
  EXPECT_EQ(asked().request_id(), billing_.OnlySettlement().request_id());
}

TEST_F(GatewayFeatures, SeveralChoicesInOneAnswer) {
  Answer(TwoChoices);
  const auto response = Chat(R"(,"n":2,"max_tokens":10)");
  const auto json = nlohmann::json::parse(response.body);
  ASSERT_EQ(json["choices"].size(), 2U);
  EXPECT_EQ(json["choices"][0]["message"]["content"], "one more");
  EXPECT_EQ(json["choices"][1]["message"]["content"], "zwei");
  EXPECT_EQ(json["choices"][1]["finish_reason"], "length");
  EXPECT_EQ(json["usage"]["completion_tokens"], 4);
  EXPECT_EQ(json["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
  EXPECT_EQ(asked().choice_count(), 2);
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens_max(), 20) << "for each choice";
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens(), 4);
}

TEST_F(GatewayFeatures, SeveralChoicesInOneStream) {
  Answer(TwoChoices);
  const auto response = Chat(R"(,"n":2,"stream":true,"stream_options":{"include_usage":true})");
  const auto events = Events(response.body);
  ASSERT_EQ(events.size(), 8U) << response.body;
  for (const int i : {0, 1}) {
    EXPECT_EQ(events[static_cast<std::size_t>(i)]["choices"][0]["index"], i);
    EXPECT_EQ(events[static_cast<std::size_t>(i)]["choices"][0]["delta"]["role"], "assistant");
  }
  EXPECT_EQ(events[3]["choices"][0]["index"], 1);
  EXPECT_EQ(events[3]["choices"][0]["delta"]["content"], "zwei");
  EXPECT_EQ(events[4]["choices"][0]["finish_reason"], "length") << "a choice is finished when it ends";
  EXPECT_EQ(events[6]["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(events[7]["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
  EXPECT_THAT(response.body, testing::EndsWith("data: [DONE]\n\n"));
}

TEST_F(GatewayFeatures, ToolCallsStreamAsPiecesAndFinishAsToolCalls) {
  Answer([](WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    for (const char* arguments : {"", "{\"city\":", "\"Nairobi\"}"}) {
      inference::v1::GenerateResponse message;
      auto& piece = *message.mutable_delta()->add_tool_calls();
      message.mutable_delta()->set_token_count(1);
      if (*arguments == '\0') {
        piece.set_id("call_1");
        piece.set_name("weather");
      }
      piece.set_arguments(arguments);
      writer.Write(message);
    }
    WorkerPeer::ChoiceFinished(writer, 0, inference::v1::FINISH_REASON_TOOL_CALLS);
  });
  const std::string tools =
      R"(,"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}],"tool_choice":"required")";
  const auto streamed = Events(Chat(tools + R"(,"stream":true)").body);
  ASSERT_EQ(streamed.size(), 5U);
  EXPECT_EQ(streamed[1]["choices"][0]["delta"]["tool_calls"][0]["function"]["name"], "weather");
  EXPECT_EQ(streamed[2]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"], "{\"city\":");
  EXPECT_EQ(streamed[4]["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_EQ(asked().chat().tool_choice(), inference::v1::TOOL_CHOICE_REQUIRED);
  const auto whole = nlohmann::json::parse(Chat(tools).body)["choices"][0];
  EXPECT_EQ(whole["finish_reason"], "tool_calls");
  EXPECT_EQ(whole["message"]["tool_calls"][0]["function"]["arguments"], R"({"city":"Nairobi"})");
}

TEST_F(GatewayFeatures, LogprobsComeWithTheirTokens) {
  Answer([](WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    inference::v1::GenerateResponse message;
    auto& delta = *message.mutable_delta();
    delta.set_text("ya");
    delta.set_token_count(1);
    auto& logprob = *delta.add_logprobs();
    logprob.mutable_token()->set_token("ya");
    logprob.mutable_token()->set_logprob(-0.25F);
    writer.Write(message);
  });
  const auto json = nlohmann::json::parse(Chat(R"(,"logprobs":true,"top_logprobs":2)").body);
  EXPECT_EQ(json["choices"][0]["logprobs"]["content"][0]["logprob"], -0.25);
  EXPECT_TRUE(asked().logprobs());
  EXPECT_EQ(asked().top_logprobs(), 2);
  const auto legacy = nlohmann::json::parse(
      Fetch(port(), "POST", "/v1/completions", key_, R"({"model":"assistant","prompt":"x","logprobs":1})").body);
  EXPECT_EQ(legacy["choices"][0]["logprobs"]["token_logprobs"][0], -0.25);
}

TEST_F(GatewayFeatures, TakesNoPromptThatMayNotBeWhereItStands) {
  const auto rule = [](residency::v1::DataClass data_class, const char* jurisdiction) {
    return [=](scheduling::v1::Route& route) {
      route.mutable_residency()->clear_rules();
      auto& added = *route.mutable_residency()->add_rules();
      added.set_data_class(data_class);
      added.add_jurisdictions(jurisdiction);
    };
  };
  const auto apply = [&](const auto& change) {
    routes_.Update(change, Target("worker"));
    EXPECT_TRUE(Eventually([&] { return routes_.acknowledged(); }));
  };
  Answer(TwoChoices);
  apply(rule(residency::v1::DATA_CLASS_USAGE, "tz"));
  EXPECT_EQ(Chat(R"(,"n":2)").status, 200) << "no class of what a gateway takes";
  EXPECT_TRUE(Eventually([&] { return billing_.Settled().size() == 1; }));
  apply(rule(residency::v1::DATA_CLASS_PROMPTS, "tz"));
  for (const auto& response : {Chat(), Embeddings(R"(,"input":"a")")}) {
    EXPECT_EQ(response.status, 400);
    EXPECT_THAT(response.body, AllOf(HasSubstr("residency"), HasSubstr("stands in jurisdiction ke"),
                                     HasSubstr("residency rule for PROMPTS (tz)")));
  }
  EXPECT_EQ(billing_.Settled().size(), 1U) << "nothing was begun";
  // It may take the prompt, and has nowhere to send it.
  apply(rule(residency::v1::DATA_CLASS_KV_CACHE, "tz"));
  EXPECT_EQ(Chat().status, 503);
  EXPECT_THAT(Metrics().body, HasSubstr("allod_gateway_targets_outside_residency_total"));
}

TEST_F(GatewayFeatures, RefusalsOfTheWorkerNameTheParameter) {
  struct Row {
    std::string reason, more, param;
  };
  for (const Row& row :
       {Row{"INVALID_CONSTRAINT", R"(,"response_format":{"type":"json_object"})", "response_format"},
        Row{"INVALID_CONSTRAINT",
            R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"not":{}}}})",
            "response_format.json_schema.schema"},
        Row{"INVALID_CONSTRAINT", R"(,"grammar":"root ::= (")", "grammar"}, Row{"INVALID_TOOL", "", "tools"},
        Row{"TEMPLATE_FAILED", "", "messages"}}) {
    worker_.script = [&](grpc::ServerContext&, const auto&, WorkerPeer::Writer&) {
      return ToGrpc(Error{Code::kInvalidArgument, row.reason, "no"});
    };
    const auto response = Chat(row.more);
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(nlohmann::json::parse(response.body)["error"]["param"], row.param);
  }
}

TEST_F(GatewayFeatures, TooManyLogprobsForAWholeAnswerAreRefused) {
  const auto response = Chat(R"(,"n":8,"max_tokens":500,"logprobs":true,"top_logprobs":20)");
  EXPECT_EQ(response.status, 200) << "84000 of 131072";
  EXPECT_THAT(Metrics().body, HasSubstr("allod_gateway_requests_total"));
}

TEST_F(GatewayFeatures, AWorkerThatBreaksItsPromiseIsAFault) {
  Answer([](WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, "for whom?", 1, 5);
  });
  EXPECT_EQ(Chat().status, 500);
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_FAULT);
}

// A worker that was taken over counts what it likes. The hold is for a prompt of 512 tokens and 5 of completion.
TEST_F(GatewayFeatures, WhatAWorkerCountsBeyondTheRequestIsAFaultAndNeverBilled) {
  for (const int lie : {-1'000'000, 6, 2'000'000'000}) {
    Answer([&](WorkerPeer::Writer& writer) {
      WorkerPeer::Started(writer, 7);
      WorkerPeer::Delta(writer, "Habari", 1);
      WorkerPeer::Delta(writer, " ya", lie);
      WorkerPeer::ChoiceFinished(writer, 0, inference::v1::FINISH_REASON_STOP);
    });
    EXPECT_EQ(Chat(R"(,"max_tokens":5)").status, 500) << lie;
    EXPECT_THAT(Chat(R"(,"max_tokens":5,"stream":true)").body, HasSubstr("error")) << lie;
  }
  for (const int prompt : {-7, 0, 513, 2'000'000'000}) {
    Answer([&](WorkerPeer::Writer& writer) {
      WorkerPeer::Started(writer, prompt);
      WorkerPeer::Delta(writer, "Habari", 1);
    });
    // More than the money was held for: the worker has another context than the route said, or lies. Nothing runs.
    EXPECT_EQ(Chat(R"(,"max_tokens":5)").status, prompt > 512 ? 503 : 500) << prompt;
  }
  ASSERT_TRUE(Eventually([&] { return gateway_->pending_settlements() == 0; }));
  EXPECT_FALSE(billing_.Settled().empty());
  for (const auto& settled : billing_.Settled()) {
    EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_FAULT);
    EXPECT_THAT(settled.completion_tokens(), AllOf(Ge(0), Le(5)));
    EXPECT_THAT(settled.prompt_tokens(), AllOf(Ge(0), Le(512)));
  }
}

TEST_F(GatewayFeatures, AWorkerIsToldTheMostThatIsHeldFor) {
  Answer([](WorkerPeer::Writer& writer) {
    WorkerPeer::Started(writer, 7);
    WorkerPeer::Delta(writer, "Habari", 1);
  });
  EXPECT_EQ(Chat().status, 200);
  EXPECT_EQ(asked().max_completion_tokens(), 512);
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens_max(), 512);
}

TEST_F(GatewayFeatures, EmbeddingsThatCannotBeAreAFault) {
  for (const int tokens : {-1, 0, 2'000'000'000}) {
    worker_.embed_script = [=](grpc::ServerContext& context, const auto& request, auto& response) {
      const auto status = WorkerPeer::EmbedLengths(context, request, response);
      response.set_prompt_tokens(tokens);
      return status;
    };
    EXPECT_EQ(Embeddings(R"(,"input":"x")").status, tokens > 512 ? 503 : 500) << tokens;
  }
  ASSERT_TRUE(Eventually([&] { return billing_.Settled().size() == 3; }));
  for (const auto& settled : billing_.Settled()) EXPECT_EQ(settled.prompt_tokens(), 0);
}

TEST_F(GatewayFeatures, EmbeddingsAreAnsweredAndMetered) {
  const auto response = Embeddings(R"(,"input":["ha","bari"])");
  ASSERT_EQ(response.status, 200) << response.body;
  const auto json = nlohmann::json::parse(response.body);
  EXPECT_EQ(json["data"][1]["embedding"], nlohmann::json::array({1.0, 4.0}));
  EXPECT_EQ(json["usage"]["prompt_tokens"], 6);
  const auto settled = billing_.OnlySettlement();
  EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_COMPLETED);
  EXPECT_EQ(settled.prompt_tokens(), 6);
  EXPECT_EQ(settled.completion_tokens(), 0);
  EXPECT_EQ(settled.prompt_tokens_max(), 1024);
  EXPECT_EQ(settled.completion_tokens_max(), 0);
}

TEST_F(GatewayFeatures, EmbeddingsInBase64) {
  const auto json = nlohmann::json::parse(Embeddings(R"(,"input":"x","encoding_format":"base64")").body);
  EXPECT_EQ(json["data"][0]["embedding"], "AAAAAAAAgD8=");
}

TEST_F(GatewayFeatures, EmbeddingRefusals) {
  const auto wrong_size = Embeddings(R"(,"input":"x","dimensions":3)");
  EXPECT_EQ(wrong_size.status, 400);
  EXPECT_EQ(nlohmann::json::parse(wrong_size.body)["error"]["param"], "dimensions");
  EXPECT_EQ(worker_.embedded, 0) << "refused before anything is computed";
  EXPECT_EQ(Embeddings(R"(,"input":"x","dimensions":2)").status, 200);
  worker_.embed_script = [](grpc::ServerContext&, const auto&, auto&) {
    return ToGrpc(Error{Code::kFailedPrecondition, "MODEL_NOT_EMBEDDING", "this model makes no embeddings"});
  };
  const auto generative = Embeddings(R"(,"input":"x")");
  EXPECT_EQ(generative.status, 400);
  EXPECT_EQ(ErrorCode(generative), "model_not_embedding");
  EXPECT_EQ(nlohmann::json::parse(generative.body)["error"]["param"], "model");
  EXPECT_TRUE(Eventually([&] { return billing_.Settled().size() == 3; }));
  for (const auto& settled : billing_.Settled()) EXPECT_EQ(settled.outcome(), billing::v1::OUTCOME_COMPLETED);
}

TEST_F(GatewayFeatures, InstancesHaveTheirOwnFigures) {
  EXPECT_EQ(Chat().status, 200);
  const std::string model = std::string("{gen_ai_request_model=\"") + kInstance + "\"";
  const auto metrics = Metrics().body;
  EXPECT_THAT(metrics, HasSubstr("gen_ai_server_time_to_first_token_seconds_count" + model));
  EXPECT_THAT(metrics, HasSubstr("allod_gateway_inter_token_seconds_bucket" + model));
  EXPECT_THAT(metrics, HasSubstr("allod_gateway_wait_seconds_count" + model));
  EXPECT_THAT(metrics, HasSubstr("allod_gateway_tokens_total" + model + ",gen_ai_token_type=\"output\"}"));
  EXPECT_THAT(metrics, Not(HasSubstr(key_)));
}

}  // namespace
}  // namespace allod::gateway::gateway_features_test
