#include "inference/engine/llama_decode_loop.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <utility>

#include "inference/engine/zero_pages.h"
#include "inference/ports/queue_errors.h"
#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::inference::engine {
namespace {

// What llama.cpp computes at once. The compute buffers, which are private to the process, grow with it: at 0.4 B by 60
// KB a token. A larger model fills its time budget with fewer tokens anyway.
constexpr std::int32_t kMicroBatchTokens = 32;
constexpr std::int32_t kMicroBatchTokensSmall = 128;
constexpr std::uint64_t kSmallParameters = 100'000'000;
// What a decoded token takes of a step, against one of a prompt (Sheng et al.).
constexpr double kDecodeWeight = 2;
constexpr std::size_t kRecentFirstTokens = 64;
constexpr std::int32_t kSlotsMax = 256;  // llama.cpp's own limit

}  // namespace

DecodeLoop::DecodeLoop(const ModelAssets& assets, const EngineOptions& options)
    : assets_(assets), options_(options), gate_(options.gate != nullptr ? *options.gate : open_gate_) {}

Result<std::unique_ptr<DecodeLoop>> DecodeLoop::Start(llama_model& model, const ModelAssets& assets,
                                                      const EngineOptions& options) {
  std::unique_ptr<DecodeLoop> loop(new DecodeLoop(assets, options));
  loop->batch_tokens_max_ = std::max(options.chunk_tokens_max, kChunkTokensMin) + options.max_sequences;
  const bool keeps_prefixes = options.prefix_cache && assets.can_share_prefixes();
  const std::int32_t slots =
      keeps_prefixes ? std::min(kSlotsMax, 2 * options.max_sequences + 8) : options.max_sequences;
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(options.kv_tokens);
  params.n_batch = static_cast<std::uint32_t>(loop->batch_tokens_max_);
  const bool is_small = assets.facts().parameters < kSmallParameters;
  params.n_ubatch = static_cast<std::uint32_t>(
      std::max(is_small ? kMicroBatchTokensSmall : kMicroBatchTokens, options.max_sequences));
  params.n_seq_max = static_cast<std::uint32_t>(slots);
  // No less is accepted; what no step uses is never touched.
  params.n_outputs_max = params.n_seq_max;
  params.n_threads = options.threads;
  params.n_threads_batch = options.threads;
  params.kv_unified = true;
  params.no_perf = true;
  params.abort_callback = &DecodeLoop::ShouldAbort;
  params.abort_callback_data = loop.get();
  loop->scratch_.Watch(params);
  try {
    loop->context_.reset(llama_init_from_model(&model, params));
    if (loop->context_ && options.is_made_alone) loop->BuildGraphs();
  } catch (const std::exception& e) {
    Log(LogLevel::kError, "llama.cpp made no context", {{"error", e.what()}});
    loop->context_.reset();
  }
  if (!loop->context_) {
    return Fail(Code::kResourceExhausted, "NO_MEMORY",
                fmt::format("no context of {} sequences and {} tokens could be made; choose fewer or smaller ones",
                            options.max_sequences, options.kv_tokens));
  }
  loop->slots_ = slots;
  // llama.cpp fills its output buffer with zeros; pages that no step uses go back.
  loop->scratch_.GiveBack(*loop->context_, loop->OutputBytes());
  if (options.is_made_alone) GiveBackZeroPages();
  loop->threadpool_ = model::MakeThreadpool(options.threads, options.poll);
  if (loop->threadpool_) {
    llama_attach_threadpool(loop->context_.get(), loop->threadpool_.get(), loop->threadpool_.get());
  }
  loop->batch_ = MakeBatch(loop->batch_tokens_max_);
  const KvRoom::Limits limits{.cells = options.kv_tokens,
                              .sequences = options.max_sequences,
                              .slots = slots,
                              .tenant_cells = options.tenant_kv_tokens_max,
                              .tenant_sequences = options.tenant_sequences_max,
                              .newcomer_cells = options.newcomer_kv_tokens,
                              .newcomer_sequences = options.newcomer_sequences};
  loop->kv_ = std::make_unique<KvCache>(*loop->context_, limits, keeps_prefixes);
  // A step that was left half done cannot be gone on from; the worker ends, and is forked anew.
  loop->thread_ = std::thread([raw = loop.get()] { OrEnd("decode loop", [raw] { raw->Run(); }); });
  return loop;
}

