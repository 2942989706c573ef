// How much memory one replica needs, before it was ever started.
#pragma once

#include <cstdint>
#include <string>

#include "scheduler/model.h"

namespace allod::scheduler {

struct ModelFacts {
  std::string artifact_sha256;
  std::int64_t artifact_bytes = 0;
  std::int64_t parameter_count = 0;     // 0: unknown
  std::int64_t kv_bytes_per_token = 0;  // as the file's header says; 0: unknown, then it is estimated
  std::int64_t trained_context_tokens = 0;
};

// What one replica of an instance may compute at once.
struct ReplicaShape {
  IsolationClass isolation_class = IsolationClass::kIsolated;
  std::int64_t context_tokens = 0;
  std::int64_t max_concurrency = 0;
  std::int64_t cpu_millis = 0;
};

// The worker that all pooled replicas of a variant on a node share; as the nodes are configured.
struct PoolShape {
  std::int64_t sequences = 16;
  std::int64_t context_tokens = 4096;  // of each; at most what the model was trained for
  bool operator==(const PoolShape&) const = default;
};

// Bytes of KV cache for one token: what the model says of itself, else an upper bound for dense transformers without
// shared key/value heads.
//
// A layer of width d has about 12 d^2 parameters, and a model about d / 64 layers, so d = cbrt(parameters * 64 / 12).
// Keys and values at 16 bits take 2 * 2 * d bytes a layer: d^2 / 16 in all. Embeddings make d come out larger than it
// is, and models with grouped-query attention need 2 to 8 times less: the estimate errs to the safe side. An unknown
// parameter count is taken from the artifact at half a byte each (4-bit weights), the most that the file can hold.
std::int64_t KvBytesPerToken(const ModelFacts& model);

// Weights: artifact * 1.2 (they are repacked at load) + 64 MiB for the process that holds them; once per node for all
// pooled and isolated replicas of the artifact, for each dedicated replica its own. Beyond that an isolated or
// dedicated replica takes the KV cache of all its sequences + 8 MiB, a pooled one 1 MiB; the pooled worker itself, once
// per node, its KV cache + 8 MiB. Every part saturates at 2^60 bytes instead of overflowing. All numbers must be >= 0.
Demand DemandOf(const ModelFacts& model, const ReplicaShape& shape, const PoolShape& pool);

}  // namespace allod::scheduler
