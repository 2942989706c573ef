// What the validator accepts never ends the process inside llama.cpp: generated variations of a model's metadata, each
// loaded, tokenised with and decoded in a child of its own. Refusals are fine, by us or by llama.cpp; signals are not.
// Without the validator, 40 of these 600 children abort.

#include <gtest/gtest.h>
#include <llama.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "inference/gguf/model.h"
#include "inference/model/llama_gguf.h"
#include "inference/model/llama_runtime.h"
#include "tests/support/gguf_edit.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::test::llama_load_test {
namespace {

namespace gguf = inference::gguf;

constexpr int kRounds = 600;
constexpr unsigned kChildSeconds = 20;

class Variations {
 public:
  explicit Variations(std::uint64_t seed) : random_(seed) {}

  GgufEdit Next() {
    GgufEdit edit(TinyGguf({.context_length = 64, .layers = 3}));
    const auto names = gguf::SupportedArchitectures();
    if (random_() % 2 == 0) Rename(edit, names[random_() % names.size()]);
    for (std::uint64_t changes = random_() % 3 + 1; changes > 0; --changes) Change(edit);
    return edit;
  }

 private:
  template <typename T, std::size_t kSize>
  T Pick(const std::array<T, kSize>& values) {
    return values[random_() % kSize];
  }

  static void Rename(GgufEdit& edit, const std::string& architecture) {
    const auto pairs = edit.pairs;
    for (const auto& [key, pair] : pairs) {
      if (!key.starts_with("llama.")) continue;
      edit.pairs.erase(key);
      edit.pairs[architecture + key.substr(5)] = pair;
    }
    edit.String("general.architecture", architecture);
    edit.F32(architecture + ".attention.layer_norm_epsilon", 1e-5F);
    edit.F32(architecture + ".logit_scale", 1.0F);
  }

  void Change(GgufEdit& edit) {
    const std::string prefix = edit.pairs.at("general.architecture").value.substr(8) + ".";
    switch (random_() % 8) {
      case 0:
        edit.U32(prefix + Pick(kCounts), Pick(kNumbers));
        return;
      case 1:
        edit.F32(prefix + Pick(kReals), Pick(kValues));
        return;
      case 2:
        edit.Set<std::uint8_t>(prefix + Pick(kFlags), 7, random_() % 2);
        return;
      case 3:
        edit.String(prefix + "rope.scaling.type", Pick(kScalings));
        return;
      case 4: {
        auto it = edit.pairs.begin();
        std::advance(it, random_() % edit.pairs.size());
        if (it->first != "general.architecture") edit.pairs.erase(it);
        return;
      }
      case 5:
        edit.U32(Pick(kTokenIds), static_cast<std::uint32_t>(random_() % 400));
        return;
      case 6:
        edit.tensors.erase(edit.tensors.begin() + static_cast<std::ptrdiff_t>(random_() % edit.tensors.size()));
        return;
      default:
        Reshape(edit.tensors[random_() % edit.tensors.size()]);
    }
  }

  // Another shape, with as much data as it takes in F32.
  void Reshape(GgufWriter::Tensor& tensor) {
    for (std::uint64_t& size : tensor.shape) {
      if (random_() % 2 == 0) size = Pick(kSizes);
    }
    if (random_() % 4 == 0) tensor.shape.push_back(Pick(kSizes));
    if (tensor.shape.size() > 1 && random_() % 4 == 0) tensor.shape.pop_back();
    std::uint64_t elements = 1;
    for (const std::uint64_t size : tensor.shape) elements *= size;
    tensor.data.resize(elements * sizeof(float));
  }

