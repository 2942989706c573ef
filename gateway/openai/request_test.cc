#include "gateway/openai/request.h"

#include <gtest/gtest.h>

#include "gateway/openai/parameters.h"

namespace allod::gateway::openai::request_test {
namespace {

std::string Chat(const std::string& more) {
  return R"({"model":"m","messages":[{"role":"user","content":"hi"}])" + more + "}";
}

const std::string kTools =
    R"(,"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}])";

TEST(Request, ReadsAWholeChatRequest) {
  const auto parsed = ParseChatRequest(R"({
    "model": "ke-assistant", "stream": true, "stream_options": {"include_usage": true},
    "messages": [{"role": "developer", "content": "Be brief."},
                 {"role": "user", "name": "amina", "content": [{"type": "text", "text": "Ha"}, {"type": "text", "text": "bari"}]},
                 {"role": "assistant", "content": "Nzuri", "refusal": null}],
    "temperature": 0, "top_p": 0.5, "frequency_penalty": -2, "presence_penalty": 2, "seed": 4294967298,
    "stop": ["a", "b"], "max_tokens": 7, "max_completion_tokens": 9,
    "n": 1, "tools": [], "tool_choice": "none", "response_format": {"type": "text"}, "logprobs": false, "logit_bias": {},
    "user": "u", "metadata": {"k": "v"}, "service_tier": "auto", "prompt_cache_key": null,
     "store": false, "parallel_tool_calls": true, "audio": null})");
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

TEST(Request, NamesTheParameterOfEveryRefusal) {
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
      {R"({"model":"m","messages":[{"role":"function","content":"x"}]})", "messages[0].role", "UNSUPPORTED_PARAMETER"},
      {R"({"model":"m","messages":[{"role":"tool","content":"x"}]})", "messages[0].tool_call_id", "MISSING_PARAMETER"},
      {R"({"model":"m","messages":[{"role":"tool","content":"x","tool_call_id":"c"}]})", "messages[0].tool_call_id",
       "INVALID_VALUE"},
      {R"({"model":"m","messages":[{"role":"user","content":"x","tool_calls":[{}]}]})", "messages[0].tool_calls",
       "INVALID_PARAMETER"},
      {R"({"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"no space"}}]}]})",
       "messages[0].tool_calls[0].function.name", "INVALID_VALUE"},
      {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]})", "messages[0].content[0].type",
       "UNSUPPORTED_PARAMETER"},
      {R"({"model":"m","messages":[{"role":"user","content":"x","name":1}]})", "messages[0].name", "INVALID_TYPE"},
      {R"({"model":"m","messages":[{"role":"user","content":"x","annotations":"y"}]})", "messages[0].annotations",
       "INVALID_TYPE"},
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
      {Chat(R"(,"n":9)"), "n", "OUT_OF_RANGE"},
      {Chat(R"(,"n":0)"), "n", "OUT_OF_RANGE"},
      {Chat(R"(,"logprobs":2)"), "logprobs", "INVALID_TYPE"},
      {Chat(R"(,"top_logprobs":2)"), "top_logprobs", "INVALID_PARAMETER"},
      {Chat(R"(,"logprobs":true,"top_logprobs":21)"), "top_logprobs", "OUT_OF_RANGE"},
      {Chat(R"(,"logit_bias":[])"), "logit_bias", "INVALID_TYPE"},
      {Chat(R"(,"logit_bias":{"hello":1})"), "logit_bias.hello", "INVALID_VALUE"},
      {Chat(R"(,"logit_bias":{"-1":1})"), "logit_bias.-1", "INVALID_VALUE"},
      {Chat(R"(,"logit_bias":{"5":101})"), "logit_bias.5", "OUT_OF_RANGE"},
      {Chat(R"(,"tools":{})"), "tools", "INVALID_TYPE"},
      {Chat(R"(,"tools":[{}])"), "tools[0].type", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"tools":[{"type":"function"}])"), "tools[0].function", "MISSING_PARAMETER"},
      {Chat(R"(,"tools":[{"type":"function","function":{"name":"f","parameters":"x"}}])"),
       "tools[0].function.parameters", "INVALID_TYPE"},
      {Chat(R"(,"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}])"),
       "tools[1].function.name", "INVALID_VALUE"},
      {Chat(R"(,"tool_choice":"required")"), "tool_choice", "INVALID_PARAMETER"},
      {Chat(kTools + R"(,"tool_choice":"sometimes")"), "tool_choice", "INVALID_VALUE"},
      {Chat(kTools + R"(,"tool_choice":{"type":"function","function":{"name":"other"}})"), "tool_choice.function.name",
       "INVALID_VALUE"},
      {Chat(kTools + R"(,"tool_choice":"required","response_format":{"type":"json_object"})"), "response_format",
       "INVALID_PARAMETER"},
      {Chat(kTools + R"(,"grammar":"root ::= [a-z]+")"), "grammar", "INVALID_PARAMETER"},
      {Chat(R"(,"grammar":"")"), "grammar", "OUT_OF_RANGE"},
      {Chat(R"(,"response_format":"json")"), "response_format", "INVALID_TYPE"},
      {Chat(R"(,"response_format":{"type":"yaml"})"), "response_format.type", "INVALID_VALUE"},
      {Chat(R"(,"response_format":{"type":"json_schema"})"), "response_format.json_schema", "MISSING_PARAMETER"},
      {Chat(R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n"}})"),
       "response_format.json_schema.schema", "MISSING_PARAMETER"},
      {Chat(R"(,"response_format":{"type":"json_object","grammar":"x"})"), "response_format.grammar",
       "UNKNOWN_PARAMETER"},
      {Chat(R"(,"audio":{})"), "audio", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"store":true)"), "store", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"user":1)"), "user", "INVALID_TYPE"},
      {Chat(R"(,"safety_identifier":[])"), "safety_identifier", "INVALID_TYPE"},
      {Chat(R"(,"prompt_cache_key":{})"), "prompt_cache_key", "INVALID_TYPE"},
      {Chat(R"(,"service_tier":1)"), "service_tier", "INVALID_TYPE"},
      {Chat(R"(,"service_tier":"priority")"), "service_tier", "UNSUPPORTED_PARAMETER"},
      {Chat(R"(,"metadata":"k")"), "metadata", "INVALID_TYPE"},
      {Chat(R"(,"metadata":{"k":0})"), "metadata.k", "INVALID_TYPE"},
      {Chat(R"(,"stream":true,"stream_options":{"include_obfuscation":1})"), "stream_options.include_obfuscation",
       "INVALID_TYPE"},
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

