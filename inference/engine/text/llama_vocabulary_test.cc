#include "inference/engine/text/llama_vocabulary.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <llama.h>
#include <pthread.h>

#include <chrono>
#include <fstream>
#include <set>

#include "inference/engine/text/deep_stack.h"
#include "inference/model/llama_runtime.h"
#include "inference/schema/code_points.h"
#include "tests/support/gguf_edit.h"
#include "tests/support/instrumented.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference::engine::text::llama_vocabulary_test {
namespace {

// GPT-2's letter for a byte.
std::string LetterOf(int byte) {
  std::string out;
  std::uint32_t hidden = 0x100;
  for (int b = 0; b <= byte; ++b) {
    const bool is_seen = (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD);
    out.clear();
    schema::AppendUtf8(is_seen ? static_cast<std::uint32_t>(b) : hidden++, out);
  }
  return out;
}

std::string LettersOf(const std::string& text) {
  std::string out;
  for (const char c : text) out += LetterOf(static_cast<unsigned char>(c));
  return out;
}

// The tiny model with a vocabulary of byte pairs, and the name of a pattern that cuts words.
std::string BytePairGguf(const std::string& pattern) {
  test::GgufEdit edit(test::TinyGguf());
  std::vector<std::string> texts{"<unk>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"};
  std::vector<std::int32_t> types{2, 3, 3, 3, 3, 3, 3};
  for (int byte = 0; byte < 256; ++byte) texts.push_back(LetterOf(byte));
  std::vector<std::string> merges;
  std::set<std::string> known;
  const auto merge = [&](const std::string& left, const std::string& right) {
    constexpr std::size_t kTokens = 323;
    if (texts.size() == kTokens || !known.insert(LettersOf(left + right)).second) return;
    merges.push_back(LettersOf(left) + " " + LettersOf(right));
    texts.push_back(LettersOf(left + right));
  };
  for (const auto& [left, right] : std::vector<std::pair<std::string, std::string>>{
           {"t", "h"},    {"th", "e"},      {" ", "t"},   {" t", "he"}, {"a", "a"},       {"aa", "aa"}, {"i", "n"},
           {"e", "r"},    {"a", "n"},       {" ", "a"},   {" ", " "},   {"  ", "  "},     {"\n", "\n"}, {"1", "2"},
           {"12", "3"},   {"!", "!"},       {"!!", "!!"}, {".", "."},   {"\xC3", "\xA9"}, {"A", "A"},   {"'", "s"},
           {" ", "\xD0"}, {"\xE6", "\x97"}, {" ", "1"},   {";", "\n"},  {"{", "\n"}}) {
    merge(left, right);
  }
  for (const char first : std::string("aeiou")) {
    for (char second = 'b'; second <= 'z'; ++second) merge(std::string(1, first), std::string(1, second));
  }
  types.resize(texts.size(), 1);
  edit.String("tokenizer.ggml.model", "gpt2");
  edit.String("tokenizer.ggml.pre", pattern);
  edit.Strings("tokenizer.ggml.tokens", texts);
  edit.Numbers("tokenizer.ggml.token_type", 5, types);
  edit.Strings("tokenizer.ggml.merges", merges);
  edit.pairs.erase("tokenizer.ggml.scores");
  return edit.Finish();
}

struct Loaded {
  explicit Loaded(const std::string& gguf) {
    const TempDir directory;
    std::ofstream(directory / "m.gguf", std::ios::binary).write(gguf.data(), static_cast<std::streamsize>(gguf.size()));
    auto loaded = model::LoadModel(directory / "m.gguf");
    if (!loaded) ADD_FAILURE() << loaded.error().message;
    if (loaded) model = *std::move(loaded);
  }
  model::LlamaModelPtr model;
};

// On a thread like those of a worker, and smaller.
template <typename Fn>
void OnSmallStack(Fn run) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 << 10);
  pthread_t thread{};
  const auto call = [](void* argument) -> void* {
    (*static_cast<Fn*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, call, &run), 0);
  pthread_attr_destroy(&attributes);
  pthread_join(thread, nullptr);
}

