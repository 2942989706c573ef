// Embeddings, on the tiny model made to declare a way of pooling.

#include <cmath>
#include <fstream>
#include <numeric>

#include "inference/llama_engine_fixture.h"
#include "tests/support/gguf_writer.h"

namespace allod::inference {
namespace {

// Puts `llama.pooling_type` before the other keys, and one more key so that the tensors stay aligned.
std::string WithPooling(std::string gguf, std::uint32_t type) {
  test::GgufWriter keys;
  keys.U32("llama.pooling_type", type);
  keys.U32("padding.of.key", 0);
  EXPECT_EQ(keys.metadata.size() % keys.alignment, 0U);
  constexpr std::size_t kCountAt = 16;
  constexpr std::size_t kKeysAt = 24;
  std::uint64_t count = 0;
  std::memcpy(&count, gguf.data() + kCountAt, sizeof(count));
  count += keys.keys;
  std::memcpy(gguf.data() + kCountAt, &count, sizeof(count));
  return gguf.insert(kKeysAt, keys.metadata);
}

class EmbedderTest : public EngineTest {
 protected:
  void StartEmbedding(std::uint32_t pooling, const EngineOptions& options = {}) {
    const auto path = directory_.Write("embedding.gguf", WithPooling(test::TinyGguf(), pooling));
    auto model = LoadModel(path);
    ASSERT_TRUE(model) << model.error().message;
    model_ = *std::move(model);
    auto engine = Engine::Create(*model_, options);
    ASSERT_TRUE(engine) << engine.error().message;
    engine_ = *std::move(engine);
  }
};

double Dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

TEST_F(EmbedderTest, VectorsHaveLengthOneAndDependOnTheirInputOnly) {
  for (const std::uint32_t pooling : {1U, 3U}) {
    StartEmbedding(pooling);
    const auto out = engine_->Embed({.inputs = {"habari ya asubuhi", "na karibu", "habari ya asubuhi"}});
    ASSERT_TRUE(out) << out.error().message;
    ASSERT_EQ(out->vectors.size(), 3U);
    for (const auto& vector : out->vectors) {
      EXPECT_EQ(vector.size(), 64U);
      EXPECT_NEAR(Dot(vector, vector), 1.0, 1e-5);
    }
    EXPECT_NEAR(Dot(out->vectors[0], out->vectors[2]), 1.0, 1e-5);
    EXPECT_LT(Dot(out->vectors[0], out->vectors[1]), 0.999);
    EXPECT_GT(out->prompt_tokens, 6);
    EXPECT_EQ(engine_->status().prompt_tokens_total, out->prompt_tokens);
  }
}

TEST_F(EmbedderTest, OtherDimensionsThanItsOwnAreRefusedBeforeAnythingIsComputed) {
  StartEmbedding(1);
  const auto refused = engine_->Embed({.inputs = {"habari"}, .dimensions = 32}).error();
  EXPECT_EQ(refused.code, Code::kInvalidArgument);
  EXPECT_EQ(refused.reason, "WRONG_DIMENSIONS");
  EXPECT_THAT(refused.message, HasSubstr("must be 64"));
  EXPECT_EQ(engine_->status().prompt_tokens_total, 0);
  EXPECT_TRUE(engine_->Embed({.inputs = {"habari"}, .dimensions = 64}));
}

TEST_F(EmbedderTest, WhatItCannotEmbedIsRefused) {
  StartEmbedding(1);
  EXPECT_EQ(engine_->Embed({}).error().reason, "INVALID_INPUT");
  EXPECT_EQ(engine_->Embed({.inputs = std::vector<std::string>(257, "a")}).error().reason, "INVALID_INPUT");
  const auto error = engine_->Embed({.inputs = {"a", std::string(2000, 'z')}}).error();
  EXPECT_EQ(error.reason, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_THAT(error.message, HasSubstr("inputs[1]"));
  EXPECT_EQ(engine_->Embed({.inputs = {"a"}}, [] { return true; }).error().reason, "CANCELLED");
  EXPECT_EQ(Refusal(Greedy("a", 1)).reason, "MODEL_NOT_GENERATIVE");
}

}  // namespace
}  // namespace allod::inference