DecodeLoop::~DecodeLoop() {
  stop_.store(true);
  gate_.Interrupt();
  wakeup_->Notify();
  if (thread_.joinable()) thread_.join();
  if (context_ && threadpool_) llama_detach_threadpool(context_.get());
  context_.reset();
}

Status DecodeLoop::Enqueue(PendingGeneration pending) {
  fairness::FairQueue<PendingGeneration>::Pushed pushed;
  {
    const std::lock_guard lock(queue_mutex_);
    if (has_ended_) {
      pending.usage->Finish(ports::UsageOutcome::kFailed);
      return std::unexpected(ports::EngineStopped());
    }
    const std::string tenant = pending.tenant;
    const double weight = pending.weight;
    pushed = queue_.PushWithin({.all = options_.queue_max, .tenant = options_.tenant_queue_max}, tenant, weight,
                               std::move(pending));
    queued_.store(queue_.size(), std::memory_order_release);
  }
  if (pushed.refused) {
    pushed.refused->usage->Finish(ports::UsageOutcome::kFailed);
    return std::unexpected(ports::QueueFull(pushed.waiting));
  }
  wakeup_->Notify();
  if (pushed.displaced) {
    pushed.displaced->usage->Finish(ports::UsageOutcome::kFailed);
    pushed.displaced->stream->Fail(ports::QueueFull(pushed.waiting));
  }
  return {};
}

EngineStatus DecodeLoop::status() const {
  EngineStatus status;
  {
    const std::lock_guard lock(status_mutex_);
    status = status_;
  }
  status.context_tokens = options_.context_tokens;
  status.max_sequences = options_.max_sequences;
  status.kv_tokens = options_.kv_tokens;
  status.active_sequences = active_;
  status.queued_requests = queued_;
  status.prompt_tokens_total = totals_.prompt;
  status.cached_prompt_tokens_total = totals_.cached;
  status.completion_tokens_total = totals_.completion;
  status.sampled_tokens_total = totals_.sampled;
  return status;
}

// llama.cpp keeps two graphs, of steps with output and without, and makes each with the first step that needs it. Made
// now, what they are not filled with goes back with the rest. Nothing is computed.
void DecodeLoop::BuildGraphs() {
  stop_.store(true);  // seen after the first node
  llama_set_n_threads(context_.get(), 1, 1);
  const BatchPtr batch = MakeBatch(1);
  for (const bool wants_output : {false, true}) {
    batch->n_tokens = 0;
    AddToBatch(*batch, /*token=*/0, /*position=*/0, /*slot=*/0, wants_output);
    (void)llama_decode(context_.get(), *batch);
  }
  model::ExpectLlamaErrors(false);
  llama_memory_clear(llama_get_memory(context_.get()), /*data=*/false);
  scratch_.GiveBackCells();
  llama_set_n_threads(context_.get(), options_.threads, options_.threads);
  stop_.store(false);
}

// A row of the vocabulary for each slot.
std::size_t DecodeLoop::OutputBytes() const {
  return sizeof(float) * static_cast<std::size_t>(slots_) * static_cast<std::size_t>(assets_.vocabulary().size());
}

void DecodeLoop::GiveBackScratch() {
  gives_back_.store(true);
  wakeup_->Notify();
}

// Asked by llama.cpp on the decode thread between the nodes of the compute graph.
bool DecodeLoop::ShouldAbort(void* self) {
  const auto* loop = static_cast<const DecodeLoop*>(self);
  // While the context is made, no sequence is in a step.
  const bool nobody_waits =
      !loop->in_step_.empty() && std::ranges::all_of(loop->in_step_, [](const RunningGeneration* generation) {
        return generation->request.stream->is_cancelled();
      });
  if (!nobody_waits && !loop->stop_.load(std::memory_order_relaxed)) return false;
  model::ExpectLlamaErrors(true);
  return true;
}

