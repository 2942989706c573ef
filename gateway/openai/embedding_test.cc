#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "gateway/openai/embedding_request.h"
#include "gateway/openai/embedding_response.h"

namespace allod::gateway::openai::embedding_test {
namespace {

TEST(OpenAiEmbedding, ReadsOneInputOrSeveral) {
  const auto one = ParseEmbeddingRequest(R"({"model":"m","input":"habari","user":"u"})");
  ASSERT_TRUE(one) << one.error().error.message;
  EXPECT_EQ(one->embed.inputs(0), "habari");
  EXPECT_FALSE(one->base64);
  const auto two =
      ParseEmbeddingRequest(R"({"model":"m","input":["a","b"],"encoding_format":"base64","dimensions":384})");
  ASSERT_TRUE(two) << two.error().error.message;
  EXPECT_EQ(two->embed.inputs_size(), 2);
  EXPECT_TRUE(two->base64);
  EXPECT_EQ(two->embed.dimensions(), 384);
}

TEST(OpenAiEmbedding, NamesTheParameterOfEveryRefusal) {
  struct Row {
    const char* body;
    const char* param;
    const char* reason;
  };
  const Row table[] = {
      {R"({"input":"x"})", "model", "MISSING_PARAMETER"},
      {R"({"model":"m"})", "input", "MISSING_PARAMETER"},
      {R"({"model":"m","input":""})", "input", "OUT_OF_RANGE"},
      {R"({"model":"m","input":[]})", "input", "OUT_OF_RANGE"},
      {R"({"model":"m","input":["a",""]})", "input[1]", "OUT_OF_RANGE"},
      {R"({"model":"m","input":[1,2]})", "input", "UNSUPPORTED_PARAMETER"},
      {R"({"model":"m","input":[[1,2]]})", "input[0]", "UNSUPPORTED_PARAMETER"},
      {R"({"model":"m","input":true})", "input", "INVALID_TYPE"},
      {R"({"model":"m","input":"x","encoding_format":"int8"})", "encoding_format", "INVALID_VALUE"},
      {R"({"model":"m","input":"x","dimensions":0})", "dimensions", "OUT_OF_RANGE"},
      {R"({"model":"m","input":"x","stream":true})", "stream", "UNKNOWN_PARAMETER"},
  };
  for (const Row& row : table) {
    const auto parsed = ParseEmbeddingRequest(row.body);
    ASSERT_FALSE(parsed) << row.body;
    EXPECT_EQ(parsed.error().param, row.param) << row.body;
    EXPECT_EQ(parsed.error().error.reason, row.reason) << row.body;
  }
}

TEST(OpenAiEmbedding, WritesFloatsOrTheirLittleEndianBytes) {
  inference::v1::EmbedResponse embedded;
  embedded.set_prompt_tokens(3);
  auto& vector = *embedded.add_embeddings();
  vector.add_values(1.0F);
  vector.add_values(-0.5F);
  const auto floats = nlohmann::json::parse(EmbeddingsJson("m", embedded, false));
  EXPECT_EQ(floats["object"], "list");
  EXPECT_EQ(floats["data"][0]["embedding"], nlohmann::json::array({1.0, -0.5}));
  EXPECT_EQ(floats["usage"], nlohmann::json({{"prompt_tokens", 3}, {"total_tokens", 3}}));
  const auto base64 = nlohmann::json::parse(EmbeddingsJson("m", embedded, true));
  // 00 00 80 3f 00 00 00 bf
  EXPECT_EQ(base64["data"][0]["embedding"], "AACAPwAAAL8=");
  EXPECT_EQ(base64["data"][0]["index"], 0);
}

}  // namespace
}  // namespace allod::gateway::openai::embedding_test
