#include "inference/node/worker_shape.h"

#include <algorithm>

#include "services/common/ids.h"

namespace allod::inference::node {

zygote::WorkerShape ShapeOf(const pool::DesiredWorker& worker, const ShapePolicy& policy) {
  zygote::WorkerShape shape;
  shape.artifact_sha256 = worker.artifact_sha256;
  // Of several cores the engine takes as many as suit the model.
  shape.threads = policy.threads > 1 ? 0 : policy.threads;
  shape.chunk_tokens_max = policy.chunk_tokens_max;
  shape.strict = policy.strict;
  if (worker.isolation == pool::IsolationClass::kPooled) {
    shape.context_tokens = policy.pool_context_tokens;
    shape.max_sequences = policy.pool_sequences;
    shape.kv_tokens = policy.pool_kv_tokens;
  } else {
    shape.context_tokens = worker.member.context_tokens;
    shape.max_sequences = worker.member.max_concurrency;
  }
  return shape;
}

std::int64_t KvTokensOf(const zygote::WorkerShape& shape) {
  return shape.kv_tokens > 0 ? shape.kv_tokens : std::int64_t{shape.context_tokens} * shape.max_sequences;
}

std::vector<ports::Member> MembersOf(const std::vector<pool::DesiredWorker>& workers) {
  std::vector<ports::Member> out;
  for (const pool::DesiredWorker& worker : workers) out.push_back(worker.member);
  return out;
}

std::vector<usage::RingMember> RingMembersOf(const std::vector<pool::DesiredWorker>& workers,
                                             const ShapePolicy& policy) {
  std::vector<usage::RingMember> out;
  for (const pool::DesiredWorker& worker : workers) {
    usage::RingMember member{.instance = worker.member.instance,
                             .tenant = Uuid::Parse(worker.member.tenant_uid).value_or(Uuid()),
                             .context_tokens = worker.member.context_tokens,
                             .choices_max = worker.member.max_concurrency};
    if (worker.isolation == pool::IsolationClass::kPooled) {
      const auto bounded = [](std::int32_t own, std::int32_t pools) { return own > 0 ? std::min(own, pools) : pools; };
      member.context_tokens = bounded(member.context_tokens, policy.pool_context_tokens);
      member.choices_max = bounded(member.choices_max, policy.pool_sequences);
    }
    out.push_back(std::move(member));
  }
  return out;
}

}  // namespace allod::inference::node
