#include "inference/gguf/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <span>
#include <string>

#include "inference/gguf/keys.h"
#include "inference/gguf/vocabulary.h"
#include "tests/support/gguf_edit.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference::gguf::model_test {
namespace {

using test::GgufEdit;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Result<CheckedHeader> Check(const std::string& bytes) {
  const auto source = MemorySource(std::as_bytes(std::span(bytes)));
  return ReadModel(*source);
}

TEST(ReadModel, AcceptsAGoodModel) {
  const auto model = Check(test::TinyGguf());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->shape.layers, 2U);
  EXPECT_EQ(model->shape.heads, 4U);
  EXPECT_EQ(model->shape.heads_kv, 2U);
  EXPECT_EQ(model->shape.head_width, 16U);
  EXPECT_EQ(model->shape.context_length, 512U);
}

struct HostileModel {
  std::string name;
  std::function<void(GgufEdit&)> change;
  std::string reason;
  std::string says;
};

class HostileModels : public ::testing::TestWithParam<HostileModel> {};

TEST_P(HostileModels, AreRefusedWithTheirReason) {
  GgufEdit edit(test::TinyGguf());
  GetParam().change(edit);
  const auto model = Check(edit.Finish());
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, Code::kInvalidArgument);
  EXPECT_EQ(model.error().reason, GetParam().reason) << model.error().message;
  EXPECT_THAT(model.error().message, HasSubstr(GetParam().says));
}

constexpr char kParameters[] = "GGUF_BAD_HYPERPARAMETERS";
constexpr char kVocabulary[] = "GGUF_BAD_VOCABULARY";
constexpr char kTokens[] = "tokenizer.ggml.tokens";

std::vector<std::string> Tokens(std::size_t count) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < count; ++i) tokens.push_back(std::to_string(i));
  return tokens;
}

// A vocabulary of plain texts.
void SetTokens(GgufEdit& edit, const std::vector<std::string>& tokens) {
  edit.Strings(kTokens, tokens);
  edit.pairs.erase("tokenizer.ggml.scores");
  edit.pairs.erase("tokenizer.ggml.token_type");
}

// Of 300 tokens, the last is `text`.
HostileModel LastToken(std::string name, std::string text, std::string reason, std::string says) {
  return {std::move(name),
          [text](GgufEdit& e) {
            auto tokens = Tokens(300);
            tokens[299] = text;
            SetTokens(e, tokens);
          },
          std::move(reason), std::move(says)};
}

HostileModel Number(std::string name, std::string key, std::uint32_t value, std::string reason, std::string says) {
  return {std::move(name), [key, value](GgufEdit& e) { e.U32(key, value); }, std::move(reason), std::move(says)};
}

HostileModel Real(std::string name, std::string key, float value) {
  return {std::move(name), [key, value](GgufEdit& e) { e.F32(key, value); }, "GGUF_BAD_VALUE", key};
}

HostileModel Missing(std::string name, std::string key, std::string reason) {
  return {std::move(name), [key](GgufEdit& e) { e.pairs.erase(key); }, std::move(reason), key};
}

