// The engine: many generations at once on one model, by continuous batching on one decode thread.
//
// Submit (any thread) renders, tokenises and checks a request and puts it into a bounded queue. The decode thread takes
// requests from there into the running batch as sequences become free: each step decodes one token of every running
// sequence plus a bounded chunk of prompts, so sequences join and leave at every step. Text goes back through a bounded
// stream per generation. All sequences share one KV cache that has room for max_sequences x context_tokens, so an
// admitted generation never runs out of it.
//
// Memory is allocated once, in Create: the KV cache and the compute buffers. The model must outlive the engine.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "inference/generation.h"
#include "inference/token_stream.h"
#include "services/common/result.h"

struct llama_model;

namespace allod::inference {

struct EngineOptions {
  std::int32_t context_tokens =
      0;  // of one sequence, prompt and answer together; 0, or more than it: what the model was trained for
  std::int32_t max_sequences = 4;  // decoded together; 1 to 256
  std::int32_t threads = 0;        // 0: SuitableThreads of the model
  std::uint32_t poll = 0;          // how long idle compute threads spin, in ggml's units; 0: they sleep at once
  std::int32_t queue_max = 64;     // requests that wait for a sequence
  // Prompts are processed in chunks that take about this long, so that running answers go on and a cancelled prompt
  // ends soon.
  std::chrono::milliseconds prefill_step{50};
  TokenStream::Bounds stream;
};

struct EngineStatus {
  std::int32_t context_tokens = 0;
  std::int32_t max_sequences = 0;
  std::int32_t active_sequences = 0;
  std::int32_t queued_requests = 0;
  std::int64_t prompt_tokens_total = 0;
  std::int64_t completion_tokens_total = 0;
};

// The reader's end of one generation. Destruction cancels it: its sequence is freed at the next step. For one thread.
class Generation {
 public:
  explicit Generation(std::shared_ptr<TokenStream> stream) : stream_(std::move(stream)) {}
  ~Generation() { stream_->Cancel(); }
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // The next event, or nothing when `timeout` passed; nothing follows Finished. Fails with UNAVAILABLE / ENGINE_STOPPED
  // or INTERNAL / DECODE_FAILED. May be called after the engine is gone.
  Result<std::optional<Event>> Next(std::chrono::milliseconds timeout) { return stream_->Next(timeout); }

 private:
  std::shared_ptr<TokenStream> stream_;
};

class Engine {
 public:
  // FAILED_PRECONDITION / MODEL_NOT_GENERATIVE for a model that cannot continue text, RESOURCE_EXHAUSTED / NO_MEMORY
  // when the context does not fit, INVALID_ARGUMENT / INVALID_OPTION.
  static Result<std::unique_ptr<Engine>> Create(llama_model& model, const EngineOptions& options);
  // Ends what runs with UNAVAILABLE / ENGINE_STOPPED and joins the decode thread, within a step's compute node.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Costs the tokenising of the prompt, on the caller's thread. INVALID_ARGUMENT / CONTEXT_LENGTH_EXCEEDED,
  // INVALID_SAMPLING, EMPTY_PROMPT, TEMPLATE_FAILED, INVALID_MESSAGE, TOKENIZE_FAILED; RESOURCE_EXHAUSTED / QUEUE_FULL
  // with retry_after.
  Result<std::unique_ptr<Generation>> Submit(const GenerationRequest& request);
  EngineStatus status() const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace allod::inference