void DecodeLoop::Run() {
  while (!stop_.load()) {
    if (gives_back_.exchange(false) && !HasWork()) scratch_.GiveBack(*context_, OutputBytes());
    DropCancelled();
    Admit();
    if (!HasWork()) {
      gate_.Rest();
      Sleep();
      continue;
    }
    const SteadyTime wanted = std::chrono::steady_clock::now();
    const ports::TurnGate::Turn turn = gate_.Begin();
    const SteadyTime began = std::chrono::steady_clock::now();
    if (stop_.load()) break;
    DropCancelled();
    Admit();
    step_prompt_ = step_decode_ = 0;
    const double step_seconds = FillBatch(turn) ? Step() : 0;
    GoOnDrawing(turn, began, step_seconds);
    // Within a tenant those that were not in this step come first.
    std::ranges::stable_partition(running_, [&](const auto& generation) {
      return std::ranges::find(in_step_, generation.get()) == in_step_.end();
    });
    in_step_.clear();
    CountTurn(wanted, began);
    gate_.End(step_prompt_, step_decode_);
  }
  gate_.Rest();
  const Error stopped = ports::EngineStopped();
  for (const auto& generation : running_) generation->Fail(stopped);
  const std::lock_guard lock(queue_mutex_);
  has_ended_ = true;
  queue_.EraseIf([](const PendingGeneration&) { return true; },
                 [&](PendingGeneration& pending) {
                   pending.usage->Finish(ports::UsageOutcome::kFailed);
                   pending.stream->Fail(stopped);
                 });
}

// Until there may be something to do: also for those that have waited too long behind readers that stall.
void DecodeLoop::Sleep() {
  if (queued_.load(std::memory_order_acquire) == 0) return wakeup_->Wait();
  constexpr std::chrono::milliseconds kLookMax{1000};
  wakeup_->WaitFor(std::min(kLookMax, options_.queue_wait_max));
}

void DecodeLoop::DropCancelled() {
  for (auto& generation : running_) {
    if (!generation->request.stream->is_cancelled()) continue;
    generation->request.usage->Finish(ports::UsageOutcome::kCancelled);
    // What was computed is as good as any; the client may come back with the same prompt.
    EndGeneration(*generation, /*keep=*/true);
    generation.reset();
  }
  std::erase(running_, nullptr);
}

void DecodeLoop::NoteStalled() {
  const SteadyTime now = std::chrono::steady_clock::now();
  for (const auto& generation : running_) {
    if (!generation->request.stream->is_full()) {
      generation->stalled_since.reset();
    } else if (!generation->stalled_since) {
      generation->stalled_since = now;
    }
  }
}

bool DecodeLoop::EndStalled(const Waiting& waiting) {
  RunningGeneration* longest = nullptr;
  for (const auto& generation : running_) {
    if (!generation->stalled_since) continue;
    if (!waiting.is_full && !waiting.at_limit.contains(generation->request.tenant)) continue;
    if (longest == nullptr || generation->stalled_since < longest->stalled_since) longest = generation.get();
  }
  const SteadyTime before = std::chrono::steady_clock::now() - options_.reader_stall_max;
  if (longest == nullptr || *longest->stalled_since > before) return false;
  // As if its client had left.
  longest->request.usage->Finish(ports::UsageOutcome::kCancelled);
  EndGeneration(*longest, /*keep=*/true);
  const auto at = std::ranges::find(running_, longest, &std::unique_ptr<RunningGeneration>::get);
  const std::unique_ptr<RunningGeneration> ended = std::move(*at);
  running_.erase(at);
  ended->request.stream->Fail({Code::kFailedPrecondition, "READER_TOO_SLOW",
                               fmt::format("nothing of the answer was read for {} s while others waited for its place",
                                           options_.reader_stall_max.count() / 1000)});
  return true;
}

void DecodeLoop::Admit() {
  NoteStalled();
  while (queued_.load(std::memory_order_acquire) > 0 && EndStalled(AdmitOnce())) {
  }
}