  static constexpr std::array<const char*, 18> kCounts{"attention.head_count",
                                                       "attention.head_count_kv",
                                                       "attention.key_length",
                                                       "attention.value_length",
                                                       "attention.sliding_window",
                                                       "attention.sliding_window_pattern",
                                                       "block_count",
                                                       "context_length",
                                                       "embedding_length",
                                                       "expert_count",
                                                       "expert_used_count",
                                                       "expert_feed_forward_length",
                                                       "feed_forward_length",
                                                       "pooling_type",
                                                       "rope.dimension_count",
                                                       "rope.scaling.original_context_length",
                                                       "vocab_size",
                                                       "expert_shared_feed_forward_length"};
  static constexpr std::array<std::uint32_t, 16> kNumbers{0,  1,  2,  3,  4,   6,   8,       15,
                                                          16, 32, 48, 64, 128, 512, 1 << 20, ~0U};
  static constexpr std::array<const char*, 12> kReals{"attention.layer_norm_rms_epsilon",
                                                      "attention.scale",
                                                      "attn_logit_softcapping",
                                                      "embedding_scale",
                                                      "final_logit_softcapping",
                                                      "logit_scale",
                                                      "residual_scale",
                                                      "rope.freq_base",
                                                      "rope.scaling.factor",
                                                      "rope.scaling.attn_factor",
                                                      "rope.scaling.yarn_beta_fast",
                                                      "attention.temperature_scale"};
  static constexpr std::array<float, 8> kValues{0, 1e-9F, 0.5F, 1, 2, 1e4F, 1e11F, -1};
  static constexpr std::array<const char*, 5> kFlags{"attention.causal", "use_parallel_residual",
                                                     "rope.scaling.finetuned", "expert_weights_norm", "swin_norm"};
  static constexpr std::array<const char*, 5> kScalings{"none", "linear", "yarn", "longrope", "other"};
  static constexpr std::array<const char*, 6> kTokenIds{
      "tokenizer.ggml.bos_token_id",     "tokenizer.ggml.eos_token_id",     "tokenizer.ggml.eot_token_id",
      "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id", "tokenizer.ggml.fim_pre_token_id"};
  static constexpr std::array<std::uint64_t, 6> kSizes{1, 2, 16, 32, 64, 128};

  std::mt19937_64 random_;
};

// 0: refused; 1: decoded. Runs in a child.
int Use(const std::string& path) {
  const auto loaded = inference::model::LoadCheckedModel(path);
  if (!loaded) return 0;
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 64;
  params.n_batch = params.n_ubatch = 32;
  params.n_threads = params.n_threads_batch = 1;
  llama_context* context = llama_init_from_model(loaded->model.get(), params);
  if (context == nullptr) return 0;
  const llama_vocab* vocab = llama_model_get_vocab(loaded->model.get());
  constexpr std::string_view kText = "the nation \xff of to\n";
  std::vector<llama_token> tokens(64);
  const int count = llama_tokenize(vocab, kText.data(), static_cast<int>(kText.size()), tokens.data(), 64, true, true);
  if (count <= 0) return 0;
  char piece[256];
  for (int i = 0; i < count; ++i) llama_token_to_piece(vocab, tokens[static_cast<std::size_t>(i)], piece, 256, 0, true);
  if (llama_decode(context, llama_batch_get_one(tokens.data(), count)) != 0) return 0;
  for (int i = 0; i < 3; ++i) {
    if (llama_decode(context, llama_batch_get_one(tokens.data(), 1)) != 0) return 0;
  }
  return 1;
}

TEST(LlamaLoad, NothingThatIsAcceptedEndsTheProcess) {
  ASSERT_TRUE(inference::model::InitLlama());
  inference::model::ExpectLlamaErrors(true);
  const TempDir directory;
  Variations variations(20260401);
  int accepted = 0;
  int decoded = 0;
  for (int round = 0; round < kRounds; ++round) {
    const GgufEdit edit = variations.Next();
    const std::string bytes = edit.Finish();
    const auto source = gguf::MemorySource(std::as_bytes(std::span(bytes)));
    if (!gguf::ReadModel(*source)) continue;
    ++accepted;
    const auto path = directory.Write("model.gguf", bytes);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(kChildSeconds);
      const rlimit no_core{};
      setrlimit(RLIMIT_CORE, &no_core);
      _exit(Use(path));
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
      decoded += WEXITSTATUS(status);
      continue;
    }
    ADD_FAILURE() << "variation " << round << " ended with signal " << WTERMSIG(status);
  }
  EXPECT_GT(accepted, kRounds / 5);
  EXPECT_GT(decoded, accepted / 10);
  RecordProperty("accepted", accepted);
  RecordProperty("decoded", decoded);
}

}  // namespace
}  // namespace allod::test::llama_load_test
