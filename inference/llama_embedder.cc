#include "inference/llama_embedder.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "services/common/log.h"

namespace allod::inference {
namespace {

constexpr std::size_t kInputsMax = 256;
// The whole input is one micro batch, and compute buffers grow with it.
constexpr std::int32_t kInputTokensMax = 2048;
constexpr std::chrono::milliseconds kRetryAfter{1000};

Status Normalise(std::vector<float>& vector) {
  const double square = std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0);
  if (!std::isfinite(square) || square <= 0) {
    return Fail(Code::kInternal, "DECODE_FAILED", "the model made a vector without length");
  }
  const auto factor = static_cast<float>(1 / std::sqrt(square));
  for (float& value : vector) value *= factor;
  return {};
}

}  // namespace

Embedder::Embedder(const ModelAssets& assets, const EngineOptions& options)
    : assets_(assets),
      options_(options),
      input_tokens_max_(std::min(options.context_tokens, kInputTokensMax)),
      gate_(options.gate != nullptr ? *options.gate : open_gate_) {}

Embedder::~Embedder() {
  Stop();
  const std::lock_guard lock(mutex_);
  if (context_ && threadpool_) llama_detach_threadpool(context_.get());
}

void Embedder::Stop() {
  stop_.store(true);
  gate_.Interrupt();
}

Result<std::unique_ptr<Embedder>> Embedder::Create(llama_model& model, const ModelAssets& assets,
                                                   const EngineOptions& options) {
  std::unique_ptr<Embedder> embedder(new Embedder(assets, options));
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = static_cast<std::uint32_t>(embedder->input_tokens_max_);
  params.n_seq_max = 1;
  params.n_threads = params.n_threads_batch = options.threads;
  params.embeddings = true;
  params.no_perf = true;
  try {
    embedder->context_.reset(llama_init_from_model(&model, params));
  } catch (const std::exception& e) {
    Log(LogLevel::kError, "llama.cpp made no context", {{"error", e.what()}});
  }
  if (!embedder->context_) {
    return Fail(Code::kResourceExhausted, "NO_MEMORY",
                fmt::format("no context of {} tokens could be made", embedder->input_tokens_max_));
  }
  embedder->threadpool_ = MakeThreadpool(options.threads, options.poll);
  if (embedder->threadpool_) {
    llama_attach_threadpool(embedder->context_.get(), embedder->threadpool_.get(), embedder->threadpool_.get());
  }
  embedder->batch_ = MakeBatch(embedder->input_tokens_max_);
  return embedder;
}

Result<std::vector<std::vector<std::int32_t>>> Embedder::Tokenize(const std::vector<std::string>& inputs) const {
  if (inputs.empty() || inputs.size() > kInputsMax) {
    return InvalidArgument("INVALID_INPUT",
                           fmt::format("there are {} inputs; 1 to {} are accepted", inputs.size(), kInputsMax));
  }
  std::vector<std::vector<std::int32_t>> all;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ALLOD_TRY(std::vector<std::int32_t> tokens, assets_.vocabulary().TokenizeText(inputs[i]));
    if (tokens.empty()) return InvalidArgument("INVALID_INPUT", fmt::format("inputs[{}] has no tokens", i));
    if (std::ssize(tokens) > input_tokens_max_) {
      return InvalidArgument("CONTEXT_LENGTH_EXCEEDED",
                             fmt::format("inputs[{}] has {} tokens; at most {} are accepted. Split it", i,
                                         tokens.size(), input_tokens_max_));
    }
    all.push_back(std::move(tokens));
  }
  return all;
}

std::int32_t Embedder::dimensions() const { return llama_model_n_embd_out(llama_get_model(context_.get())); }

Result<std::vector<float>> Embedder::Compute(const std::vector<std::int32_t>& tokens) {
  batch_->n_tokens = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    AddToBatch(*batch_, tokens[i], static_cast<std::int32_t>(i), 0, true);
  }
  llama_memory_t memory = llama_get_memory(context_.get());
  if (memory != nullptr) llama_memory_clear(memory, true);
  // Encoders have no cache to write to.
  const int code = memory != nullptr ? llama_decode(context_.get(), *batch_) : llama_encode(context_.get(), *batch_);
  const float* values = code == 0 ? llama_get_embeddings_seq(context_.get(), 0) : nullptr;
  if (values == nullptr) {
    return Fail(Code::kInternal, "DECODE_FAILED", fmt::format("the model could not be computed (code {})", code));
  }
  std::vector<float> vector(values, values + dimensions());
  ALLOD_CHECK_OK(Normalise(vector));
  return vector;
}

Result<Embeddings> Embedder::Embed(const EmbeddingRequest& request, UsageSlot& usage,
                                   const std::function<bool()>& is_cancelled) {
  ALLOD_TRY(const auto inputs, Tokenize(request.inputs));
  struct Waiter {
    explicit Waiter(std::atomic<std::int32_t>& waiting) : count(waiting), place(waiting.fetch_add(1)) {}
    ~Waiter() { count.fetch_sub(1); }
    std::atomic<std::int32_t>& count;
    const std::int32_t place;
  } const waiter(waiting_);
  if (waiter.place >= options_.queue_max) {
    Error full{Code::kResourceExhausted, "QUEUE_FULL",
               fmt::format("{} requests wait already; try again later", options_.queue_max)};
    full.retry_after = kRetryAfter;
    return std::unexpected(std::move(full));
  }
  Embeddings out;
  for (const std::vector<std::int32_t>& tokens : inputs) {
    // Taken for each input, so that a request of many does not make the others wait for all of them.
    const std::lock_guard lock(mutex_);
    if (is_cancelled && is_cancelled()) {
      usage.Finish(UsageOutcome::kCancelled);
      return Fail(Code::kCancelled, "CANCELLED", "the caller went away");
    }
    gate_.Begin();
    if (stop_.load()) {
      gate_.End(0, 0);
      return Fail(Code::kUnavailable, "ENGINE_STOPPED", "the worker is stopping; try again");
    }
    auto vector = Compute(tokens);
    turns_total_.fetch_add(1);
    gate_.End(static_cast<std::int32_t>(tokens.size()), 0);
    if (waiting_.load() == 1) gate_.Rest();
    if (!vector) return std::unexpected(vector.error());
    out.vectors.push_back(*std::move(vector));
    out.prompt_tokens += static_cast<std::int32_t>(tokens.size());
    tokens_total_.fetch_add(static_cast<std::int64_t>(tokens.size()));
    usage.CountPrompt(out.prompt_tokens, 0);
  }
  usage.Finish(UsageOutcome::kCompleted);
  return out;
}

EngineStatus Embedder::status() const {
  EngineStatus status;
  status.context_tokens = input_tokens_max_;
  status.max_sequences = 1;
  const std::int32_t waiting = waiting_.load();
  status.active_sequences = std::min(waiting, 1);
  status.queued_requests = std::max(0, waiting - 1);
  status.prompt_tokens_total = tokens_total_.load();
  status.turns_total = turns_total_.load();
  return status;
}

}  // namespace allod::inference