TEST(Request, ReadsCompletions) {
  const auto parsed =
      ParseCompletionRequest(R"({"model":"m","prompt":["Once"],"echo":false,"best_of":1,"suffix":null})");
  ASSERT_TRUE(parsed) << parsed.error().error.message;
  EXPECT_EQ(parsed->generate.text(), "Once");
  EXPECT_EQ(parsed->generate.max_completion_tokens(), 16) << "OpenAI's default";
  EXPECT_FALSE(parsed->chat);
}

TEST(Request, ReadsWhatShapesAnAnswer) {
  const auto parsed =
      ParseChatRequest(Chat(R"(,"n":3,"logprobs":true,"top_logprobs":5,"logit_bias":{"15":-100,"16":2.5,"17":null},
              "response_format":{"type":"json_schema","json_schema":{"name":"place","strict":true,
                "schema":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number"}}}}})"));
  ASSERT_TRUE(parsed) << parsed.error().error.message;
  const auto& generate = parsed->generate;
  EXPECT_EQ(generate.choice_count(), 3);
  EXPECT_TRUE(generate.logprobs());
  EXPECT_EQ(generate.top_logprobs(), 5);
  EXPECT_EQ(generate.sampling().logit_bias().size(), 2U);
  EXPECT_EQ(generate.sampling().logit_bias().at(16), 2.5F);
  EXPECT_EQ(generate.constraint().json_schema(),
            R"({"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number"}}})")
      << "the order of properties is that of the answer";
  EXPECT_TRUE(
      ParseChatRequest(Chat(R"(,"response_format":{"type":"json_object"})"))->generate.constraint().json_object());
  EXPECT_EQ(ParseChatRequest(Chat(R"(,"grammar":"root ::= [a-z]+")"))->generate.constraint().grammar(),
            "root ::= [a-z]+");
}

TEST(Request, ReadsToolsAndTheirAnswers) {
  const auto parsed = ParseChatRequest(R"({"model":"m","messages":[
      {"role":"user","content":"weather?"},
      {"role":"assistant","content":null,"tool_calls":[
        {"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
      {"role":"tool","tool_call_id":"call_1","content":"sunny"}],
    "tools":[{"type":"function","function":{"name":"f","description":"d","strict":true,
      "parameters":{"type":"object","properties":{"x":{"type":"integer"}}}}}], "parallel_tool_calls": false})");
  ASSERT_TRUE(parsed) << parsed.error().error.message;
  const auto& chat = parsed->generate.chat();
  EXPECT_EQ(chat.messages(1).tool_calls(0).id(), "call_1");
  EXPECT_EQ(chat.messages(1).tool_calls(0).arguments(), R"({"x":1})");
  EXPECT_EQ(chat.messages(2).role(), "tool");
  EXPECT_EQ(chat.messages(2).tool_call_id(), "call_1");
  EXPECT_EQ(chat.tools(0).name(), "f");
  EXPECT_EQ(chat.tools(0).parameters(), R"({"type":"object","properties":{"x":{"type":"integer"}}})");
  EXPECT_EQ(chat.tool_choice(), inference::v1::TOOL_CHOICE_AUTO);
  EXPECT_FALSE(chat.parallel_tool_calls());
}

// As clients send back what they were answered.
TEST(Request, AnAssistantsRefusalIsWhatItSaid) {
  const auto content = [](const std::string& assistant) -> std::string {
    const auto parsed = ParseChatRequest(R"({"model":"m","messages":[{"role":"user","content":"hi"},)" + assistant +
                                         R"(,{"role":"user","content":"why?"}]})");
    return parsed ? parsed->generate.chat().messages(1).content() : parsed.error().param;
  };
  EXPECT_EQ(content(R"({"role":"assistant","content":null,"refusal":"I will not."})"), "I will not.");
  EXPECT_EQ(content(R"({"role":"assistant","refusal":"I will not."})"), "I will not.");
  EXPECT_EQ(content(R"({"role":"assistant","content":"","refusal":"I will not."})"), "I will not.");
  EXPECT_EQ(content(R"({"role":"assistant","content":[{"type":"refusal","refusal":"I will not."}]})"), "I will not.");
  EXPECT_EQ(
      content(R"({"role":"assistant","content":[{"type":"text","text":"No: "},{"type":"refusal","refusal":"x"}]})"),
      "No: x");
  EXPECT_EQ(content(R"({"role":"assistant","content":null})"), "messages[1].content");
  EXPECT_EQ(content(R"({"role":"assistant","refusal":5})"), "messages[1].refusal");
  EXPECT_EQ(content(R"({"role":"assistant","content":[{"type":"refusal"}]})"), "messages[1].content[0].refusal");
  EXPECT_EQ(content(R"({"role":"user","content":"a","refusal":"x"})"), "messages[1].refusal");
  EXPECT_EQ(content(R"({"role":"user","content":[{"type":"refusal","refusal":"x"}]})"), "messages[1].content[0].type");
}

TEST(Request, AChosenFunctionIsRequiredAndTheOnlyTool) {
  const auto parsed = ParseChatRequest(Chat(kTools + R"(,"tool_choice":{"type":"function","function":{"name":"g"}})"));
  ASSERT_TRUE(parsed) << parsed.error().error.message;
  ASSERT_EQ(parsed->generate.chat().tools_size(), 1);
  EXPECT_EQ(parsed->generate.chat().tools(0).name(), "g");
  EXPECT_EQ(parsed->generate.chat().tool_choice(), inference::v1::TOOL_CHOICE_REQUIRED);
  EXPECT_EQ(ParseChatRequest(Chat(kTools + R"(,"tool_choice":"none")"))->generate.chat().tool_choice(),
            inference::v1::TOOL_CHOICE_NONE);
}

TEST(Request, ChoicesAreBoundedByTheInstanceToo) {
  EXPECT_TRUE(CheckChoices(4, 4));
  EXPECT_TRUE(CheckChoices(8, 0)) << "the route does not say";
  const auto refused = CheckChoices(5, 4);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().param, "n");
  EXPECT_EQ(refused.error().error.message,
            "n is 5; this instance writes at most 4 answers at once (its max_concurrency)");
}

TEST(Request, BoundsTheMembersOfAnObject) {
  std::string metadata = R"(,"metadata":{"k":0)";
  for (int i = 0; i < 600; ++i) metadata += ",\"k" + std::to_string(i) + "\":0";
  const auto parsed = ParseChatRequest(Chat(metadata + "}"));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().error.reason, "INVALID_JSON");
}

TEST(Request, LegacyLogprobsAreANumber) {
  const auto parsed = ParseCompletionRequest(R"({"model":"m","prompt":"x","logprobs":3,"n":2,"best_of":2})");
  ASSERT_TRUE(parsed) << parsed.error().error.message;
  EXPECT_TRUE(parsed->generate.logprobs());
  EXPECT_EQ(parsed->generate.top_logprobs(), 3);
  EXPECT_EQ(parsed->generate.choice_count(), 2);
  const auto best = ParseCompletionRequest(R"({"model":"m","prompt":"x","n":1,"best_of":2})");
  ASSERT_FALSE(best);
  EXPECT_EQ(best.error().param, "best_of");
}

TEST(Request, RefusesBatchedPrompts) {
  for (const char* body : {R"({"model":"m","prompt":["a","b"]})", R"({"model":"m","prompt":[1,2]})",
                           R"({"model":"m","prompt":"a","suffix":"b"})", R"({"model":"m","prompt":"a","echo":true})"}) {
    const auto parsed = ParseCompletionRequest(body);
    ASSERT_FALSE(parsed) << body;
    EXPECT_EQ(parsed.error().error.reason, "UNSUPPORTED_PARAMETER") << body;
  }
}

}  // namespace
}  // namespace allod::gateway::openai::request_test