INSTANTIATE_TEST_SUITE_P(
    Hyperparameters, HostileModels,
    ::testing::Values(
        HostileModel{"Architecture", [](auto& e) { e.String("general.architecture", "mamba"); },
                     "GGUF_UNSUPPORTED_ARCHITECTURE", "architecture mamba"},
        HostileModel{"NoKeysOfTheArchitecture", [](auto& e) { e.String("general.architecture", "qwen2"); }, kParameters,
                     "qwen2.context_length is missing"},
        Missing("NoLayers", "llama.block_count", kParameters),
        Missing("NoWidth", "llama.embedding_length", kParameters),
        Missing("NoHeads", "llama.attention.head_count", kParameters),
        Missing("NoContext", "llama.context_length", kParameters),
        Missing("NoEpsilon", "llama.attention.layer_norm_rms_epsilon", kParameters),
        Number("ZeroHeads", "llama.attention.head_count", 0, "GGUF_BAD_VALUE", "1 to 1024"),
        Number("HeadsDoNotDivide", "llama.attention.head_count", 6, kParameters, "do not divide"),
        Number("KeyHeadsDoNotDivide", "llama.attention.head_count_kv", 3, kParameters, "do not divide"),
        Number("ZeroKeyHeads", "llama.attention.head_count_kv", 0, "GGUF_BAD_VALUE", "1 to 1024"),
        Number("MoreKeyHeadsThanHeads", "llama.attention.head_count_kv", 8, kParameters, "do not divide"),
        Number("KeysWiderThanValues", "llama.attention.key_length", 32, kParameters, "differ"),
        Number("OddRotation", "llama.rope.dimension_count", 15, kParameters, "rotation"),
        Number("RotationTooWide", "llama.rope.dimension_count", 32, kParameters, "rotation"),
        Number("PartOfAHeadRotates", "llama.rope.dimension_count", 8, kParameters, "rotation"),
        Number("ZeroContext", "llama.context_length", 0, "GGUF_BAD_VALUE", "context_length"),
        Number("HugeContext", "llama.context_length", 1U << 31, "GGUF_BAD_VALUE", "context_length"),
        Number("TooManyExperts", "llama.expert_count", 2000, "GGUF_BAD_VALUE", "expert_count"),
        Number("NoExpertUsed", "llama.expert_count", 8, kParameters, "0 of 8 experts"),
        Number("ExpertsUsedWithoutExperts", "llama.expert_used_count", 2, kParameters, "2 of 0 experts"),
        Number("Pooling", "llama.pooling_type", 9, "GGUF_BAD_VALUE", "pooling_type"),
        HostileModel{"Scaling", [](auto& e) { e.String("llama.rope.scaling.type", "cubic"); }, kParameters, "cubic"},
        HostileModel{"HeadsByLayer",
                     [](auto& e) {
                       e.Numbers("llama.attention.head_count", 4, std::vector<std::uint32_t>{4, 2});
                     },
                     "GGUF_BAD_VALUE", "layers that differ are not accepted"},
        Real("EpsilonNegative", "llama.attention.layer_norm_rms_epsilon", -1),
        Real("EpsilonNoNumber", "llama.attention.layer_norm_rms_epsilon", NAN),
        Real("RotationBaseZero", "llama.rope.freq_base", 0),
        Real("ScalingInfinite", "llama.rope.scaling.factor", std::numeric_limits<float>::infinity())),
    [](const auto& param_info) { return param_info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Tokeniser, HostileModels,
    ::testing::Values(
        HostileModel{"Unknown", [](auto& e) { e.String("tokenizer.ggml.model", "none"); }, kVocabulary, "gpt2"},
        Missing("NoTokeniser", "tokenizer.ggml.model", kVocabulary), Missing("NoTokens", kTokens, kVocabulary),
        HostileModel{"FewTokens", [](auto& e) { SetTokens(e, Tokens(31)); }, kVocabulary, "31 tokens"},
        HostileModel{"ManyTokens", [](auto& e) { SetTokens(e, std::vector<std::string>(kTokensMax + 1)); }, kVocabulary,
                     "1048577 tokens"},
        LastToken("TokenTwice", "0", kVocabulary, "token 299"),
        LastToken("TokenWithZero", std::string("0\0x", 3), kVocabulary, "zero byte"),
        LastToken("LongToken", std::string(kTokenBytesMax + 1, 'x'), "GGUF_LIMIT", "entry 299"),
        LastToken("NoBytes", "the last", kVocabulary, "byte 0"),
        HostileModel{"EmptyTokenMeetsItsName",
                     [](auto& e) {
                       auto tokens = Tokens(300);
                       tokens[7] = "";
                       tokens[299] = "[EMPTY_7]";
                       SetTokens(e, tokens);
                     },
                     kVocabulary, "token 299"},
        HostileModel{"ByteTokenWithoutByte",
                     [](auto& e) {
                       SetTokens(e, Tokens(300));
                       e.Numbers("tokenizer.ggml.token_type", 5, std::vector<std::int32_t>(300, 6));
                     },
                     kVocabulary, "byte token"},
        HostileModel{"FewScores", [](auto& e) { e.Numbers("tokenizer.ggml.scores", 6, std::vector<float>(5)); },
                     kVocabulary, "5 entries"},
        HostileModel{"ManyScores", [](auto& e) { e.Numbers("tokenizer.ggml.scores", 6, std::vector<float>(5000)); },
                     kVocabulary, "5000 entries"},
        HostileModel{"FewTypes",
                     [](auto& e) { e.Numbers("tokenizer.ggml.token_type", 5, std::vector<std::int32_t>(5)); },
                     kVocabulary, "5 entries"},
        HostileModel{"ScoresOfIntegers",
                     [](auto& e) { e.Numbers("tokenizer.ggml.scores", 5, std::vector<std::int32_t>(5)); },
                     "GGUF_BAD_VALUE", "tokenizer.ggml.scores"},
        HostileModel{"NoMerges", [](auto& e) { e.String("tokenizer.ggml.model", "gpt2"); }, kVocabulary, "merges"},
        HostileModel{"MergeWithZero",
                     [](auto& e) {
                       e.String("tokenizer.ggml.model", "gpt2");
                       e.Strings("tokenizer.ggml.merges", {std::string("a\0b", 3)});
                     },
                     kVocabulary, "zero byte"},
        HostileModel{"TemplateTooLarge",
                     [](auto& e) { e.String("tokenizer.chat_template", std::string(kTemplateBytesMax + 1, 'x')); },
                     "GGUF_LIMIT", "template of"},
        HostileModel{"TemplateWithZero", [](auto& e) { e.String("tokenizer.chat_template", std::string("a\0b", 3)); },
                     "GGUF_BAD_VALUE", "control character"},
        HostileModel{"TemplateNoUtf8", [](auto& e) { e.String("tokenizer.chat_template", "\xff"); }, "GGUF_BAD_VALUE",
                     "UTF-8"}),
    [](const auto& param_info) { return param_info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Tensors, HostileModels,
    ::testing::Values(
        HostileModel{"NoEmbedding", [](auto& e) { e.tensors.erase(e.tensors.begin()); }, "GGUF_BAD_SHAPE",
                     "no token_embd.weight"},
        HostileModel{
            "EmbeddingOfOtherShape",
            [](auto& e) { std::swap(e.Tensor("token_embd.weight").shape[0], e.Tensor("token_embd.weight").shape[1]); },
            "GGUF_BAD_SHAPE", "token_embd.weight is"},
        HostileModel{"WidthOfAnotherModel",
                     [](auto& e) {
                       e.U32("llama.embedding_length", 128);
                       e.pairs.erase("llama.rope.dimension_count");
                     },
                     "GGUF_BAD_SHAPE", "token_embd.weight is"},
        Number("FewerLayersThanTensors", "llama.block_count", 1, "GGUF_BAD_TENSOR_NAME", "no layer of 1"),
        HostileModel{"HugeLayer", [](auto& e) { e.tensors[1].name = "blk.99999999999999999999.attn_q.weight"; },
                     "GGUF_BAD_TENSOR_NAME", "no layer"},
        HostileModel{
            "NormOfHalves",
            [](auto& e) { e.Tensor("output_norm.weight").type = 1, e.Tensor("output_norm.weight").data.resize(128); },
            "GGUF_BAD_TENSOR_TYPE", "output_norm.weight"},
        HostileModel{"MatrixOfIntegers", [](auto& e) { e.Tensor("output.weight").type = 26; }, "GGUF_BAD_TENSOR_TYPE",
                     "output.weight"}),
    [](const auto& param_info) { return param_info.param.name; });

TEST(ReadModel, EveryKeyThatItReadsRefusesEveryOtherType) {
  const GgufEdit good(test::TinyGguf());
  for (const auto& [key, pair] : good.pairs) {
    ASSERT_NE(FindKeyRule("llama", key), nullptr) << key;
    for (std::uint32_t type = 0; type <= 12; ++type) {
      if (type == pair.type) continue;
      GgufEdit edit = good;
      edit.pairs[key] = {type, std::string(type == 9 ? 12 : 8, '\0')};
      if (const auto bytes = ValueBytes(type); *bytes > 0) edit.pairs[key].value.resize(*bytes);
      const auto model = Check(edit.Finish());
      ASSERT_FALSE(model) << key << " as type " << type;
      EXPECT_THAT(model.error().reason, StartsWith("GGUF_"));
      EXPECT_THAT(model.error().message, HasSubstr(key)) << key << " as type " << type;
    }
  }
}

TEST(ReadModel, EveryArrayRefusesEveryOtherElementType) {
  const GgufEdit good(test::TinyGguf());
  for (const auto& [key, pair] : good.pairs) {
    if (pair.type != 9) continue;
    for (std::uint32_t element = 0; element <= 12; ++element) {
      if (element == static_cast<unsigned char>(pair.value[0])) continue;
      GgufEdit edit = good;
      edit.pairs[key].value = std::string(12, '\0');
      edit.pairs[key].value[0] = static_cast<char>(element);
      const auto model = Check(edit.Finish());
      ASSERT_FALSE(model) << key << " of type " << element;
      EXPECT_THAT(model.error().reason, AnyOf("GGUF_BAD_VALUE", "GGUF_BAD_ARRAY"));
    }
  }
}

TEST(ReadModel, EveryNumberAtItsExtremesIsRefusedOrStaysInItsRange) {
  const GgufEdit good(test::TinyGguf());
  for (const auto& [key, pair] : good.pairs) {
    if (pair.type != 4) continue;
    for (const std::uint32_t value : {0U, 1U, 2U, 3U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
      GgufEdit edit = good;
      edit.U32(key, value);
      const auto model = Check(edit.Finish());
      if (!model) {
        EXPECT_THAT(model.error().reason, StartsWith("GGUF_")) << key;
        continue;
      }
      EXPECT_TRUE(key.starts_with("tokenizer.") || value <= 3) << key << " = " << value;
    }
  }
}

TEST(ReadModel, AnArrayThatSaysTheSameForEveryLayerIsThatNumber) {
  const GgufEdit good(test::TinyGguf());
  for (const std::uint32_t type : {4U, 5U}) {  // uint32, int32
    GgufEdit edit = good;
    edit.Numbers<std::uint32_t>("llama.attention.head_count_kv", type, {2, 2});
    const auto model = Check(edit.Finish());
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->shape.heads_kv, 2U);
  }
  const auto refused = [&](const std::string& key, const std::vector<std::int32_t>& values, const char* says) {
    GgufEdit edit = good;
    edit.Numbers<std::int32_t>(key, 5, values);
    const auto model = Check(edit.Finish());
    ASSERT_FALSE(model) << key;
    EXPECT_THAT(model.error().message, HasSubstr(says));
  };
  refused("llama.attention.head_count_kv", {2, 1}, "layers that differ are not accepted");
  refused("llama.feed_forward_length", {64, 128}, "layers that differ are not accepted");
  refused("llama.attention.head_count_kv", {2, 2, 2}, "has 3 values for 2 layers");
  refused("llama.attention.head_count_kv", {}, "says the same for every layer");
  refused("llama.attention.head_count_kv", {-2, -2}, "is -2; 1 to 1024 are accepted");
  refused("llama.attention.head_count_kv", {3, 3}, "do not divide");
  refused("llama.attention.key_length", {16, 16}, "a uint32 is expected");
}

TEST(SupportedArchitectures, StandInTheDocuments) {
  std::ifstream in(std::string(std::getenv("ALLOD_SOURCE_DIR")) + "/docs/compression.md");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::string list;
  for (const std::string& name : SupportedArchitectures()) list += (list.empty() ? "" : ",") + name;
  std::string words = text;
  std::erase_if(words, [](char c) { return c == ' ' || c == '\n'; });
  EXPECT_THAT(words, HasSubstr(list));
}

TEST(ReadModel, OnlyWhatIsReadMustFit) {
  GgufEdit edit(test::TinyGguf());
  edit.Set<std::uint64_t>("training.seed", 10, ~0ULL);
  EXPECT_TRUE(Check(edit.Finish())) << "nobody reads it";
  edit.Set<std::uint64_t>("llama.block_count", 10, 1ULL << 63);
  const auto model = Check(edit.Finish());
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("llama.block_count"));
}

TEST(ReadModel, SlidingWindowsNeedLayersOfBothKinds) {
  GgufEdit edit(test::TinyGguf());
  auto pairs = edit.pairs;
  for (const auto& [key, pair] : pairs) {
    if (key.starts_with("llama.")) edit.pairs["gemma3" + key.substr(5)] = pair;
  }
  edit.String("general.architecture", "gemma3");
  EXPECT_TRUE(Check(edit.Finish())) << Check(edit.Finish()).error().message;
  edit.U32("gemma3.attention.sliding_window", 64);
  EXPECT_EQ(Check(edit.Finish()).error().reason, kParameters);  // every sixth of two layers is none
  edit.U32("gemma3.attention.sliding_window_pattern", 2);
  EXPECT_TRUE(Check(edit.Finish())) << Check(edit.Finish()).error().message;
  edit.Numbers("gemma3.attention.sliding_window_pattern", 7, std::vector<std::uint8_t>{1, 0});
  EXPECT_TRUE(Check(edit.Finish())) << Check(edit.Finish()).error().message;
  edit.Numbers("gemma3.attention.sliding_window_pattern", 7, std::vector<std::uint8_t>{1, 1});
  EXPECT_EQ(Check(edit.Finish()).error().reason, kParameters);
}

}  // namespace
}  // namespace allod::inference::gguf::model_test
