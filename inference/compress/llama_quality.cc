#include "inference/compress/llama_quality.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "inference/compress/divergence.h"
#include "inference/compress/evaluation_plan.h"
#include "inference/model/llama_runtime.h"

namespace allod::inference::compress {
namespace {

using compress::Divergence;
using compress::EvaluationPlan;
using compress::kDecodeWarmUpTokens;
using compress::PlanEvaluation;

constexpr std::size_t kTextBytesMax = 128 << 10;

struct ContextDeleter {
  void operator()(llama_context* context) const { llama_free(context); }
};
using ContextPtr = std::unique_ptr<llama_context, ContextDeleter>;

class BatchOwner {
 public:
  explicit BatchOwner(int tokens) : batch_(llama_batch_init(tokens, 0, 1)) {}
  ~BatchOwner() { llama_batch_free(batch_); }
  BatchOwner(const BatchOwner&) = delete;
  BatchOwner& operator=(const BatchOwner&) = delete;

  void Clear() { batch_.n_tokens = 0; }
  void Add(llama_token token, int position, bool output) {
    const int i = batch_.n_tokens++;
    batch_.token[i] = token;
    batch_.pos[i] = position;
    batch_.n_seq_id[i] = 1;
    batch_.seq_id[i][0] = 0;
    batch_.logits[i] = output ? 1 : 0;
  }
  const llama_batch& get() const { return batch_; }

 private:
  llama_batch batch_;
};

std::unexpected<Error> NotGenerative(std::string_view architecture) {
  return FailedPrecondition("MODEL_NOT_GENERATIVE",
                            fmt::format("`{}` is not a causal language model with a tokeniser: it cannot answer a "
                                        "prompt token by token, so it can be neither measured nor served",
                                        architecture));
}

// One model with a context for windows of the plan. The threadpool outlives the context.
class Evaluated {
 public:
  static Result<std::unique_ptr<Evaluated>> Open(llama_model& model, const EvaluationPlan& plan) {
    auto out = std::unique_ptr<Evaluated>(new Evaluated());
    llama_context_params params = llama_context_default_params();
    params.n_ctx = plan.window_tokens;
    params.n_batch = plan.batch_tokens;
    params.n_ubatch = plan.batch_tokens;
    params.n_seq_max = 1;
    params.n_outputs_max = plan.batch_tokens;
    params.n_threads = plan.threads;
    params.n_threads_batch = plan.threads;
    params.no_perf = true;
    out->pool_ = model::MakeThreadpool(plan.threads);
    out->context_.reset(llama_init_from_model(&model, params));
    if (!out->context_) {
      return Fail(Code::kResourceExhausted, "OUT_OF_MEMORY",
                  fmt::format("no memory for a context of {} tokens to measure the model in", plan.window_tokens));
    }
    if (llama_get_memory(out->context_.get()) == nullptr) return NotGenerative(model::FactsOf(model).architecture);
    if (out->pool_) llama_attach_threadpool(out->context_.get(), out->pool_.get(), out->pool_.get());
    return out;
  }

  void Clear() { llama_memory_clear(llama_get_memory(context_.get()), true); }
  // False when llama.cpp could not compute it.
  bool Decode(const BatchOwner& batch) { return llama_decode(context_.get(), batch.get()) == 0; }
  const float* Logits(int index_in_batch) { return llama_get_logits_ith(context_.get(), index_in_batch); }