DecodeLoop::Waiting DecodeLoop::AdmitOnce() {
  Waiting waiting;
  const std::lock_guard lock(queue_mutex_);
  queue_.EraseIf([](const PendingGeneration& pending) { return pending.stream->is_cancelled(); },
                 [](PendingGeneration& pending) { pending.usage->Finish(ports::UsageOutcome::kCancelled); });
  const SteadyTime longest = std::chrono::steady_clock::now() - options_.queue_wait_max;
  queue_.EraseIf([&](const PendingGeneration& pending) { return pending.submitted_at < longest; },
                 [&](PendingGeneration& pending) {
                   pending.usage->Finish(ports::UsageOutcome::kFailed);
                   pending.stream->Fail(ports::QueueTimeout(options_.queue_wait_max));
                 });
  queue_.Offer(
      [&](const PendingGeneration& pending) {
        const auto verdict = kv_->Decide(pending);
        if (verdict == KvCache::Verdict::kTake) return verdict;
        if (kv_->IsAtOwnLimit(pending)) {
          waiting.at_limit.insert(pending.tenant);
        } else {
          waiting.is_full = true;
        }
        return verdict;
      },
      [this](PendingGeneration pending) {
        running_.push_back(kv_->Admit(std::move(pending), assets_.vocabulary(), totals_));
        RunningGeneration& generation = *running_.back();
        generation.request.usage->CountPrompt(generation.prompt_in_cache - generation.cached, generation.cached);
        generation.request.stream->Start(
            {static_cast<std::int32_t>(generation.request.prompt.size()), generation.cached});
        active_.fetch_add(generation.request.choices, std::memory_order_relaxed);
      });
  kv_->TrimKept();
  queued_.store(queue_.size(), std::memory_order_release);
  return waiting;
}

bool DecodeLoop::HasWork() const {
  return std::ranges::any_of(running_, [](const auto& generation) {
    return generation->is_prefilling() || !generation->request.stream->is_full();
  });
}

bool DecodeLoop::CanDecode(const RunningGeneration& generation) const {
  return !generation.is_prefilling() && !generation.request.stream->is_full() && generation.decodable_choices() > 0;
}

bool DecodeLoop::AnyCanStep() const {
  return std::ranges::any_of(
      running_, [this](const auto& generation) { return generation->is_prefilling() || CanDecode(*generation); });
}

void DecodeLoop::Charge(const RunningGeneration& generation, double seconds) {
  const std::lock_guard lock(queue_mutex_);
  queue_.Charge(generation.request.tenant, seconds);
}

void DecodeLoop::ChargePrepared(const std::string& tenant, double weight, std::chrono::nanoseconds processor_time) {
  gate_.SpentAside(processor_time);
  const std::lock_guard lock(queue_mutex_);
  queue_.ChargeAhead(tenant, weight, std::chrono::duration<double>(processor_time).count());
}

void DecodeLoop::Advance(RunningGeneration& generation) {
  const auto size = static_cast<std::size_t>(assets_.vocabulary().size());
  if (generation.chunk > 0) {
    generation.prompt_in_cache += generation.chunk;
    generation.request.usage->CountPrompt(generation.prompt_in_cache - generation.cached, generation.cached);
    if (generation.is_prefilling()) return;
    CountFirstToken(generation);
    kv_->ShareWithChoices(generation);
    // The choices part here: each draws from the same row.
    const std::span<float> row(llama_get_logits_ith(context_.get(), generation.choices.front().output_index), size);
    for (std::size_t i = generation.choices.size() - 1; i > 0; --i) {
      std::vector<float> copy(row.begin(), row.end());
      generation.Advance(generation.choices[i], copy);
      if (generation.choices[i].draw) generation.choices[i].draw->Keep();
    }
    generation.Advance(generation.choices.front(), row);
    return;
  }
  for (RunningGeneration::Choice& choice : generation.choices) {
    if (choice.output_index < 0) continue;
    choice.decoded.push_back(choice.next_token);
    generation.Advance(choice, {llama_get_logits_ith(context_.get(), choice.output_index), size});
  }
}

