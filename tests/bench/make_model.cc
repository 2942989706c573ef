// make_bench_model: writes the model that benchmarks run on: Llama architecture, random Q4_0 weights of the 0.4 B
// class, a vocabulary of its own, the same bytes for the same options. It costs to run what a real model of its shape
// costs, and what it says never ends by itself: the logits of its end tokens are zero, far below the best one.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "inference/gguf/rewrite.h"
#include "tests/bench/make_model_vocabulary.h"
#include "tests/support/gguf_writer.h"

namespace allod::bench {
namespace {

using test::GgufWriter;

constexpr std::uint64_t kHeadWidth = 64;
constexpr std::uint64_t kAlignment = 32;
constexpr std::uint32_t kTypeF32 = 0;
constexpr std::uint32_t kTypeQ40 = 2;
constexpr std::uint32_t kFileTypeQ40 = 2;
constexpr std::uint64_t kBlockElements = 32;
constexpr std::uint64_t kBlockBytes = 18;  // a half-precision scale and 32 nibbles

struct Options {
  std::filesystem::path output;
  std::uint64_t parameters = 430'000'000;
  std::uint32_t layers = 0;
  std::uint32_t context = 4096;
  std::uint64_t seed = 1;
  std::uint64_t width = 1280;
  std::uint64_t feed_forward = 3456;
  std::uint64_t heads_kv = 4;
  std::size_t vocabulary = 32000;
};

// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

// Positive normal numbers only.
std::uint16_t HalfBits(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<std::uint16_t>(((bits >> 13) & 0x3ff) | (((bits >> 23) - 127 + 15) << 10));
}

// One row; its weights have the standard deviation `deviation`.
std::string RandomRow(Random& random, std::uint64_t columns, double deviation) {
  constexpr double kNibbleDeviation = 4.61;  // of a uniform -8 to 7
  const std::uint16_t scale = HalfBits(static_cast<float>(deviation / kNibbleDeviation));
  std::string row(columns / kBlockElements * kBlockBytes, '\0');
  for (char* block = row.data(); block != row.data() + row.size(); block += kBlockBytes) {
    // The last bits of the scale differ from block to block, as they do in real models.
    const std::uint64_t nibbles[2] = {random.Next(), random.Next()};
    const auto block_scale = static_cast<std::uint16_t>(scale ^ (nibbles[0] & 0x7f));
    std::memcpy(block, &block_scale, sizeof(block_scale));
    std::memcpy(block + sizeof(block_scale), nibbles, sizeof(nibbles));
  }
  return row;
}

class ModelFile {
 public:
  explicit ModelFile(const Options& options)
      : options_(options), vocabulary_(MakeVocabulary(options.vocabulary)), random_(options.seed) {
    const std::uint64_t width = options.width;
    const std::uint64_t width_kv = options.heads_kv * kHeadWidth;
    AddTensor("token_embd.weight", kTypeQ40, width, options.vocabulary);
    for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
      const std::string prefix = fmt::format("blk.{}.", layer);
      AddTensor(prefix + "attn_norm.weight", kTypeF32, width, 1);
      AddTensor(prefix + "attn_q.weight", kTypeQ40, width, width);
      AddTensor(prefix + "attn_k.weight", kTypeQ40, width, width_kv);
      AddTensor(prefix + "attn_v.weight", kTypeQ40, width, width_kv);
      AddTensor(prefix + "attn_output.weight", kTypeQ40, width, width);
      AddTensor(prefix + "ffn_norm.weight", kTypeF32, width, 1);
      AddTensor(prefix + "ffn_gate.weight", kTypeQ40, width, options.feed_forward);
      AddTensor(prefix + "ffn_up.weight", kTypeQ40, width, options.feed_forward);
      AddTensor(prefix + "ffn_down.weight", kTypeQ40, options.feed_forward, width);
    }
    AddTensor("output_norm.weight", kTypeF32, width, 1);
    AddTensor("output.weight", kTypeQ40, width, options.vocabulary);
  }

  std::uint64_t parameters() const {
    std::uint64_t sum = 0;
    for (const Tensor& tensor : tensors_) sum += tensor.columns * tensor.rows;
    return sum;
  }

