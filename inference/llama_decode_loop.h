// The decode thread of an Engine: owns the llama.cpp context and every running sequence. Internal to
// inference/llama_engine.cc.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "inference/generation.h"
#include "inference/llama_engine.h"
#include "inference/llama_runtime.h"
#include "inference/llama_vocabulary.h"
#include "inference/sampling.h"
#include "inference/text_assembler.h"
#include "inference/token_stream.h"
#include "services/common/result.h"

struct llama_context;

namespace allod::inference {

// A request that was checked and waits for a sequence.
struct PendingGeneration {
  std::shared_ptr<TokenStream> stream;
  std::vector<std::int32_t> prompt;
  std::int32_t max_completion_tokens;
  SamplingOptions sampling;
  std::vector<std::string> stop;
};

class DecodeLoop {
 public:
  // Takes the context with its thread pool and starts the thread. `vocabulary` must outlive it.
  static Result<std::unique_ptr<DecodeLoop>> Start(llama_model& model, const Vocabulary& vocabulary,
                                                   const EngineOptions& options);
  ~DecodeLoop();
  DecodeLoop(const DecodeLoop&) = delete;
  DecodeLoop& operator=(const DecodeLoop&) = delete;

  // False when the queue is full. Thread-safe.
  bool Enqueue(PendingGeneration pending);
  EngineStatus status() const;  // thread-safe
  const std::shared_ptr<Wakeup>& wakeup() const { return wakeup_; }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // A running generation. Its tokens are in the KV cache under its slot's number.
  struct Sequence {
    Sequence(PendingGeneration pending, std::int32_t slot_number);

    const std::shared_ptr<TokenStream> stream;
    const std::vector<std::int32_t> prompt;
    const std::int32_t max_completion_tokens;
    const std::int32_t slot;
    Sampler sampler;
    TextAssembler assembler;
    std::int32_t in_cache = 0;    // tokens decoded into the KV cache
    std::int32_t next_token = 0;  // sampled, not yet decoded
    std::int32_t completion = 0;  // sampled tokens that are part of the answer
    std::int32_t delivered = 0;   // what the deltas counted
    std::int32_t sampled = 0;
    std::int32_t output_index = -1;  // of its logits in this step's batch
    std::int32_t chunk = 0;          // its tokens in this step's batch
    SteadyTime admitted_at;
    SteadyTime prefilled_at;

    bool is_prefilling() const { return in_cache < static_cast<std::int32_t>(prompt.size()); }
  };

  struct ContextDeleter {
    void operator()(llama_context* context) const;
  };
  struct BatchHolder;

  DecodeLoop(const Vocabulary& vocabulary, const EngineOptions& options, std::int32_t vocabulary_size);

  void Run();
  void DropCancelled();
  void Admit();
  // Fills the batch; false when nothing can be done now.
  bool FillBatch();
  void AddToBatch(Sequence& sequence, std::int32_t token, bool wants_logits);
  void Step();
  void FailStep(int code);
  // Samples for one sequence and delivers; true when it is finished.
  bool Advance(Sequence& sequence);
  void FinishSequence(Sequence& sequence, FinishReason reason, TextDelta last);
  void Release(std::unique_ptr<Sequence> sequence);
  std::int32_t PrefillBudget() const;
  static bool ShouldAbort(void* self);

  const Vocabulary& vocabulary_;
  const EngineOptions options_;
  const std::int32_t vocabulary_size_;
  const std::shared_ptr<Wakeup> wakeup_ = std::make_shared<Wakeup>();

  ThreadpoolPtr threadpool_;  // before the context, which uses it
  std::unique_ptr<llama_context, ContextDeleter> context_;
  std::unique_ptr<BatchHolder> batch_;
  std::vector<std::unique_ptr<Sequence>> running_;  // in the order of admission
  std::vector<Sequence*> in_step_;                  // those in the batch
  std::vector<std::int32_t> free_slots_;
  std::string piece_;                 // kept to reuse its memory
  double prefill_token_seconds_ = 0;  // moving average; 0 before the first step

  std::mutex queue_mutex_;
  std::deque<PendingGeneration> queue_;

  std::atomic<bool> stop_ = false;
  std::atomic<std::int32_t> active_ = 0;
  std::atomic<std::int32_t> queued_ = 0;
  std::atomic<std::int64_t> prompt_tokens_total_ = 0;
  std::atomic<std::int64_t> completion_tokens_total_ = 0;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace allod::inference