double DecodeLoop::Step() {
  const SteadyTime start = std::chrono::steady_clock::now();
  const int code = llama_decode(context_.get(), *batch_);
  model::ExpectLlamaErrors(false);
  if (code != 0) {
    FailStep(code);
    return 0;
  }
  const SteadyTime computed = std::chrono::steady_clock::now();
  const double seconds = SecondsBetween(start, computed);
  cost_.Learn(batch_->n_tokens, computed - start);
  // Each pays for its part of the step, and what only it had to be done for it.
  const double weight = step_prompt_ + kDecodeWeight * step_decode_;
  SteadyTime before = computed;
  for (RunningGeneration* generation : in_step_) {
    const std::int64_t rows =
        std::ranges::count_if(generation->choices, [](const auto& choice) { return choice.output_index >= 0; });
    const double part = generation->chunk > 0 ? generation->chunk : kDecodeWeight * static_cast<double>(rows);
    Advance(*generation);
    const SteadyTime after = std::chrono::steady_clock::now();
    Charge(*generation, seconds * part / weight + SecondsBetween(before, after));
    before = after;
    Settle(*generation, {});
  }
  return seconds;
}

bool DecodeLoop::Settle(RunningGeneration& generation, const Status& status) {
  if (status && !generation.is_done()) return false;
  // The room is free before the reader knows.
  EndGeneration(generation, /*keep=*/status.has_value());
  if (status) {
    generation.Finish();
  } else {
    generation.Fail(status.error());
  }
  running_.erase(std::ranges::find(running_, &generation, &std::unique_ptr<RunningGeneration>::get));
  return true;
}

void DecodeLoop::FailStep(int code) {
  step_prompt_ = step_decode_ = 0;
  // 2: ShouldAbort said so; the cancelled are dropped next, and Run ends when stopping. A part of the step may be in
  // the cache, so it is not kept.
  if (code != 2) Log(LogLevel::kError, "a decode step failed", {{"code", std::to_string(code)}});
  const Error failed{Code::kInternal, "DECODE_FAILED", fmt::format("the model could not be computed (code {})", code)};
  if (code == 2 && stop_.load()) return in_step_.clear();
  for (RunningGeneration* generation : in_step_) {
    if (code == 2) {
      generation->request.usage->Finish(ports::UsageOutcome::kCancelled);
    } else {
      generation->Fail(failed);
    }
    EndGeneration(*generation, /*keep=*/false);
    std::ranges::find(running_, generation, &std::unique_ptr<RunningGeneration>::get)->reset();
  }
  std::erase(running_, nullptr);
  in_step_.clear();
}

void DecodeLoop::EndGeneration(RunningGeneration& generation, bool keep) {
  kv_->Release(generation, keep);
  active_.fetch_sub(generation.request.choices, std::memory_order_relaxed);
  const std::lock_guard lock(queue_mutex_);
  queue_.Done(generation.request.tenant);
}

void DecodeLoop::CountFirstToken(RunningGeneration& generation) {
  generation.prefilled_at = std::chrono::steady_clock::now();
  totals_.prompt.fetch_add(static_cast<std::int64_t>(generation.request.prompt.size()), std::memory_order_relaxed);
  totals_.cached.fetch_add(generation.cached, std::memory_order_relaxed);
  const double seconds = SecondsBetween(generation.request.submitted_at, generation.prefilled_at);
  const std::lock_guard lock(status_mutex_);
  if (recent_first_tokens_.size() < kRecentFirstTokens) recent_first_tokens_.resize(kRecentFirstTokens);
  recent_first_tokens_[static_cast<std::size_t>(status_.first_tokens_total) % kRecentFirstTokens] = seconds;
  ++status_.first_tokens_total;
  status_.first_token_seconds_total += seconds;
  status_.first_token_seconds_recent_max = *std::ranges::max_element(recent_first_tokens_);
}

void DecodeLoop::CountTurn(SteadyTime wanted, SteadyTime began) {
  const SteadyTime now = std::chrono::steady_clock::now();
  const std::lock_guard lock(status_mutex_);
  ++status_.turns_total;
  status_.wait_seconds_total += SecondsBetween(wanted, began);
  status_.compute_seconds_total += SecondsBetween(began, now);
  status_.kv_tokens_reserved = kv_->cells_reserved();
  status_.kv_tokens_cached = kv_->cells_cached();
}

}  // namespace allod::inference::engine