  void Write(std::ostream& out) {
    out << Header();
    for (const Tensor& tensor : tensors_) {
      std::uint64_t written = 0;
      for (std::uint64_t row = 0; row < tensor.rows; ++row) {
        const std::string bytes = Row(tensor, row);
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        written += bytes.size();
      }
      out << std::string((kAlignment - written % kAlignment) % kAlignment, '\0');
    }
  }

 private:
  struct Tensor {
    std::string name;
    std::uint32_t type;
    std::uint64_t columns;
    std::uint64_t rows;
    std::uint64_t bytes() const {
      return type == kTypeF32 ? columns * rows * sizeof(float) : columns * rows / kBlockElements * kBlockBytes;
    }
  };

  void AddTensor(std::string name, std::uint32_t type, std::uint64_t columns, std::uint64_t rows) {
    tensors_.push_back({std::move(name), type, columns, rows});
  }

  GgufWriter Metadata() const {
    const auto heads = static_cast<std::uint32_t>(options_.width / kHeadWidth);
    GgufWriter writer;
    writer.String("general.architecture", "llama");
    writer.String("general.name", "Synthetic benchmark model");
    writer.String("general.license", "apache-2.0");
    writer.U32("general.file_type", kFileTypeQ40);
    writer.U32("general.quantization_version", 2);
    writer.U32("llama.context_length", options_.context);
    writer.U32("llama.embedding_length", static_cast<std::uint32_t>(options_.width));
    writer.U32("llama.block_count", options_.layers);
    writer.U32("llama.feed_forward_length", static_cast<std::uint32_t>(options_.feed_forward));
    writer.U32("llama.rope.dimension_count", kHeadWidth);
    writer.F32("llama.rope.freq_base", 10000);
    writer.U32("llama.attention.head_count", heads);
    writer.U32("llama.attention.head_count_kv", static_cast<std::uint32_t>(options_.heads_kv));
    writer.F32("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    writer.U32("llama.vocab_size", static_cast<std::uint32_t>(vocabulary_.texts.size()));
    writer.String("tokenizer.ggml.model", "llama");
    writer.Strings("tokenizer.ggml.tokens", vocabulary_.texts);
    writer.Numbers("tokenizer.ggml.scores", 6, vocabulary_.scores);
    writer.Numbers("tokenizer.ggml.token_type", 5, vocabulary_.types);
    writer.U32("tokenizer.ggml.unknown_token_id", kUnknownToken);
    writer.U32("tokenizer.ggml.bos_token_id", kBosToken);
    writer.U32("tokenizer.ggml.eos_token_id", kEosToken);
    writer.Bool("tokenizer.ggml.add_bos_token", true);
    writer.String("tokenizer.chat_template",
                  "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
                  "{% if add_generation_prompt %}<|assistant|>{% endif %}");
    return writer;
  }

  std::string Header() const {
    const GgufWriter metadata = Metadata();
    std::string header = "GGUF";
    GgufWriter::Put<std::uint32_t>(header, 3);
    GgufWriter::Put<std::uint64_t>(header, tensors_.size());
    GgufWriter::Put<std::uint64_t>(header, metadata.keys);
    header += metadata.metadata;
    std::uint64_t offset = 0;
    for (const Tensor& tensor : tensors_) {
      GgufWriter::PutString(header, tensor.name);
      GgufWriter::Put<std::uint32_t>(header, tensor.rows == 1 ? 1 : 2);
      GgufWriter::Put<std::uint64_t>(header, tensor.columns);
      if (tensor.rows != 1) GgufWriter::Put<std::uint64_t>(header, tensor.rows);
      GgufWriter::Put<std::uint32_t>(header, tensor.type);
      GgufWriter::Put<std::uint64_t>(header, offset);
      offset += (tensor.bytes() + kAlignment - 1) / kAlignment * kAlignment;
    }
    header.resize((header.size() + kAlignment - 1) / kAlignment * kAlignment);
    return header;
  }

  std::string Row(const Tensor& tensor, std::uint64_t row) {
    if (tensor.type == kTypeF32) {
      const std::vector<float> ones(tensor.columns, 1.0F);
      return {reinterpret_cast<const char*>(ones.data()), ones.size() * sizeof(float)};
    }
    if (tensor.name == "token_embd.weight") {
      embeddings_.push_back(RandomRow(random_, tensor.columns, 1.0));
      return embeddings_.back();
    }
    if (tensor.name == "output.weight") return OutputRow(tensor, row);
    // What the layers add together is about twice the embedding, so that the context matters but does not drown it.
    return RandomRow(random_, tensor.columns, 1.0 / std::sqrt(static_cast<double>(tensor.columns)));
  }

  // A token's row is the embedding of the one whose successor it becomes: with purely random rows the two best logits
  // are now and then closer than the rounding, which depends on what else is in the batch, and greedy answers
  // would differ from run to run. Only pieces of text are successors; other tokens have the logit zero.
  std::string OutputRow(const Tensor& tensor, std::uint64_t row) const {
    if (vocabulary_.types[row] != static_cast<std::int32_t>(PieceType::kNormal)) {
      return std::string(tensor.columns / kBlockElements * kBlockBytes, '\0');
    }
    const std::uint64_t first = FirstNormal();
    const std::uint64_t count = options_.vocabulary - first;
    constexpr std::uint64_t kStride = 7919;  // a prime that divides no count, so that one cycle visits every piece
    std::string bytes = embeddings_[first + (row - first + kStride) % count];
    // Logits of a few units, so that sampling at ordinary temperatures has something to choose from.
    for (std::size_t block = 0; block < bytes.size(); block += kBlockBytes) {
      std::uint16_t scale = 0;
      std::memcpy(&scale, bytes.data() + block, sizeof(scale));
      scale = static_cast<std::uint16_t>(scale - (6 << 10));  // divided by 64
      std::memcpy(bytes.data() + block, &scale, sizeof(scale));
    }
    return bytes;
  }

  std::uint64_t FirstNormal() const {
    const auto normal = std::ranges::find(vocabulary_.types, static_cast<std::int32_t>(PieceType::kNormal));
    return static_cast<std::uint64_t>(normal - vocabulary_.types.begin());
  }

  const Options options_;
  const Vocabulary vocabulary_;
  Random random_;
  std::vector<Tensor> tensors_;
  std::vector<std::string> embeddings_;
};

// The number of layers that comes closest to the parameters asked for.
std::uint32_t LayersFor(Options options) {
  options.layers = 0;
  const auto without = static_cast<double>(ModelFile(options).parameters());
  options.layers = 1;
  const double layer = static_cast<double>(ModelFile(options).parameters()) - without;
  return static_cast<std::uint32_t>(
      std::clamp(std::round((static_cast<double>(options.parameters) - without) / layer), 1.0, 512.0));
}

void Run(Options options) {
  if (options.layers == 0) options.layers = LayersFor(options);
  ModelFile model(options);
  const std::filesystem::path partial = options.output.string() + ".partial";
  std::ofstream out(partial, std::ios::binary);
  model.Write(out);
  out.close();
  if (!out) throw std::runtime_error("cannot write " + partial.string());
  // As a variant from the catalogue is, so that it is mapped and not copied when it is loaded.
  const auto written = inference::gguf::WriteCanonical(partial, options.output);
  std::filesystem::remove(partial);
  if (!written) throw std::runtime_error(written.error().message);
  std::cout << fmt::format("{}: {} layers, {:.1f} M parameters, {:.1f} MiB, {} bytes of F16 KV a token\n",
                           options.output.string(), options.layers, static_cast<double>(model.parameters()) / 1e6,
                           static_cast<double>(std::filesystem::file_size(options.output)) / (1 << 20),
                           2 * options.layers * options.heads_kv * kHeadWidth * 2);
}

}  // namespace
}  // namespace allod::bench

int main(int argc, char** argv) {
  allod::bench::Options options;
  CLI::App app("Writes a synthetic Q4_0 model for benchmarks", "make_bench_model");
  app.add_option("output", options.output, "GGUF file to write")->required();
  app.add_option("--parameters", options.parameters, "About how many")->check(CLI::Range(1'000'000LL, 8'000'000'000LL));
  app.add_option("--layers", options.layers, "0: what --parameters needs")->check(CLI::Range(0, 512));
  app.add_option("--context", options.context, "Tokens it says it was trained for")->check(CLI::Range(64, 1 << 20));
  app.add_option("--vocabulary", options.vocabulary, "Tokens")->check(CLI::Range(8000, 32000));
  app.add_option("--seed", options.seed, "Other weights");
  CLI11_PARSE(app, argc, argv);
  try {
    allod::bench::Run(options);
  } catch (const std::exception& e) {
    std::cerr << "make_bench_model: " << e.what() << "\n";
    return 1;
  }
  return 0;
}