 private:
  Evaluated() = default;
  model::ThreadpoolPtr pool_;
  ContextPtr context_;
};

std::unexpected<Error> ComputeFailed() {
  return Internal("llama.cpp could not compute a batch of the evaluation text with this model");
}

std::string_view WholeCharacters(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

Result<std::vector<llama_token>> Tokenise(const llama_vocab* vocab, std::string_view text) {
  text = WholeCharacters(text, kTextBytesMax);
  std::vector<llama_token> tokens(text.size() + 16);
  const int count = llama_tokenize(vocab, text.data(), static_cast<int>(text.size()), tokens.data(),
                                   static_cast<int>(tokens.size()), /*add_special=*/false, /*parse_special=*/false);
  if (count < 0) return Internal("the model's tokeniser makes more tokens than the evaluation text has bytes");
  tokens.resize(count);
  return tokens;
}

struct Position {
  const float* source;
  const float* variant;  // null: the source alone
  llama_token target;
};

// Adds the positions to `total`, spread over the threads. False when some row is not finite.
bool Accumulate(std::span<const Position> positions, std::size_t vocabulary, int threads, Divergence& total) {
  const std::size_t parts = std::clamp<std::size_t>(positions.size() / 16, 1, threads);
  std::vector<Divergence> sums(parts);
  std::vector<char> good(parts, 1);
  const auto work = [&](std::size_t part) {
    for (std::size_t i = part; i < positions.size(); i += parts) {
      const Position& p = positions[i];
      const std::span<const float> source(p.source, vocabulary);
      const bool ok = p.variant != nullptr ? sums[part].Add(source, {p.variant, vocabulary}, p.target)
                                           : sums[part].AddSource(source, p.target);
      if (!ok) good[part] = 0;
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t part = 1; part < parts; ++part) others.emplace_back(work, part);
    work(0);
  }
  for (const Divergence& sum : sums) total.Merge(sum);
  return std::ranges::all_of(good, [](char g) { return g != 0; });
}

struct Pair {
  Evaluated& source;
  Evaluated* variant;
};

Status EvaluateWindow(Pair models, std::span<const llama_token> window, const EvaluationPlan& plan,
                      std::size_t vocabulary, int threads, Divergence& total) {
  models.source.Clear();
  if (models.variant != nullptr) models.variant->Clear();
  BatchOwner batch(plan.batch_tokens);
  std::vector<Position> positions;
  for (int begin = 0; begin < plan.window_tokens; begin += plan.batch_tokens) {
    const int end = std::min(begin + plan.batch_tokens, plan.window_tokens);
    const auto scored = [&](int i) { return i >= plan.first_scored && i + 1 < plan.window_tokens; };
    batch.Clear();
    for (int i = begin; i < end; ++i) batch.Add(window[i], i, scored(i));
    if (!models.source.Decode(batch)) return ComputeFailed();
    if (models.variant != nullptr && !models.variant->Decode(batch)) return ComputeFailed();
    positions.clear();
    for (int i = begin; i < end; ++i) {
      if (!scored(i)) continue;
      const float* variant = models.variant != nullptr ? models.variant->Logits(i - begin) : nullptr;
      positions.push_back({models.source.Logits(i - begin), variant, window[i + 1]});
      if (positions.back().source == nullptr || (models.variant != nullptr && variant == nullptr))
        return ComputeFailed();
    }
    if (!Accumulate(positions, vocabulary, threads, total)) {
      return FailedPrecondition("NON_FINITE_LOGITS",
                                "the model computes values that are not finite numbers on the evaluation text; its "
                                "weights are damaged or do not survive this compression");
    }
  }
  return {};
}

using Seconds = std::chrono::duration<double>;

template <typename Fn>
Result<double> TimeOf(Fn&& fn) {
  const auto start = std::chrono::steady_clock::now();
  if (!fn()) return ComputeFailed();
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

bool Prefill(Evaluated& model, std::span<const llama_token> tokens, const EvaluationPlan& plan, BatchOwner& batch) {
  model.Clear();
  for (int begin = 0; begin < plan.prefill_tokens; begin += plan.batch_tokens) {
    const int end = std::min(begin + plan.batch_tokens, plan.prefill_tokens);
    batch.Clear();
    for (int i = begin; i < end; ++i) batch.Add(tokens[i], i, i + 1 == plan.prefill_tokens);
    if (!model.Decode(batch)) return false;
  }
  return model.Logits(batch.get().n_tokens - 1) != nullptr;
}

Status MeasureSpeed(Evaluated& model, std::span<const llama_token> tokens, const EvaluationPlan& plan, Quality& out) {
  BatchOwner batch(plan.batch_tokens);
  std::vector<double> prefills;
  for (int run = 0; run <= plan.prefill_runs; ++run) {
    ALLOD_TRY(const double seconds, TimeOf([&] { return Prefill(model, tokens, plan, batch); }));
    if (run > 0) prefills.push_back(seconds);
  }
  std::vector<double> decodes;
  for (int i = 0; i < kDecodeWarmUpTokens + plan.decode_tokens; ++i) {
    batch.Clear();
    batch.Add(tokens[plan.prefill_tokens + i], plan.prefill_tokens + i, true);
    ALLOD_TRY(const double seconds, TimeOf([&] { return model.Decode(batch) && model.Logits(0) != nullptr; }));
    if (i >= kDecodeWarmUpTokens) decodes.push_back(seconds);
  }
  out.prefill_tokens_per_second = plan.prefill_tokens / Median(std::move(prefills));
  out.decode_tokens_per_second = 1 / Median(std::move(decodes));
  return {};
}

}  // namespace

Status CheckGenerative(const llama_model& model) {
  const model::ModelFacts facts = model::FactsOf(model);
  char causal[16] = "";
  llama_model_meta_val_str(&model, (facts.architecture + ".attention.causal").c_str(), causal, sizeof(causal));
  const bool bidirectional = std::string_view(causal) == "false" || std::string_view(causal) == "0";
  if (facts.has_decoder && !facts.has_encoder && !bidirectional && !llama_model_is_diffusion(&model) &&
      facts.vocabulary > 0) {
    return {};
  }
  return NotGenerative(facts.architecture);
}

Result<Quality> MeasureQuality(llama_model& source, llama_model* variant, std::string_view text, int threads,
                               const std::function<void(double)>& progress) {
  const model::ModelFacts facts = model::FactsOf(source);
  if (variant != nullptr && model::FactsOf(*variant).vocabulary != facts.vocabulary) {
    return FailedPrecondition("VOCABULARY_MISMATCH", "the variant's vocabulary is not its source's");
  }
  const llama_vocab* vocab = llama_model_get_vocab(&source);
  ALLOD_TRY(std::vector<llama_token> tokens, Tokenise(vocab, text));
  ALLOD_TRY(const EvaluationPlan plan,
            PlanEvaluation({facts.parameters, facts.context_train, facts.vocabulary}, std::ssize(tokens), threads));
  ALLOD_TRY(const std::unique_ptr<Evaluated> source_context, Evaluated::Open(source, plan));
  std::unique_ptr<Evaluated> variant_context;
  if (variant != nullptr) {
    ALLOD_TRY(variant_context, Evaluated::Open(*variant, plan));
  }
  Quality out;
  out.threads = plan.threads;
  // Speed first: what is sold is the variant.
  Evaluated& sold = variant_context ? *variant_context : *source_context;
  ALLOD_CHECK_OK(MeasureSpeed(sold, tokens, plan, out));
  Divergence total;
  const bool add_bos = llama_vocab_get_add_bos(vocab);
  for (int w = 0; w < plan.windows; ++w) {
    progress(static_cast<double>(w) / plan.windows);
    const std::span<llama_token> window(tokens.data() + static_cast<std::size_t>(w) * plan.window_tokens,
                                        plan.window_tokens);
    if (add_bos) window[0] = llama_vocab_bos(vocab);
    ALLOD_CHECK_OK(
        EvaluateWindow({*source_context, variant_context.get()}, window, plan, facts.vocabulary, threads, total));
  }
  out.perplexity = total.perplexity();
  out.source_perplexity = total.source_perplexity();
  out.mean_kl_divergence = total.mean_kl_divergence();
  out.top1_agreement = total.top1_agreement();
  out.evaluated_tokens = static_cast<int>(total.positions());
  progress(1);
  return out;
}

}  // namespace allod::inference::compress
