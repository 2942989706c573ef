#include "inference/llama_decode_loop.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <utility>

#include "services/common/log.h"

namespace allod::inference {
namespace {

// Tokens of a step: enough to keep the cores busy with a prompt, few enough for small compute buffers.
constexpr std::int32_t kBatchTokens = 512;
// Below this a chunk of prompt costs nearly as much as a larger one, because the weights are read once for either.
constexpr std::int32_t kChunkTokensMin = 32;

double SecondsBetween(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

struct DecodeLoop::BatchHolder {
  explicit BatchHolder(std::int32_t tokens) : batch(llama_batch_init(tokens, 0, 1)), capacity(tokens) {}
  ~BatchHolder() { llama_batch_free(batch); }
  BatchHolder(const BatchHolder&) = delete;
  BatchHolder& operator=(const BatchHolder&) = delete;

  llama_batch batch;
  const std::int32_t capacity;
};

void DecodeLoop::ContextDeleter::operator()(llama_context* context) const { llama_free(context); }

DecodeLoop::Sequence::Sequence(PendingGeneration pending, std::int32_t slot_number)
    : stream(std::move(pending.stream)),
      prompt(std::move(pending.prompt)),
      max_completion_tokens(pending.max_completion_tokens),
      slot(slot_number),
      sampler(pending.sampling),
      assembler(std::move(pending.stop)),
      admitted_at(std::chrono::steady_clock::now()) {}

DecodeLoop::DecodeLoop(const Vocabulary& vocabulary, const EngineOptions& options, std::int32_t vocabulary_size)
    : vocabulary_(vocabulary), options_(options), vocabulary_size_(vocabulary_size) {}

Result<std::unique_ptr<DecodeLoop>> DecodeLoop::Start(llama_model& model, const Vocabulary& vocabulary,
                                                      const EngineOptions& options) {
  std::unique_ptr<DecodeLoop> loop(new DecodeLoop(vocabulary, options, vocabulary.size()));
  const std::int32_t batch_tokens = std::max(kBatchTokens, options.max_sequences);
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(options.context_tokens) * static_cast<std::uint32_t>(options.max_sequences);
  params.n_batch = static_cast<std::uint32_t>(batch_tokens);
  params.n_ubatch = static_cast<std::uint32_t>(batch_tokens);
  params.n_seq_max = static_cast<std::uint32_t>(options.max_sequences);
  params.n_outputs_max = params.n_seq_max;
  params.n_threads = options.threads;
  params.n_threads_batch = options.threads;
  params.kv_unified = true;
  params.no_perf = true;
  params.abort_callback = &DecodeLoop::ShouldAbort;
  params.abort_callback_data = loop.get();
  try {
    loop->context_.reset(llama_init_from_model(&model, params));
  } catch (const std::exception& e) {
    Log(LogLevel::kError, "llama.cpp made no context", {{"error", e.what()}});
  }
  if (!loop->context_) {
    return Fail(Code::kResourceExhausted, "NO_MEMORY",
                fmt::format("no context of {} sequences of {} tokens each could be made; choose fewer or smaller ones",
                            options.max_sequences, options.context_tokens));
  }
  loop->threadpool_ = MakeThreadpool(options.threads, options.poll);
  if (loop->threadpool_) {
    llama_attach_threadpool(loop->context_.get(), loop->threadpool_.get(), loop->threadpool_.get());
  }
  loop->batch_ = std::make_unique<BatchHolder>(batch_tokens);
  for (std::int32_t slot = options.max_sequences - 1; slot >= 0; --slot) loop->free_slots_.push_back(slot);
  loop->thread_ = std::thread([raw = loop.get()] { raw->Run(); });
  return loop;
}

DecodeLoop::~DecodeLoop() {
  stop_.store(true);
  wakeup_->Notify();
  if (thread_.joinable()) thread_.join();
  if (context_ && threadpool_) llama_detach_threadpool(context_.get());
  context_.reset();
}

bool DecodeLoop::Enqueue(PendingGeneration pending) {
  {
    const std::lock_guard lock(queue_mutex_);
    if (static_cast<std::int32_t>(queue_.size()) >= options_.queue_max) return false;
    queue_.push_back(std::move(pending));
    queued_.store(static_cast<std::int32_t>(queue_.size()), std::memory_order_release);
  }
  wakeup_->Notify();
  return true;
}

EngineStatus DecodeLoop::status() const {
  return {options_.context_tokens, options_.max_sequences,  active_, queued_,
          prompt_tokens_total_,    completion_tokens_total_};
}

// Asked by llama.cpp on the decode thread between the nodes of the compute graph.
bool DecodeLoop::ShouldAbort(void* self) {
  const auto* loop = static_cast<const DecodeLoop*>(self);
  // While the context is made, no sequence is in a step.
  const bool nobody_waits =
      !loop->in_step_.empty() &&
      std::ranges::all_of(loop->in_step_, [](const Sequence* sequence) { return sequence->stream->is_cancelled(); });
  if (!nobody_waits && !loop->stop_.load(std::memory_order_relaxed)) return false;
  ExpectLlamaErrors(true);
  return true;
}

void DecodeLoop::Run() {
  while (!stop_.load()) {
    DropCancelled();
    Admit();
    if (FillBatch()) {
      Step();
    } else {
      wakeup_->Wait();
    }
  }
  const Error stopped{Code::kUnavailable, "ENGINE_STOPPED", "the worker is stopping; try again"};
  for (const auto& sequence : running_) sequence->stream->Fail(stopped);
  const std::lock_guard lock(queue_mutex_);
  for (const PendingGeneration& pending : queue_) pending.stream->Fail(stopped);
}

void DecodeLoop::DropCancelled() {
  for (auto& sequence : running_) {
    if (sequence->stream->is_cancelled()) Release(std::move(sequence));
  }
  std::erase(running_, nullptr);
}

void DecodeLoop::Admit() {
  if (queued_.load(std::memory_order_acquire) == 0) return;
  const std::lock_guard lock(queue_mutex_);
  std::erase_if(queue_, [](const PendingGeneration& pending) { return pending.stream->is_cancelled(); });
  while (!queue_.empty() && !free_slots_.empty()) {
    running_.push_back(std::make_unique<Sequence>(std::move(queue_.front()), free_slots_.back()));
    queue_.pop_front();
    free_slots_.pop_back();
    running_.back()->stream->Start({static_cast<std::int32_t>(running_.back()->prompt.size())});
  }
  queued_.store(static_cast<std::int32_t>(queue_.size()), std::memory_order_release);
  active_.store(static_cast<std::int32_t>(running_.size()), std::memory_order_relaxed);
}

std::int32_t DecodeLoop::PrefillBudget() const {
  if (prefill_token_seconds_ == 0) return kChunkTokensMin;
  const double tokens = std::chrono::duration<double>(options_.prefill_step).count() / prefill_token_seconds_;
  return tokens >= kBatchTokens ? kBatchTokens : std::max(kChunkTokensMin, static_cast<std::int32_t>(tokens));
}

void DecodeLoop::AddToBatch(Sequence& sequence, std::int32_t token, bool wants_logits) {
  llama_batch& batch = batch_->batch;
  const std::int32_t i = batch.n_tokens++;
  batch.token[i] = token;
  batch.pos[i] = sequence.in_cache + sequence.chunk;
  batch.n_seq_id[i] = 1;
  batch.seq_id[i][0] = sequence.slot;
  batch.logits[i] = wants_logits ? 1 : 0;
  ++sequence.chunk;
  if (wants_logits) sequence.output_index = i;
}

bool DecodeLoop::FillBatch() {
  batch_->batch.n_tokens = 0;
  in_step_.clear();
  for (const auto& sequence : running_) {
    sequence->chunk = 0;
    sequence->output_index = -1;
    if (sequence->is_prefilling() || sequence->stream->is_full()) continue;
    AddToBatch(*sequence, sequence->next_token, true);
    in_step_.push_back(sequence.get());
  }
  std::int32_t budget = std::min(PrefillBudget(), batch_->capacity - batch_->batch.n_tokens);
  for (const auto& sequence : running_) {
    if (budget == 0) break;
    if (!sequence->is_prefilling()) continue;
    const auto whole = static_cast<std::int32_t>(sequence->prompt.size());
    const std::int32_t end = std::min(whole, sequence->in_cache + budget);
    budget -= end - sequence->in_cache;
    for (std::int32_t at = sequence->in_cache; at < end; ++at) {
      AddToBatch(*sequence, sequence->prompt[static_cast<std::size_t>(at)], at + 1 == whole);
    }
    in_step_.push_back(sequence.get());
  }
  return !in_step_.empty();
}

void DecodeLoop::Step() {
  const SteadyTime start = std::chrono::steady_clock::now();
  const int code = llama_decode(context_.get(), batch_->batch);
  ExpectLlamaErrors(false);
  if (code != 0) return FailStep(code);
  std::int32_t prefilled = 0;
  bool any_finished = false;
  for (Sequence* sequence : in_step_) {
    if (sequence->is_prefilling()) prefilled += sequence->chunk;
    sequence->in_cache += sequence->chunk;
    if (sequence->output_index < 0) continue;
    if (Advance(*sequence)) {
      any_finished = true;
      auto& owner = *std::ranges::find(running_, sequence, &std::unique_ptr<Sequence>::get);
      Release(std::move(owner));
    }
  }
  in_step_.clear();
  if (any_finished) std::erase(running_, nullptr);
  // Whole chunks only: the fixed cost of a step would make a prompt of a few tokens look slow.
  if (prefilled >= kChunkTokensMin) {
    const double now = SecondsBetween(start, std::chrono::steady_clock::now()) / prefilled;
    prefill_token_seconds_ = prefill_token_seconds_ == 0 ? now : 0.7 * prefill_token_seconds_ + 0.3 * now;
  }
}

void DecodeLoop::FailStep(int code) {
  // 2: ShouldAbort said so; the cancelled are dropped next, and Run ends when stopping.
  if (code != 2) {
    Log(LogLevel::kError, "a decode step failed", {{"code", std::to_string(code)}});
    const Error failed{Code::kInternal, "DECODE_FAILED",
                       fmt::format("the model could not be computed (code {})", code)};
    for (Sequence* sequence : in_step_) {
      sequence->stream->Fail(failed);
      Release(std::move(*std::ranges::find(running_, sequence, &std::unique_ptr<Sequence>::get)));
    }
    std::erase(running_, nullptr);
  }
  in_step_.clear();
}

bool DecodeLoop::Advance(Sequence& sequence) {
  float* logits = llama_get_logits_ith(context_.get(), sequence.output_index);
  const bool is_first = sequence.sampled == 0;
  if (is_first) {
    sequence.prefilled_at = std::chrono::steady_clock::now();
    prompt_tokens_total_.fetch_add(static_cast<std::int64_t>(sequence.prompt.size()), std::memory_order_relaxed);
  }
  const std::int32_t token = sequence.sampler.Next({logits, static_cast<std::size_t>(vocabulary_size_)});
  ++sequence.sampled;
  TextDelta delta;
  if (vocabulary_.EndsGeneration(token)) {
    FinishSequence(sequence, FinishReason::kStop, std::move(delta));
    return true;
  }
  ++sequence.completion;
  sequence.next_token = token;
  piece_.clear();
  vocabulary_.AppendPiece(token, is_first && vocabulary_.BeginsWithMadeUpSpace(sequence.prompt.back()), piece_);
  if (sequence.assembler.Add(piece_, delta)) {
    FinishSequence(sequence, FinishReason::kStop, std::move(delta));
    return true;
  }
  if (sequence.completion >= sequence.max_completion_tokens) {
    FinishSequence(sequence, FinishReason::kLength, std::move(delta));
    return true;
  }
  if (!delta.text.empty()) {
    sequence.delivered += delta.token_count;
    completion_tokens_total_.fetch_add(delta.token_count, std::memory_order_relaxed);
    sequence.stream->Push(std::move(delta));
  }
  return false;
}

void DecodeLoop::FinishSequence(Sequence& sequence, FinishReason reason, TextDelta last) {
  sequence.assembler.Finish(last);
  sequence.delivered += last.token_count;
  completion_tokens_total_.fetch_add(last.token_count, std::memory_order_relaxed);
  if (!last.text.empty()) sequence.stream->Push(std::move(last));
  Finished finished;
  finished.reason = reason;
  finished.prompt_tokens = static_cast<std::int32_t>(sequence.prompt.size());
  finished.completion_tokens = sequence.delivered;
  finished.sampled_tokens = sequence.sampled;
  finished.prefill_seconds = SecondsBetween(sequence.admitted_at, sequence.prefilled_at);
  finished.decode_seconds = SecondsBetween(sequence.prefilled_at, std::chrono::steady_clock::now());
  sequence.stream->Finish(finished);
}

void DecodeLoop::Release(std::unique_ptr<Sequence> sequence) {
  llama_memory_seq_rm(llama_get_memory(context_.get()), sequence->slot, -1, -1);
  free_slots_.push_back(sequence->slot);
  active_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace allod::inference
