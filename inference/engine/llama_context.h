// llama.cpp contexts, batches and their compute threads as owned objects. Internal to the engine.
#pragma once

#include <cstdint>
#include <memory>

#include "inference/model/llama_runtime.h"
#include "services/common/result.h"

struct llama_context;
struct llama_batch;

namespace allod::inference::engine {

struct ContextDeleter {
  void operator()(llama_context* context) const;
};
using ContextPtr = std::unique_ptr<llama_context, ContextDeleter>;

struct BatchDeleter {
  void operator()(llama_batch* batch) const;
};
using BatchPtr = std::unique_ptr<llama_batch, BatchDeleter>;

// Room for `tokens`, each of one sequence.
BatchPtr MakeBatch(std::int32_t tokens);
// Appends a token. The batch must have room.
void AddToBatch(llama_batch& batch, std::int32_t token, std::int32_t position, std::int32_t slot, bool wants_output);

}  // namespace allod::inference::engine
