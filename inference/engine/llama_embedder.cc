#include "inference/engine/llama_embedder.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "inference/ports/queue_errors.h"
#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::inference::engine {
namespace {

constexpr std::size_t kInputsMax = 256;
// The whole input is one micro batch, and compute buffers grow with it.
constexpr std::int32_t kInputTokensMax = 2048;

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
  if (thread_.joinable()) thread_.join();
  if (context_ && threadpool_) llama_detach_threadpool(context_.get());
}

void Embedder::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  gate_.Interrupt();
  news_.notify_all();
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
  embedder->threadpool_ = model::MakeThreadpool(options.threads, options.poll);
  if (embedder->threadpool_) {
    llama_attach_threadpool(embedder->context_.get(), embedder->threadpool_.get(), embedder->threadpool_.get());
  }
  embedder->batch_ = MakeBatch(embedder->input_tokens_max_);
  // As the decode loop: what was left half done cannot be gone on from.
  embedder->thread_ = std::thread([raw = embedder.get()] { OrEnd("embedder", [raw] { raw->Run(); }); });
  return embedder;
}

Result<std::vector<std::vector<std::int32_t>>> Embedder::Tokenize(const std::vector<std::string>& inputs,
                                                                  const std::function<bool()>& is_cancelled) const {
  if (inputs.empty() || inputs.size() > kInputsMax) {
    return InvalidArgument("INVALID_INPUT",
                           fmt::format("there are {} inputs; 1 to {} are accepted", inputs.size(), kInputsMax));
  }
  const text::TokenLimits limits{input_tokens_max_, is_cancelled};
  std::vector<std::vector<std::int32_t>> all;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ALLOD_TRY(text::TokenizedText input, assets_.vocabulary().TokenizeText(inputs[i], limits));
    if (input.count == 0) return InvalidArgument("INVALID_INPUT", fmt::format("inputs[{}] has no tokens", i));
    if (input.count > input_tokens_max_) {
      return InvalidArgument("CONTEXT_LENGTH_EXCEEDED",
                             fmt::format("inputs[{}] has {} tokens; at most {} are accepted. Split it", i,
                                         text::CountText(input), input_tokens_max_));
    }
    all.push_back(std::move(input.tokens));
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

void Embedder::ChargePrepared(const std::string& tenant, double weight, std::chrono::nanoseconds processor_time) {
  gate_.SpentAside(processor_time);
  const std::lock_guard lock(mutex_);
  queue_.ChargeAhead(tenant, weight, std::chrono::duration<double>(processor_time).count());
}

Status Embedder::Enqueue(PendingEmbedding pending) {
  fairness::FairQueue<PendingPtr>::Pushed pushed;
  {
    const std::lock_guard lock(mutex_);
    if (stop_.load()) {
      pending.usage->Finish(ports::UsageOutcome::kFailed);
      return std::unexpected(ports::EngineStopped());
    }
    const std::string tenant = pending.tenant;
    const double weight = pending.weight;
    pushed = queue_.PushWithin({.all = options_.queue_max, .tenant = options_.tenant_queue_max}, tenant, weight,
                               std::make_unique<PendingEmbedding>(std::move(pending)));
  }
  if (pushed.refused) {
    (*pushed.refused)->usage->Finish(ports::UsageOutcome::kFailed);
    return std::unexpected(ports::QueueFull(pushed.waiting));
  }
  news_.notify_one();
  if (pushed.displaced) Refuse(**pushed.displaced, ports::UsageOutcome::kFailed, ports::QueueFull(pushed.waiting));
  return {};
}

void Embedder::Run() {
  while (!stop_.load()) {
    DropUnwanted();
    if (std::unique_lock lock(mutex_); queue_.size() == 0) {
      gate_.Rest();
      news_.wait(lock, [this] { return stop_.load() || queue_.size() > 0; });
      continue;
    }
    gate_.Begin();
    if (stop_.load()) break;
    DropUnwanted();
    if (PendingPtr pending = TakeNext()) {
      Advance(std::move(pending));
    } else {
      gate_.End(0, 0);
    }
  }
  gate_.Rest();
  const std::lock_guard lock(mutex_);
  queue_.EraseIf([](const PendingPtr&) { return true; },
                 [](PendingPtr& pending) { Refuse(*pending, ports::UsageOutcome::kFailed, ports::EngineStopped()); });
}

void Embedder::Refuse(PendingEmbedding& pending, ports::UsageOutcome outcome, Error error) {
  pending.usage->Finish(outcome);
  pending.done(std::unexpected(std::move(error)));
}

void Embedder::DropUnwanted() {
  const auto longest = std::chrono::steady_clock::now() - options_.queue_wait_max;
  std::vector<PendingPtr> cancelled;
  std::vector<PendingPtr> late;
  {
    const std::lock_guard lock(mutex_);
    queue_.EraseIf([](const PendingPtr& pending) { return pending->is_cancelled && pending->is_cancelled(); },
                   [&](PendingPtr& pending) { cancelled.push_back(std::move(pending)); });
    queue_.EraseIf(
        [&](const PendingPtr& pending) { return pending->out.vectors.empty() && pending->submitted_at < longest; },
        [&](PendingPtr& pending) { late.push_back(std::move(pending)); });
  }
  for (const PendingPtr& pending : cancelled) {
    Refuse(*pending, ports::UsageOutcome::kCancelled, {Code::kCancelled, "CANCELLED", "the caller went away"});
  }
  for (const PendingPtr& pending : late) {
    Refuse(*pending, ports::UsageOutcome::kFailed, ports::QueueTimeout(options_.queue_wait_max));
  }
}

Embedder::PendingPtr Embedder::TakeNext() {
  using Verdict = fairness::FairQueue<PendingPtr>::Verdict;
  PendingPtr next;
  const std::lock_guard lock(mutex_);
  queue_.Offer([&](const PendingPtr&) { return next ? Verdict::kStop : Verdict::kTake; },
               [&](PendingPtr pending) { next = std::move(pending); });
  computing_ = next ? 1 : 0;
  return next;
}

void Embedder::Advance(PendingPtr pending) {
  const auto began = std::chrono::steady_clock::now();
  const std::string tenant = pending->tenant;
  ports::Embeddings& out = pending->out;
  const std::vector<std::int32_t>& tokens = pending->inputs[out.vectors.size()];
  auto vector = Compute(tokens);
  turns_total_.fetch_add(1);
  gate_.End(static_cast<std::int32_t>(tokens.size()), 0);
  if (vector) {
    out.vectors.push_back(*std::move(vector));
    out.prompt_tokens += static_cast<std::int32_t>(tokens.size());
    tokens_total_.fetch_add(static_cast<std::int64_t>(tokens.size()));
    pending->usage->CountPrompt(out.prompt_tokens, 0);
  }
  const bool goes_on = vector && out.vectors.size() < pending->inputs.size();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  {
    const std::lock_guard lock(mutex_);
    queue_.Charge(tenant, took.count());
    const double weight = pending->weight;
    if (goes_on) queue_.Push(tenant, weight, std::move(pending));
    queue_.Done(tenant);
    computing_ = 0;
  }
  if (goes_on) return;
  if (!vector) return Refuse(*pending, ports::UsageOutcome::kFailed, vector.error());
  pending->usage->Finish(ports::UsageOutcome::kCompleted);
  pending->done(std::move(out));
}

EngineStatus Embedder::status() const {
  EngineStatus status;
  status.context_tokens = input_tokens_max_;
  status.max_sequences = 1;
  {
    const std::lock_guard lock(mutex_);
    const std::int32_t all = queue_.size() + computing_;
    status.active_sequences = std::min(all, 1);
    status.queued_requests = std::max(0, all - 1);
  }
  status.prompt_tokens_total = tokens_total_.load();
  status.turns_total = turns_total_.load();
  return status;
}

}  // namespace allod::inference::engine