std::string Repeated(std::string_view text, std::size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += text;
  return out;
}

std::string TextOf(const Vocabulary& vocabulary, const std::vector<std::int32_t>& tokens) {
  std::string out;
  for (const std::int32_t token : tokens) vocabulary.AppendPiece(token, false, out);
  return out;
}

class AnyPattern : public ::testing::TestWithParam<const char*> {};

TEST_P(AnyPattern, LongRunsNeitherUseUpTheStackNorLoseAnything) {
  const Loaded loaded(BytePairGguf(GetParam()));
  ASSERT_TRUE(loaded.model);
  const Vocabulary vocabulary(*loaded.model);
  std::string base64;
  std::uint32_t random = 1;
  for (int i = 0; i < 200'000; ++i) {
    random = random * 1664525 + 1013904223;
    base64 += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[random >> 26];
  }
  for (const std::string& text :
       {std::string(256, 'a'), std::string(257, 'A'), std::string(5000, 'a'), std::string(5000, 'A'),
        std::string(5000, '!'), base64, std::string(100'000, ' '), Repeated("\n", 100'000), Repeated("时间是", 100'000),
        Repeated("ก", 9000), Repeated("7", 2000), Repeated("a ", 9000), Repeated("ab, ", 9000)}) {
    Result<TokenizedText> tokens = TokenizedText{};
    OnSmallStack([&] { tokens = vocabulary.TokenizeText(text); });
    if (test::kInstrumented && !tokens) continue;  // takes longer than it may
    ASSERT_TRUE(tokens) << tokens.error().message << text.substr(0, 10);
    EXPECT_TRUE(tokens->is_whole);
    EXPECT_EQ(tokens->tokens.at(0), 1);
    EXPECT_EQ(TextOf(vocabulary, tokens->tokens), text) << text.substr(0, 10);
  }
}

// The name is that of tokenizer.ggml.pre.
constexpr const char* kPatterns[] = {
    "default", "llama-bpe",    "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon",    "starcoder",  "gpt-2",
    "qwen2",   "bloom",        "poro-chat",    "viking",         "tekken",      "chameleon", "gpt-4o",     "kimi-k2",
    "youtu",   "gpt3-finnish", "bailingmoe",   "seed-coder",     "jais-2",      "minicpm5",  "chatglm-bpe"};
INSTANTIATE_TEST_SUITE_P(Patterns, AnyPattern, ::testing::ValuesIn(kPatterns));
// Whose words go on over blanks.
INSTANTIATE_TEST_SUITE_P(OverBlanks, AnyPattern, ::testing::Values("exaone-moe", "superbpe"));

class SamePattern : public ::testing::TestWithParam<const char*> {};

TEST_P(SamePattern, PiecesHaveTheTokensOfTheWhole) {
  const Loaded loaded(BytePairGguf(GetParam()));
  ASSERT_TRUE(loaded.model);
  const Vocabulary vocabulary(*loaded.model);
  const std::string paragraphs[] = {
      "The quick brown fox's 12 jumps, over 3456789 lazy dogs!! It isn't \"done\" (yet)... e-mail: a.b@c.de\n",
      "for (int i = 0; i < 128; ++i) {\n    if (a[i] != b) return {x, y};\n\n\n\treturn  c->d(e::f);\n}  \n",
      "Leo ni siku ya kazi; watoto wanakwenda shule na wazazi wao wanalima mashamba yao   kila siku.\r\n\r\n",
      "Дети идут в школу, а родители работают. ",
      "أطفالي يذهبون إلى المدرسة كل يوم and back. ",
      "孩子们去学校，父母在田里工作。",
      "孩子们去学校，父母在田里工作！（是的）\n",
      "孩子们去学校。 It is 2026年11月27日 today. ",
      "बच्चे स्कूल जाते हैं। ขอบคุณ ครับ 😀😀 ok ",
      "| a | b |\n|---|---|\n| 1 | 2 | <|user|> </s> \u00a0 \u3000 x\u2003y   z",
      "naïve café — résumé №5 … «да» 50 % £3 "};
  std::string text;
  std::uint32_t random = 1;
  while (text.size() < 60'000) {
    random = random * 1664525 + 1013904223;
    text += paragraphs[(random >> 16) % std::size(paragraphs)];
  }
  std::vector<llama_token> whole(text.size() + 8);
  ASSERT_TRUE(RunOnDeepStack([&] {
    whole.resize(static_cast<std::size_t>(llama_tokenize(&vocabulary.llama(), text.data(),
                                                         static_cast<std::int32_t>(text.size()), whole.data(),
                                                         static_cast<std::int32_t>(whole.size()), true, false)));
  }));
  const auto pieces = vocabulary.TokenizeText(text);
  ASSERT_TRUE(pieces) << pieces.error().message;
  EXPECT_EQ(pieces->tokens, whole);
  EXPECT_EQ(pieces->count, std::ssize(whole));
}

INSTANTIATE_TEST_SUITE_P(Patterns, SamePattern, ::testing::ValuesIn(kPatterns));

TEST(LlamaVocabulary, WhatIsTooLongIsNotTokenisedToItsEnd) {
  const Loaded loaded(BytePairGguf("deepseek-llm"));
  ASSERT_TRUE(loaded.model);
  const Vocabulary vocabulary(*loaded.model);
  const auto start = ProcessorTimeWithDeepStacks();
  const auto tokens = vocabulary.TokenizeText(Repeated("Habari za asubuhi. ", 900'000), {.tokens_max = 100'000});
  ASSERT_TRUE(tokens) << tokens.error().message;
  EXPECT_FALSE(tokens->is_whole);
  EXPECT_GT(tokens->count, 100'000);
  EXPECT_LE(tokens->count, 105'000);
  EXPECT_THAT(CountText(*tokens), ::testing::StartsWith("at least 10"));
  EXPECT_LT(ProcessorTimeWithDeepStacks() - start, test::kSlowness * std::chrono::seconds(4));
}

TEST(LlamaVocabulary, WhatCannotFitIsNotTokenisedAtAll) {
  const Loaded pairs(BytePairGguf("gpt-2")), pieces(test::TinyGguf());
  ASSERT_TRUE(pairs.model && pieces.model);
  // The longest token is <|assistant|>, of 13 bytes.
  for (const Loaded* loaded : {&pairs, &pieces}) {
    const Vocabulary vocabulary(*loaded->model);
    const auto start = ProcessorTimeWithDeepStacks();
    const auto tokens = vocabulary.TokenizeText(std::string(900'000, 'a'), {.tokens_max = 60'000});
    ASSERT_TRUE(tokens) << tokens.error().message;
    EXPECT_EQ(CountText(*tokens), "at least 69231");
    EXPECT_LT(ProcessorTimeWithDeepStacks() - start, test::kSlowness * std::chrono::milliseconds(20));
    const auto fits = vocabulary.TokenizeText(std::string(1000, 'z'), {.tokens_max = 100});
    ASSERT_TRUE(fits) << fits.error().message;
    EXPECT_TRUE(fits->is_whole);
    EXPECT_EQ(CountText(*fits), fmt::format("{}", fits->tokens.size()));
    EXPECT_GT(fits->count, 1000);
  }
}

TEST(LlamaVocabulary, NobodyTokenisesForACallerThatIsGone) {
  const Loaded loaded(BytePairGguf("llama-bpe"));
  ASSERT_TRUE(loaded.model);
  const Vocabulary vocabulary(*loaded.model);
  int asked = 0;
  const TokenLimits limits{.is_cancelled = [&] { return ++asked == 3; }};
  const auto tokens = vocabulary.TokenizeText(Repeated("Habari za asubuhi. ", 100'000), limits);
  ASSERT_FALSE(tokens);
  EXPECT_EQ(tokens.error().reason, "CANCELLED");
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace allod::inference::engine::text::llama_vocabulary_test
