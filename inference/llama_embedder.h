// Turns texts into vectors with a model that was made for it. Internal to inference/llama_engine.cc.
//
// Inputs are computed one after another, each in one piece, because such models look at the whole text at once; the
// caller's thread does it, one caller at a time. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "inference/llama_assets.h"
#include "inference/llama_context.h"
#include "inference/llama_engine.h"
#include "inference/llama_runtime.h"
#include "inference/usage_recorder.h"
#include "services/common/result.h"

namespace allod::inference {

class Embedder {
 public:
  // As DecodeLoop::Start.
  static Result<std::unique_ptr<Embedder>> Create(llama_model& model, const ModelAssets& assets,
                                                  const EngineOptions& options);
  ~Embedder();

  // `usage` is counted and finished.
  Result<Embeddings> Embed(const EmbeddingRequest& request, UsageSlot& usage,
                           const std::function<bool()>& is_cancelled);
  void Stop();
  EngineStatus status() const;
  // How many numbers each vector has.
  std::int32_t dimensions() const;

 private:
  Embedder(const ModelAssets& assets, const EngineOptions& options);
  Result<std::vector<float>> Compute(const std::vector<std::int32_t>& tokens);
  Result<std::vector<std::vector<std::int32_t>>> Tokenize(const std::vector<std::string>& inputs) const;

  const ModelAssets& assets_;
  const EngineOptions options_;
  const std::int32_t input_tokens_max_;
  OpenGate open_gate_;
  TurnGate& gate_;
  ThreadpoolPtr threadpool_;  // before the context, which uses it
  ContextPtr context_;
  BatchPtr batch_;
  std::mutex mutex_;  // computing
  std::atomic<bool> stop_ = false;
  std::atomic<std::int32_t> waiting_ = 0;
  std::atomic<std::int64_t> tokens_total_ = 0;
  std::atomic<std::int64_t> turns_total_ = 0;
};

}  // namespace allod::inference
