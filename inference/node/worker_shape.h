// What is wanted of a worker, in the words of those who are told: its zygote, its engine, its usage ring. Pure.
//
// The one place between what the scheduling service asks for (pool/desired.h) and what a process is made for.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/node/pool/desired.h"
#include "inference/ports/members.h"
#include "inference/usage/ring_deed.h"
#include "inference/zygote/worker_spec.h"

namespace allod::inference::node {

struct ShapePolicy {
  int threads = 1;                    // of a step, where the model is worth it
  std::int32_t chunk_tokens_max = 0;  // of prompt in one step; 0: as the turn allows
  bool strict = false;                // workers with a complete sandbox or none
  // Of a worker of the pooled class, whatever its members ask for.
  std::int32_t pool_sequences = 16;
  std::int32_t pool_context_tokens = 4096;
  std::int32_t pool_kv_tokens = 16384;
};

// The shape of the process that answers for `worker`: its own, or its pool's.
zygote::WorkerShape ShapeOf(const pool::DesiredWorker& worker, const ShapePolicy& policy);
// Cells of the KV cache that a process of that shape has; 0 when only its model knows.
std::int64_t KvTokensOf(const zygote::WorkerShape& shape);

std::vector<ports::Member> MembersOf(const std::vector<pool::DesiredWorker>& workers);
// What each may be counted for.
std::vector<usage::RingMember> RingMembersOf(const std::vector<pool::DesiredWorker>& workers,
                                             const ShapePolicy& policy);

}  // namespace allod::inference::node
