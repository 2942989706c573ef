#include "tests/support/tiny_gguf.h"

#include <fmt/format.h>

#include <fstream>
#include <random>
#include <vector>

#include "tests/support/gguf_writer.h"

namespace allod::test {
namespace {

constexpr std::uint32_t kHeads = 4;
constexpr std::uint32_t kHeadsKv = 2;

enum TokenType : std::int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };

struct Vocabulary {
  void Add(std::string text, float score, TokenType type) {
    texts.push_back(std::move(text));
    scores.push_back(score);
    types.push_back(type);
  }
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<std::int32_t> types;
};

// Ends: </s> and <|end|>, tokens 2 and 6.
Vocabulary MakeVocabulary() {
  Vocabulary vocabulary;
  vocabulary.Add("<unk>", 0, kUnknown);
  for (const char* text : {"<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"}) {
    vocabulary.Add(text, 0, kControl);
  }
  for (int byte = 0; byte < 256; ++byte) vocabulary.Add(fmt::format("<0x{:02X}>", byte), 0, kByte);
  float score = -1;
  const std::string space = "\xE2\x96\x81";  // SentencePiece's visible space
  for (const char* text : {"a", "i", "na", "ya", "the", "of", "to"}) vocabulary.Add(space + text, score--, kNormal);
  for (const char* text : {"an", "er", "in", "th", "ti"}) vocabulary.Add(text, score--, kNormal);
  vocabulary.Add(space, score--, kNormal);
  for (char c = 'a'; c <= 'z'; ++c) vocabulary.Add(std::string(1, c), score--, kNormal);
  for (const char c : std::string(".,?!:;-<>|/0123456789")) vocabulary.Add(std::string(1, c), score--, kNormal);
  return vocabulary;
}

class Weights {
 public:
  Weights(GgufWriter& writer, std::uint32_t seed) : writer_(writer), random_(seed) {}

  std::vector<float> Random(std::uint64_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = (static_cast<float>(random_() >> 8) * 0x1p-24F - 0.5F) * 0.8F;
    return values;
  }
  void Matrix(std::string name, std::uint64_t columns, std::uint64_t rows) {
    writer_.AddF32(std::move(name), {columns, rows}, Random(columns * rows));
  }
  void Ones(std::string name, std::uint64_t count) {
    writer_.AddF32(std::move(name), {count}, std::vector<float>(count, 1.0F));
  }

 private:
  GgufWriter& writer_;
  std::mt19937 random_;
};

// Tokens whose row is zero get the logit 0, which a random vocabulary never lets win. Each other row leans towards the
// embedding of one token, whose successor it so becomes: with purely random rows the two best logits are now and then
// closer than the rounding that depends on what else is in the batch, and the same prompt would get different answers.
void AddOutput(GgufWriter& writer, Weights& weights, const std::vector<float>& embeddings, const Vocabulary& vocabulary,
               const TinyModelOptions& options) {
  constexpr float kLean = 2.0F;
  const std::uint64_t width = options.embedding;
  std::vector<float> rows = weights.Random(width * vocabulary.texts.size());
  for (std::size_t i = width; i < rows.size(); ++i) rows[i] += kLean * embeddings[i - width];
  for (std::size_t token = 0; token < vocabulary.texts.size(); ++token) {
    const bool speaks = vocabulary.types[token] == (options.says_bytes ? kByte : kNormal);
    const auto row = rows.begin() + static_cast<std::ptrdiff_t>(token * width);
    if (!speaks || options.ends_at_once) std::fill_n(row, width, 0.0F);
  }
  if (options.ends_at_once) {
    // Opposite rows: whatever the hidden state, one of the two end tokens has a positive logit.
    const std::vector<float> row = weights.Random(width);
    for (std::size_t i = 0; i < width; ++i) {
      rows[2 * width + i] = row[i];
      rows[6 * width + i] = -row[i];
    }
  }
  writer.AddF32("output.weight", {width, vocabulary.texts.size()}, rows);
}

}  // namespace

std::string TinyGguf(const TinyModelOptions& options) {
  const Vocabulary vocabulary = MakeVocabulary();
  GgufWriter writer;
  writer.String("general.architecture", "llama");
  writer.String("general.name", "Tiny");
  writer.String("general.license", "apache-2.0");
  writer.U32("llama.context_length", options.context_length);
  writer.U32("llama.embedding_length", options.embedding);
  writer.U32("llama.block_count", options.layers);
  writer.U32("llama.feed_forward_length", options.feed_forward);
  writer.U32("llama.rope.dimension_count", options.embedding / kHeads);
  writer.U32("llama.attention.head_count", kHeads);
  writer.U32("llama.attention.head_count_kv", kHeadsKv);
  writer.F32("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  if (options.pooling != 0) writer.U32("llama.pooling_type", options.pooling);
  writer.String("tokenizer.ggml.model", "llama");
  writer.Strings("tokenizer.ggml.tokens", vocabulary.texts);
  writer.Numbers("tokenizer.ggml.scores", 6, vocabulary.scores);
  writer.Numbers("tokenizer.ggml.token_type", 5, vocabulary.types);
  writer.U32("tokenizer.ggml.unknown_token_id", 0);
  writer.U32("tokenizer.ggml.bos_token_id", 1);
  writer.U32("tokenizer.ggml.eos_token_id", 2);
  writer.U32("tokenizer.ggml.eot_token_id", 6);
  writer.Bool("tokenizer.ggml.add_bos_token", true);
  if (!options.chat_template.empty()) writer.String("tokenizer.chat_template", options.chat_template);

  Weights weights(writer, options.seed);
  const std::uint64_t width = options.embedding;
  const std::uint64_t width_kv = width / kHeads * kHeadsKv;
  const std::vector<float> embeddings = weights.Random(width * vocabulary.texts.size());
  writer.AddF32("token_embd.weight", {width, vocabulary.texts.size()}, embeddings);
  for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    weights.Ones(prefix + "attn_norm.weight", width);
    weights.Matrix(prefix + "attn_q.weight", width, width);
    weights.Matrix(prefix + "attn_k.weight", width, width_kv);
    weights.Matrix(prefix + "attn_v.weight", width, width_kv);
    weights.Matrix(prefix + "attn_output.weight", width, width);
    weights.Ones(prefix + "ffn_norm.weight", width);
    weights.Matrix(prefix + "ffn_gate.weight", width, options.feed_forward);
    weights.Matrix(prefix + "ffn_up.weight", width, options.feed_forward);
    weights.Matrix(prefix + "ffn_down.weight", options.feed_forward, width);
  }
  weights.Ones("output_norm.weight", width);
  AddOutput(writer, weights, embeddings, vocabulary, options);
  return writer.Finish();
}

void WriteTinyGguf(const std::filesystem::path& path, const TinyModelOptions& options) {
  const std::string bytes = TinyGguf(options);
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace allod::test
