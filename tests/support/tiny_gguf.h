// A very small language model with random weights: Llama architecture, SentencePiece vocabulary of bytes and letters,
// about 0.1 M parameters, made in milliseconds from a seed. It loads and runs in llama.cpp as any other; what it says
// is nonsense, but always the same.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace allod::test {

struct TinyModelOptions {
  std::uint32_t seed = 1;
  std::uint32_t context_length = 512;
  std::uint32_t embedding = 64;
  std::uint32_t layers = 2;
  std::uint32_t feed_forward = 128;
  // Whatever was said before, the next token ends the generation.
  bool ends_at_once = false;
  // Answers are made of raw bytes, mostly no valid UTF-8.
  bool says_bytes = false;
  std::string chat_template =
      "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
      "{% if add_generation_prompt %}<|assistant|>{% endif %}";
  // llama.cpp's number of a way to pool: then it makes embeddings instead. 0: none.
  std::uint32_t pooling = 0;
};

// The file's bytes.
std::string TinyGguf(const TinyModelOptions& options = {});
void WriteTinyGguf(const std::filesystem::path& path, const TinyModelOptions& options = {});

}  // namespace allod::test
