#include "gateway/openai_request.h"

#include <gtest/gtest.h>

namespace allod::gateway {
namespace {

std::string Chat(const std::string& more) {
  return R"({"model":"m","messages":[{"role":"user","content":"hi"}])" + more + "}";
}

TEST(OpenAiRequest, ReadsAWholeChatRequest) {
  const auto parsed = ParseChatRequest(R"({
    "model": "ke-assistant", "stream": true, "stream_options": {"include_usage": true},
    "messages": [{"role": "developer", "content": "Be brief."},
                 {"role": "user", "name": "amina", "content": [{"type": "text", "text": "Ha"}, {"type": "text", "text": "bari"}]},
                 {"role": "assistant", "content": "Nzuri", "refusal": null}],
    "temperature": 0, "top_p": 0.5, "frequency_penalty": -2, "presence_penalty": 2, "seed": 4294967298,
    "stop": ["a", "b"], "max_tokens": 7, "max_completion_tokens": 9,
    "n": 1, "tools": [], "tool_choice": "none", "response_format": {"type": "text"}, "logprobs": false, "logit_bias": {},
    "user": "u", "metadata": {"k": "v"}, "store": false, "parallel_tool_calls": true, "audio": null})");
  ASSERT_TRUE(parsed) << parsed.error().error.message;
  EXPECT_EQ(parsed->model, "ke-assistant");
  EXPECT_TRUE(parsed->stream);
  EXPECT_TRUE(parsed->include_usage);
  const auto& generate = parsed->generate;
  ASSERT_EQ(generate.chat().messages_size(), 3);
  EXPECT_EQ(generate.chat().messages(0).role(), "system");
  EXPECT_EQ(generate.chat().messages(1).content(), "Habari");
  EXPECT_EQ(generate.sampling().temperature(), 0.0F);
  EXPECT_TRUE(generate.sampling().has_temperature());
  EXPECT_FALSE(generate.sampling().has_top_k());
  EXPECT_EQ(generate.sampling().seed(), 2U) << "the low half of a 64-bit seed";
  EXPECT_EQ(generate.stop_size(), 2);
  EXPECT_EQ(generate.max_completion_tokens(), 9) << "the newer name wins";
}

TEST(OpenAiRequest, NamesTheParameterOfEveryRefusal) {
  struct Row {
    std::string body;
    const char* param;
    const char* reason;
  };
  const Row table[] = {
      {"", "", "INVALID_JSON"},
      {"[]", "", "INVALID_JSON"},
      {R"({"model":"m")", "", "INVALID_JSON"},
      {"{\"model\":\"\xff\"}", "", "INVALID_JSON"},
      {R"({"model":1e999})", "", "INVALID_JSON"},
      {std::string(100, '[') + std::string(100, ']'), "", "INVALID_JSON"},
      {R"({"messages":[]})", "model", "MISSING_PARAMETER"},
      {R"({"model":5})", "model", "INVALID_TYPE"},
      {R"({"model":"m"})", "messages", "MISSING_PARAMETER"},
      {R"({"model":"m","messages":"hi"})", "messages", "INVALID_TYPE"},
      {R"({"model":"m","messages":[]})", "messages", "OUT_OF_RANGE"},
      {R"({"model":"m","messages":[{"role":"user"}]})", "messages[0].content", "MISSING_PARAMETER"},
      {R"({"model":"m","messages":[{"content":"x"}]})", "messages[0].role", "MISSING_PARAMETER"},
      {R"({"model":"m","messages":[{"role":"king","content":"x"}]})", "messages[0].role", "INVALID_VALUE"},
      {R"({"model":"m","messages":[{"role":"tool","content":"x"}]})", "messages[0].role", "UNSUPPORTED_PARAMETER"},
      {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]})", "messages[0].content[0].type",
       "UNSUPPORTED_PARAMETER"},
      {R"({"model":"m","messages":[{"role":"user","content":"x","colour":1}]})", "messages[0].colour",
       "UNKNOWN_PARAMETER"},
      {Chat(R"(,"temperature":2.1)"), "temperature", "OUT_OF_RANGE"},
      {Chat(R"(,"temperature":"1")"), "temperature", "INVALID_TYPE"},
      {Chat(R"(,"max_tokens":0)"), "max_tokens", "OUT_OF_RANGE"},
      {Chat(R"(,"max_tokens":1.5)"), "max_tokens", "INVALID_TYPE"},
      {Chat(R"(,"max_tokens":18446744073709551615)"), "max_tokens", "OUT_OF_RANGE"},
      {Chat(R"(,"stop":["a","b","c","d","e"])"), "stop", "OUT_OF_RANGE"},
      {Chat(R"(,"stop":["a",5])"), "stop[1]", "INVALID_TYPE"},
      {Chat(R"(,"stop":"")"), "stop", "OUT_OF_RANGE"},
      {Chat(R"(,"stream":"yes")"), "stream", "INVALID_TYPE"},
      {Chat(R"(,"stream_options":{})"), "stream_options", "INVALID_PARAMETER"},
      {Chat(R"(,"stream":true,"stream_options":{"usage":true})"), "stream_options.usage", "UNKNOWN_PARAMETER"},
      {Chat(R"(,"n":2)"), "n", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"tools":[{}])"), "tools", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"response_format":{"type":"json_object"})"), "response_format", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"logprobs":true)"), "logprobs", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"logit_bias":{"5":1})"), "logit_bias", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"audio":{})"), "audio", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"store":true)"), "store", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"temprature":1)"), "temprature", "UNKNOWN_PARAMETER"},
  };
  for (const Row& row : table) {
    const auto parsed = ParseChatRequest(row.body);
    ASSERT_FALSE(parsed) << row.body;
    EXPECT_EQ(parsed.error().param, row.param) << row.body;
    EXPECT_EQ(parsed.error().error.reason, row.reason) << row.body;
    EXPECT_EQ(parsed.error().error.code, Code::kInvalidArgument) << row.body;
    EXPECT_NE(parsed.error().error.message.find(row.param), std::string::npos) << parsed.error().error.message;
  }
}

TEST(OpenAiRequest, ReadsCompletions) {
  const auto parsed =
      ParseCompletionRequest(R"({"model":"m","prompt":["Once"],"echo":false,"best_of":1,"suffix":null})");
  ASSERT_TRUE(parsed) << parsed.error().error.message;
  EXPECT_EQ(parsed->generate.text(), "Once");
  EXPECT_EQ(parsed->generate.max_completion_tokens(), 16) << "OpenAI's default";
  EXPECT_FALSE(parsed->chat);
}

TEST(OpenAiRequest, RefusesBatchedPrompts) {
  for (const char* body : {R"({"model":"m","prompt":["a","b"]})", R"({"model":"m","prompt":[1,2]})",
                           R"({"model":"m","prompt":"a","suffix":"b"})", R"({"model":"m","prompt":"a","echo":true})"}) {
    const auto parsed = ParseCompletionRequest(body);
    ASSERT_FALSE(parsed) << body;
    EXPECT_EQ(parsed.error().error.reason, "UNSUPPORTED_PARAMETER") << body;
  }
}

}  // namespace
}  // namespace allod::gateway
