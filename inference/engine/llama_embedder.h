// Turns texts into vectors with a model that was made for it. Internal to llama_engine.cc.
//
// Inputs are computed one after another, each in one piece, because such models look at the whole text at once. One
// thread does it; after each input the tenant that was served least is next, and a tenant's requests take turns. It
// holds the cores only while something waits here. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "inference/engine/llama_assets.h"
#include "inference/engine/llama_context.h"
#include "inference/engine/llama_engine.h"
#include "inference/fairness/fair_queue.h"
#include "inference/model/llama_runtime.h"
#include "inference/ports/usage_recorder.h"
#include "services/common/result.h"

namespace allod::inference::engine {

// A request that was checked, and what was computed of it.
struct PendingEmbedding {
  std::vector<std::vector<std::int32_t>> inputs;  // tokens of each
  std::unique_ptr<ports::UsageSlot> usage;
  std::string tenant;
  double weight = 1;
  std::function<bool()> is_cancelled;  // may be null
  std::function<void(Result<ports::Embeddings>)> done;
  std::chrono::steady_clock::time_point submitted_at;
  ports::Embeddings out;
};

class Embedder {
 public:
  // As DecodeLoop::Start.
  static Result<std::unique_ptr<Embedder>> Create(llama_model& model, const ModelAssets& assets,
                                                  const EngineOptions& options);
  ~Embedder();
  Embedder(const Embedder&) = delete;
  Embedder& operator=(const Embedder&) = delete;

  // INVALID_ARGUMENT / INVALID_INPUT, CONTEXT_LENGTH_EXCEEDED; what Vocabulary::TokenizeText refuses.
  Result<std::vector<std::vector<std::int32_t>>> Tokenize(const std::vector<std::string>& inputs,
                                                          const std::function<bool()>& is_cancelled) const;
  // See DecodeLoop::ChargePrepared.
  void ChargePrepared(const std::string& tenant, double weight, std::chrono::nanoseconds processor_time);
  // RESOURCE_EXHAUSTED / QUEUE_FULL; `done` is not called then.
  Status Enqueue(PendingEmbedding pending);
  void Stop();
  EngineStatus status() const;
  // How many numbers each vector has.
  std::int32_t dimensions() const;

 private:
  using PendingPtr = std::unique_ptr<PendingEmbedding>;

  Embedder(const ModelAssets& assets, const EngineOptions& options);
  void Run();
  // Those that nobody waits for any more, and those that waited too long to begin.
  void DropUnwanted();
  PendingPtr TakeNext();
  // The next input of it; in a turn, which this ends.
  void Advance(PendingPtr pending);
  Result<std::vector<float>> Compute(const std::vector<std::int32_t>& tokens);
  static void Refuse(PendingEmbedding& pending, ports::UsageOutcome outcome, Error error);

  const ModelAssets& assets_;
  const EngineOptions options_;
  const std::int32_t input_tokens_max_;
  ports::OpenGate open_gate_;
  ports::TurnGate& gate_;
  model::ThreadpoolPtr threadpool_;  // before the context, which uses it
  ContextPtr context_;
  BatchPtr batch_;

  mutable std::mutex mutex_;
  std::condition_variable news_;
  fairness::FairQueue<PendingPtr> queue_;
  std::int32_t computing_ = 0;  // taken from the queue

  std::atomic<bool> stop_ = false;
  std::atomic<std::int64_t> tokens_total_ = 0;
  std::atomic<std::int64_t> turns_total_ = 0;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace allod::inference::engine
