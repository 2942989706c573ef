#include "gateway/openai/response.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace allod::gateway::openai::response_test {
namespace {

using Json = nlohmann::json;

const AnswerHead kChat{.chat = true, .id = "chatcmpl-1", .created = 1'900'000'000, .model = "ke-assistant"};

AnswerDelta TextDelta(const std::string& text, int choice = 0) {
  AnswerDelta out;
  out.set_text(text);
  out.set_token_count(1);
  out.set_choice(choice);
  return out;
}

Json DeltaChunk(const AnswerHead& head, const AnswerDelta& delta) {
  std::int64_t offset = 0;
  return Json::parse(DeltaChunkJson(head, delta, offset));
}

std::vector<AnswerChoice> OneAnswer(const std::string& text) {
  std::vector<AnswerChoice> out(1);
  out[0].text = text;
  out[0].reason = inference::v1::FINISH_REASON_STOP;
  return out;
}

TEST(OpenAiResponse, ChunksShareIdCreatedAndModel) {
  for (const Json& chunk : {Json::parse(StartChunkJson(kChat, 0)), DeltaChunk(kChat, TextDelta("hi")),
                            Json::parse(FinishChunkJson(kChat, 0, inference::v1::FINISH_REASON_STOP)),
                            Json::parse(UsageChunkJson(kChat, {1, 2}))}) {
    EXPECT_EQ(chunk["id"], "chatcmpl-1");
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    EXPECT_EQ(chunk["created"], 1'900'000'000);
    EXPECT_EQ(chunk["model"], "ke-assistant");
  }
}

TEST(OpenAiResponse, RoleComesFirstAndFinishReasonLast) {
  const Json start = Json::parse(StartChunkJson(kChat, 0))["choices"][0];
  EXPECT_EQ(start["delta"]["role"], "assistant");
  EXPECT_EQ(start["finish_reason"], nullptr);
  const Json delta = DeltaChunk(kChat, TextDelta("Habari"))["choices"][0];
  EXPECT_EQ(delta["delta"], Json({{"content", "Habari"}}));
  const Json finish = Json::parse(FinishChunkJson(kChat, 0, inference::v1::FINISH_REASON_LENGTH))["choices"][0];
  EXPECT_EQ(finish["finish_reason"], "length");
  EXPECT_TRUE(finish["delta"].empty());
}

TEST(OpenAiResponse, UsageIsNullUntilTheUsageChunkAndOnlyIfAskedFor) {
  AnswerHead asked = kChat;
  asked.include_usage = true;
  EXPECT_TRUE(DeltaChunk(asked, TextDelta("x"))["usage"].is_null());
  EXPECT_TRUE(DeltaChunk(asked, TextDelta("x")).contains("usage"));
  EXPECT_FALSE(DeltaChunk(kChat, TextDelta("x")).contains("usage"));
  const Json usage = Json::parse(UsageChunkJson(asked, {5, 7}));
  EXPECT_TRUE(usage["choices"].is_array() && usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["total_tokens"], 12);
}

TEST(OpenAiResponse, WholeAnswers) {
  const Json chat = Json::parse(AnswerJson(kChat, OneAnswer("Habari"), {1, 2}));
  EXPECT_EQ(chat["object"], "chat.completion");
  EXPECT_EQ(chat["choices"][0]["message"]["content"], "Habari");
  AnswerHead text = kChat;
  text.chat = false;
  const Json completion = Json::parse(AnswerJson(text, OneAnswer("Habari"), {1, 2}));
  EXPECT_EQ(completion["object"], "text_completion");
  EXPECT_EQ(completion["choices"][0]["text"], "Habari");
}

TEST(OpenAiResponse, EventsAreOneLineWhateverTheText) {
  std::int64_t offset = 0;
  const std::string event = SseData(DeltaChunkJson(kChat, TextDelta("a\nb\r\n\ndata: c"), offset));
  EXPECT_TRUE(event.starts_with("data: {"));
  EXPECT_TRUE(event.ends_with("}\n\n"));
  EXPECT_EQ(event.find('\n'), event.size() - 2);
  EXPECT_EQ(SseComment("keep-alive"), ": keep-alive\n\n");
}

TEST(OpenAiResponse, UsageTellsWhatWasCached) {
  const Json usage = Json::parse(UsageChunkJson(kChat, {10, 7, 8}))["usage"];
  EXPECT_EQ(usage["prompt_tokens_details"]["cached_tokens"], 8);
  EXPECT_EQ(usage["total_tokens"], 17);
}

TEST(OpenAiResponse, ToolCallsComeInPiecesAndAddUp) {
  AnswerDelta first;
  auto& piece = *first.add_tool_calls();
  piece.set_id("call_1");
  piece.set_name("f");
  piece.set_arguments("{\"x\"");
  AnswerDelta second;
  second.add_tool_calls()->set_arguments(":1}");
  const Json delta = DeltaChunk(kChat, first)["choices"][0]["delta"];
  EXPECT_EQ(delta, Json::parse(R"({"tool_calls":[{"index":0,"id":"call_1","type":"function",
                                   "function":{"name":"f","arguments":"{\"x\""}}]})"));
  EXPECT_EQ(DeltaChunk(kChat, second)["choices"][0]["delta"],
            Json::parse(R"({"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]})"));
  std::vector<AnswerChoice> answer(1);
  EXPECT_TRUE(answer[0].Add(AnswerDelta(first)));
  EXPECT_TRUE(answer[0].Add(AnswerDelta(second)));
  answer[0].reason = inference::v1::FINISH_REASON_TOOL_CALLS;
  const Json choice = Json::parse(AnswerJson(kChat, answer, {}))["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["content"], nullptr);
  EXPECT_EQ(choice["message"]["tool_calls"][0],
            Json::parse(R"({"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}})"));
  AnswerDelta far;
  far.add_tool_calls()->set_index(7);
  EXPECT_FALSE(answer[0].Add(std::move(far))) << "a piece of a call that was never begun";
}

