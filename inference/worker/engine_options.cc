#include "inference/worker/engine_options.h"

#include <algorithm>

namespace allod::inference::worker {
namespace {

constexpr std::int32_t kQueuedPerSequence = 8;
constexpr std::int32_t kQueueMin = 64;
constexpr std::int32_t kTenantsThatFillAQueue = 4;
// Of fewer, one that is left to whoever comes would be missed.
constexpr std::int32_t kSequencesToLeaveOne = 4;

}  // namespace

engine::EngineOptions EngineOptionsOf(const zygote::WorkerShape& shape) {
  engine::EngineOptions options;
  options.is_made_alone = true;
  options.context_tokens = shape.context_tokens;
  options.max_sequences = shape.max_sequences;
  options.kv_tokens = shape.kv_tokens;
  options.threads = shape.threads;
  options.queue_max = std::max(kQueueMin, shape.max_sequences * kQueuedPerSequence);
  // So many requests of one member leave places for the others.
  const bool is_pool = shape.kv_tokens > 0;
  if (is_pool) {
    options.tenant_queue_max = options.queue_max / kTenantsThatFillAQueue;
    options.newcomer_sequences = shape.max_sequences >= kSequencesToLeaveOne ? 1 : 0;
    options.newcomer_kv_tokens = shape.kv_tokens / kTenantsThatFillAQueue;
  }
  if (shape.chunk_tokens_max > 0) options.chunk_tokens_max = shape.chunk_tokens_max;
  return options;
}

}  // namespace allod::inference::worker
