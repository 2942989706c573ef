#include "tests/fuzz/gguf_seeds.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "inference/gguf/rewrite.h"
#include "tests/support/gguf_edit.h"
#include "tests/support/tiny_gguf.h"

namespace allod::test {
namespace {

constexpr std::uint32_t kTokens = 32;
constexpr std::uint32_t kWidth = 8;

// Byte pairs instead of SentencePiece, so that few tokens are enough and the file has a few kilobytes.
GgufEdit SmallModel(std::string_view architecture) {
  GgufEdit edit(TinyGguf({.embedding = kWidth, .layers = 1, .feed_forward = kWidth, .chat_template = "{{ a }}"}));
  std::vector<std::string> tokens;
  for (std::uint32_t i = 0; i < kTokens; ++i) tokens.push_back(fmt::format("{:c}{}", 'a' + i % 26, i));
  edit.String("tokenizer.ggml.model", "gpt2");
  edit.String("tokenizer.ggml.pre", "default");
  edit.Strings("tokenizer.ggml.tokens", tokens);
  edit.Strings("tokenizer.ggml.merges", {"a b", "c d"});
  edit.Numbers("tokenizer.ggml.scores", 6, std::vector<float>(kTokens, -1.0F));
  edit.Numbers("tokenizer.ggml.token_type", 5, std::vector<std::int32_t>(kTokens, 1));
  for (const char* name : {"token_embd.weight", "output.weight"}) {
    auto& tensor = edit.Tensor(name);
    tensor.shape = {kWidth, kTokens};
    tensor.data.resize(kWidth * kTokens * sizeof(float));
  }
  if (architecture == "llama") return edit;
  const auto pairs = edit.pairs;
  for (const auto& [key, pair] : pairs) {
    if (!key.starts_with("llama.")) continue;
    edit.pairs[std::string(architecture) + key.substr(5)] = pair;
    edit.pairs.erase(key);
  }
  edit.String("general.architecture", architecture);
  return edit;
}

std::string Canonical(const std::string& bytes) {
  const auto source = inference::gguf::MemorySource(std::as_bytes(std::span(bytes)));
  const auto plan = inference::gguf::CanonicalPlan::Make(*source);
  const int fd = memfd_create("seed", MFD_CLOEXEC);
  if (!plan || !plan->Write(*source, fd)) std::abort();
  std::string canonical(plan->bytes(), '\0');
  if (pread(fd, canonical.data(), canonical.size(), 0) != static_cast<ssize_t>(canonical.size())) std::abort();
  close(fd);
  return canonical;
}

}  // namespace

std::vector<std::string> GgufSeeds() {
  std::vector<std::string> seeds;
  seeds.push_back(TinyGguf({.embedding = kWidth, .layers = 1, .feed_forward = kWidth}));
  seeds.push_back(SmallModel("llama").Finish());
  seeds.push_back(Canonical(seeds.back()));

  GgufEdit windows = SmallModel("gemma3");
  windows.U32("gemma3.block_count", 2);
  windows.U32("gemma3.attention.sliding_window", 16);
  windows.Numbers("gemma3.attention.sliding_window_pattern", 7, std::vector<std::uint8_t>{1, 0});
  seeds.push_back(windows.Finish());

  GgufEdit experts = SmallModel("qwen3moe");
  experts.U32("qwen3moe.expert_count", 8);
  experts.U32("qwen3moe.expert_used_count", 2);
  experts.U32("general.alignment", 64);
  experts.alignment = 64;
  seeds.push_back(experts.Finish());

  GgufEdit rotation = SmallModel("phi3");
  rotation.String("phi3.rope.scaling.type", "yarn");
  rotation.F32("phi3.rope.scaling.factor", 4);
  rotation.U32("phi3.rope.scaling.original_context_length", 128);
  rotation.version = 2;
  rotation.String("general.url", "dropped");
  seeds.push_back(rotation.Finish());
  return seeds;
}

}  // namespace allod::test