AnswerDelta DeltaWithLogprobs() {
  AnswerDelta out = TextDelta("ha\u00e9");
  auto& whole = *out.add_logprobs();
  whole.mutable_token()->set_token("ha");
  whole.mutable_token()->set_logprob(-0.5F);
  whole.add_top()->set_token("ha");
  whole.mutable_top(0)->set_logprob(-0.5F);
  auto& part = *out.add_logprobs();
  part.mutable_token()->set_token("\xc3");
  part.mutable_token()->set_logprob(-1);
  return out;
}

TEST(OpenAiResponse, ChatLogprobsShowTheBytesOfTokens) {
  const Json logprobs = DeltaChunk(kChat, DeltaWithLogprobs())["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["content"][0], Json::parse(R"({"token":"ha","logprob":-0.5,"bytes":[104,97],
      "top_logprobs":[{"token":"ha","logprob":-0.5,"bytes":[104,97]}]})"));
  EXPECT_EQ(logprobs["content"][1]["token"], "\ufffd");
  EXPECT_EQ(logprobs["content"][1]["bytes"], Json::array({0xc3}));
}

TEST(OpenAiResponse, CompletionLogprobsAreColumns) {
  AnswerHead text = kChat;
  text.chat = false;
  std::int64_t offset = 5;
  const Json chunk = Json::parse(DeltaChunkJson(text, DeltaWithLogprobs(), offset));
  const Json logprobs = chunk["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"][0], "ha");
  EXPECT_EQ(logprobs["token_logprobs"], Json::array({-0.5, -1.0}));
  EXPECT_EQ(logprobs["top_logprobs"][0]["ha"], -0.5);
  EXPECT_EQ(logprobs["text_offset"], Json::array({5, 7}));
  EXPECT_EQ(offset, 8);
}

TEST(OpenAiResponse, ChoicesHaveTheirIndex) {
  std::vector<AnswerChoice> answers(2);
  answers[1].text = "second";
  answers[1].reason = inference::v1::FINISH_REASON_LENGTH;
  const Json choices = Json::parse(AnswerJson(kChat, answers, {}))["choices"];
  EXPECT_EQ(choices[1]["index"], 1);
  EXPECT_EQ(choices[1]["message"]["content"], "second");
  EXPECT_EQ(choices[1]["finish_reason"], "length");
  EXPECT_EQ(DeltaChunk(kChat, TextDelta("x", 1))["choices"][0]["index"], 1);
}

TEST(OpenAiResponse, ModelLists) {
  EXPECT_EQ(ModelListJson({}), R"({"object":"list","data":[]})");
  const Json list = Json::parse(ModelListJson({{"a/b", 5, "ke"}}));
  EXPECT_EQ(list["data"][0], Json({{"id", "a/b"}, {"object", "model"}, {"created", 5}, {"owned_by", "ke"}}));
}

}  // namespace
}  // namespace allod::gateway::openai::response_test
