#include "gateway/openai_response.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace allod::gateway {
namespace {

using Json = nlohmann::json;

const AnswerHead kChat{.chat = true, .id = "chatcmpl-1", .created = 1'900'000'000, .model = "ke-assistant"};

TEST(OpenAiResponse, ChunksShareIdCreatedAndModel) {
  for (const std::string& text :
       {StartChunkJson(kChat), DeltaChunkJson(kChat, "hi"), FinishChunkJson(kChat, inference::v1::FINISH_REASON_STOP),
        UsageChunkJson(kChat, {1, 2})}) {
    const Json chunk = Json::parse(text);
    EXPECT_EQ(chunk["id"], "chatcmpl-1");
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    EXPECT_EQ(chunk["created"], 1'900'000'000);
    EXPECT_EQ(chunk["model"], "ke-assistant");
  }
}

TEST(OpenAiResponse, RoleComesFirstAndFinishReasonLast) {
  const Json start = Json::parse(StartChunkJson(kChat))["choices"][0];
  EXPECT_EQ(start["delta"]["role"], "assistant");
  EXPECT_EQ(start["finish_reason"], nullptr);
  const Json delta = Json::parse(DeltaChunkJson(kChat, "Habari"))["choices"][0];
  EXPECT_EQ(delta["delta"], Json({{"content", "Habari"}}));
  const Json finish = Json::parse(FinishChunkJson(kChat, inference::v1::FINISH_REASON_LENGTH))["choices"][0];
  EXPECT_EQ(finish["finish_reason"], "length");
  EXPECT_TRUE(finish["delta"].empty());
}

TEST(OpenAiResponse, UsageIsNullUntilTheUsageChunkAndOnlyIfAskedFor) {
  AnswerHead asked = kChat;
  asked.include_usage = true;
  EXPECT_TRUE(Json::parse(DeltaChunkJson(asked, "x"))["usage"].is_null());
  EXPECT_TRUE(Json::parse(DeltaChunkJson(asked, "x")).contains("usage"));
  EXPECT_FALSE(Json::parse(DeltaChunkJson(kChat, "x")).contains("usage"));
  const Json usage = Json::parse(UsageChunkJson(asked, {5, 7}));
  EXPECT_TRUE(usage["choices"].is_array() && usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["total_tokens"], 12);
}

TEST(OpenAiResponse, WholeAnswers) {
  const Json chat = Json::parse(AnswerJson(kChat, "Habari", inference::v1::FINISH_REASON_STOP, {1, 2}));
  EXPECT_EQ(chat["object"], "chat.completion");
  EXPECT_EQ(chat["choices"][0]["message"]["content"], "Habari");
  AnswerHead text = kChat;
  text.chat = false;
  const Json completion = Json::parse(AnswerJson(text, "Habari", inference::v1::FINISH_REASON_STOP, {1, 2}));
  EXPECT_EQ(completion["object"], "text_completion");
  EXPECT_EQ(completion["choices"][0]["text"], "Habari");
}

TEST(OpenAiResponse, EventsAreOneLineWhateverTheText) {
  const std::string event = SseData(DeltaChunkJson(kChat, "a\nb\r\n\ndata: c"));
  EXPECT_TRUE(event.starts_with("data: {"));
  EXPECT_TRUE(event.ends_with("}\n\n"));
  EXPECT_EQ(event.find('\n'), event.size() - 2);
  EXPECT_EQ(SseComment("keep-alive"), ": keep-alive\n\n");
}

TEST(OpenAiResponse, ModelLists) {
  EXPECT_EQ(ModelListJson({}), R"({"object":"list","data":[]})");
  const Json list = Json::parse(ModelListJson({{"a/b", 5, "ke"}}));
  EXPECT_EQ(list["data"][0], Json({{"id", "a/b"}, {"object", "model"}, {"created", 5}, {"owned_by", "ke"}}));
}

}  // namespace
}  // namespace allod::gateway
