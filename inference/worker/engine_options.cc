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

engine::EngineOptions EngineOptionsOf(const zygote::WorkerSpec& spec) {
  engine::EngineOptions options;
  options.context_tokens = spec.context_tokens;
  options.max_sequences = spec.max_sequences;
  options.kv_tokens = spec.kv_tokens;
  options.threads = spec.threads;
  options.queue_max = std::max(kQueueMin, spec.max_sequences * kQueuedPerSequence);
  // So many requests of one member leave places for the others.
  const bool is_pool = spec.kv_tokens > 0;
  if (is_pool) {
    options.tenant_queue_max = options.queue_max / kTenantsThatFillAQueue;
    options.newcomer_sequences = spec.max_sequences >= kSequencesToLeaveOne ? 1 : 0;
    options.newcomer_kv_tokens = spec.kv_tokens / kTenantsThatFillAQueue;
  }
  if (spec.chunk_tokens_max > 0) options.chunk_tokens_max = spec.chunk_tokens_max;
  return options;
}

}  // namespace allod::inference::worker
