#include "gateway/http/json_input.h"

#include <gtest/gtest.h>

#include <string>

#include "gateway/portal/transcoder_json.h"

namespace allod::gateway::http::json_input_test {
namespace {

constexpr int kDepthMax = 8;

TEST(JsonInput, RefusesWhatAnObjectHasTwiceAndNamesIt) {
  const std::pair<std::string, std::string> table[] = {
      {R"({"a":1,"a":1})", "a"},
      {R"({"a":1,"b":{"a":2},"a":null})", "a"},
      {R"({"model":"x","m\u006fdel":"y"})", "model"},
      {R"({"messages":[{"role":"user"},{"role":"user","content":"a","content":"b"}]})", "messages[1].content"},
      {R"({"s":{"type":"object","properties":{"p":{"type":"string","type":"integer"}}}})", "s.properties.p.type"},
      {R"({"a":[[1,{"x":[],"x":{}}]]})", "a[0][1].x"},
      {R"({"":1,"":2})", R"("")"},
      {R"({"a":{"b":1},"b":[{"c":1},{"c":1,"c":1}],"b":2})", "b[1].c"}};
  for (const auto& [text, member] : table) {
    const auto plain = ParseJsonObject(text, kDepthMax);
    ASSERT_FALSE(plain) << text;
    EXPECT_EQ(plain.error().error.reason, "DUPLICATE_MEMBER") << text;
    EXPECT_EQ(plain.error().error.code, Code::kInvalidArgument);
    EXPECT_EQ(plain.error().param, member);
    const auto ordered = ParseOrderedJsonObject(text, kDepthMax);
    ASSERT_FALSE(ordered) << text;
    EXPECT_EQ(ordered.error().param, member);
    const auto portal = portal::ParseBody(text);
    ASSERT_FALSE(portal) << text;
    EXPECT_NE(portal.error().message.find(member), std::string::npos) << portal.error().message;
  }
}

TEST(JsonInput, TakesTheSameNameInDifferentObjects) {
  for (const char* text :
       {R"({"a":{"a":{"a":[{"a":1},{"a":2}]}},"b":{"a":3}})", R"({"a":"{\"a\":1,\"a\":2}"})", "{}"}) {
    const auto parsed = ParseOrderedJsonObject(text, kDepthMax);
    ASSERT_TRUE(parsed) << text << parsed.error().error.message;
    EXPECT_EQ(parsed->dump(), text);
    EXPECT_TRUE(portal::ParseBody(text)) << text;
  }
}

TEST(JsonInput, SaysWhereItBreaks) {
  for (const char* text : {R"({"a":1,})", R"({"a":1)", "[1]", R"({"a":1e999})", "{\"a\":\"\xff\"}"}) {
    const auto parsed = ParseJsonObject(text, kDepthMax);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().error.reason, "INVALID_JSON") << text;
  }
}

}  // namespace
}  // namespace allod::gateway::http::json_input_test
