// The engine: many generations at once on one model, by continuous batching on one decode thread.
//
// Submit (any thread) renders, tokenises and checks a request and puts it into a bounded queue that is fair between
// tenants. The decode thread takes requests from there into the running batch as sequences and room in the KV cache
// become free: each step decodes one token of every running sequence plus a bounded chunk of prompts, so sequences join
// and leave at every step. Text goes back through a bounded stream per generation. All sequences share one KV cache of
// `kv_tokens` cells, of which a generation reserves what it may need before it starts, so an admitted one never runs
// out of it; what finished generations left there is reused by prompts of the same tenant that begin the same, until
// the room is needed.
//
// A model that was made for embeddings answers with vectors instead (SubmitEmbedding), under the same rules.
//
// It computes in turns that a TurnGate grants and counts what it computes in a UsageRecorder. Memory is allocated once,
// in Create: the KV cache and the compute buffers. The model must outlive the engine.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "inference/engine/llama_assets.h"
#include "inference/engine/token_stream.h"
#include "inference/ports/servable.h"
#include "inference/ports/turn_gate.h"
#include "inference/ports/usage_recorder.h"
#include "services/common/result.h"

struct llama_model;

namespace allod::inference::engine {

struct EngineOptions {
  // Of one generation, prompt and answer together; 0, or more than it: what the model was trained for.
  std::int32_t context_tokens = 0;
  std::int32_t max_sequences = 4;  // decoded together; 1 to 256
  std::int32_t kv_tokens = 0;      // cells of the KV cache; 0: context_tokens x max_sequences
  std::int32_t threads = 0;        // 0: SuitableThreads of the model
  std::uint32_t poll = 0;          // how long idle compute threads spin, in ggml's units; 0: they sleep at once
  std::int32_t queue_max = 64;     // requests that wait for a sequence
  std::chrono::milliseconds queue_wait_max{60'000};  // then they are told to try again later
  std::int32_t tenant_queue_max = 0;                 // of one tenant; 0: queue_max
  std::int32_t tenant_sequences_max = 0;             // that run for one tenant at once; 0: max_sequences
  std::int32_t tenant_kv_tokens_max = 0;  // cells that one tenant holds, its cached prefixes included; 0: kv_tokens
  // What tenants that run something leave to one that does not; 0: nothing.
  std::int32_t newcomer_sequences = 0;
  std::int32_t newcomer_kv_tokens = 0;
  // A generation whose reader takes nothing for longer ends when somebody waits for its place.
  std::chrono::milliseconds reader_stall_max{5'000};
  std::int32_t chunk_tokens_max = 512;  // of prompt in one step, however large the turn's budget
  bool prefix_cache = true;
  // No other thread of the process runs while the engine is made: memory that only holds zeros is given back.
  bool is_made_alone = false;
  ports::TurnGate* gate = nullptr;        // null: an OpenGate. Must outlive the engine, as must:
  ports::UsageRecorder* usage = nullptr;  // null: a NoUsageRecorder
  TokenStream::Bounds stream;
};

// What it shows of itself, beside what every servable does.
struct EngineStatus : ports::ServableFigures {
  double compute_seconds_total = 0;           // in turns
  double first_token_seconds_recent_max = 0;  // of the last 64
  std::int32_t kv_tokens = 0;
  std::int32_t kv_tokens_reserved = 0;  // by running generations
  std::int32_t kv_tokens_cached = 0;    // in the prefix cache
};

class Engine final : public ports::Servable {
 public:
  // FAILED_PRECONDITION / MODEL_NOT_GENERATIVE for a model that can neither continue text nor embed it,
  // RESOURCE_EXHAUSTED / NO_MEMORY when the context does not fit, INVALID_ARGUMENT / INVALID_OPTION. Starts the decode
  // thread and the compute threads, so call it after a fork.
  static Result<std::unique_ptr<Engine>> Create(llama_model& model, std::shared_ptr<const ModelAssets> assets,
                                                const EngineOptions& options);
  // The same with assets of its own.
  static Result<std::unique_ptr<Engine>> Create(llama_model& model, const EngineOptions& options);
  // Ends what runs with UNAVAILABLE / ENGINE_STOPPED and joins the decode thread, within a step's compute node.
  ~Engine() override;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  std::vector<ports::RefusedMember> SetMembers(std::vector<ports::Member> members) override;

  // Costs rendering and tokenising the prompt and compiling the constraint, on the caller's thread. INVALID_ARGUMENT /
  // CONTEXT_LENGTH_EXCEEDED, INVALID_SAMPLING, EMPTY_PROMPT, TEMPLATE_FAILED, INVALID_MESSAGE, INVALID_TOOL,
  // INVALID_CONSTRAINT, TOKENIZE_FAILED; CANCELLED; NOT_FOUND / UNKNOWN_INSTANCE; RESOURCE_EXHAUSTED / QUEUE_FULL
  // with retry_after, TEMPLATE_TOO_COSTLY, NO_THREAD; FAILED_PRECONDITION / MODEL_NOT_GENERATIVE; what the
  // UsageRecorder refuses.
  Result<std::unique_ptr<ports::Generation>> Submit(const ports::GenerationRequest& request) override;
  // Costs tokenising the inputs, on the caller's thread. They wait in a queue that is fair between tenants and are
  // computed one by one, in turns; `done` is called once, from any thread, with the vectors, or UNAVAILABLE /
  // ENGINE_STOPPED, INTERNAL / DECODE_FAILED, RESOURCE_EXHAUSTED / QUEUE_TIMEOUT or QUEUE_FULL, CANCELLED.
  // `is_cancelled` is asked between inputs, from any thread; neither may call back into the engine. Without a call of
  // `done`: FAILED_PRECONDITION / MODEL_NOT_EMBEDDING; INVALID_ARGUMENT / CONTEXT_LENGTH_EXCEEDED, INVALID_INPUT,
  // WRONG_DIMENSIONS, TOKENIZE_FAILED; CANCELLED; NOT_FOUND / UNKNOWN_INSTANCE; RESOURCE_EXHAUSTED / QUEUE_FULL,
  // NO_THREAD; what the UsageRecorder refuses.
  Status SubmitEmbedding(const ports::EmbeddingRequest& request, std::function<bool()> is_cancelled,
                         std::function<void(Result<ports::Embeddings>)> done) override;
  // The same for who waits for the end.
  Result<ports::Embeddings> Embed(const ports::EmbeddingRequest& request,
                                  const std::function<bool()>& is_cancelled = {});
  EngineStatus status() const;
  ports::ServableFigures figures() const override { return status(); }
  void WarmUp(std::chrono::milliseconds max) override;
  // The next step takes a fraction of a millisecond longer.
  void GiveBackScratch() override;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace allod::inference::engine
